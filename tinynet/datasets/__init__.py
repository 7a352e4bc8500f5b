"""Datasets: real images in the package (`Clothes`, `Digits`), MNIST's family and CIFAR from their
original files, folders of image files, and noise."""

from .. import parity as _parity
from .cifar import CIFAR10, CIFAR100, read_cifar_binary
from .fake import FakeData
from .folder import DatasetFolder, ImageFolder
from .idx import DatasetError, read_idx
from .images import ColourImages, GreyImages, ImagesInMemory, normalise
from .mnist import KMNIST, MNIST, FashionMNIST
from .shipped import Clothes, Digits

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "KMNIST",
    "MNIST",
    "Clothes",
    "ColourImages",
    "DatasetError",
    "DatasetFolder",
    "Digits",
    "FakeData",
    "FashionMNIST",
    "GreyImages",
    "ImageFolder",
    "ImagesInMemory",
    "normalise",
    "read_cifar_binary",
    "read_idx",
]

__getattr__ = _parity.module_getattr(__name__)
