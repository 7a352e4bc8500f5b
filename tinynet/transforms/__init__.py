"""Changes to images on their way from a dataset to a network, with torchvision's names."""

from .convert import Compose, Lambda, Normalize, ToTensor
from .geometry import Pad, RandomCrop, RandomHorizontalFlip

__all__ = [
    "Compose",
    "Lambda",
    "Normalize",
    "Pad",
    "RandomCrop",
    "RandomHorizontalFlip",
    "ToTensor",
]
