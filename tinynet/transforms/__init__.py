"""Changes to images on their way from a dataset to a network, with torchvision's names."""

from .. import parity as _parity
from .colour import ColorJitter, Grayscale, Lighting
from .compose import Compose, Lambda, RandomApply
from .convert import Normalize, PILToTensor, ToPILImage, ToTensor
from .geometry import (
    CenterCrop,
    FiveCrop,
    InterpolationMode,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
    TenCrop,
)

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "FiveCrop",
    "Grayscale",
    "InterpolationMode",
    "Lambda",
    "Lighting",
    "Normalize",
    "PILToTensor",
    "Pad",
    "RandomApply",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "TenCrop",
    "ToPILImage",
    "ToTensor",
]

__getattr__ = _parity.module_getattr(__name__)
