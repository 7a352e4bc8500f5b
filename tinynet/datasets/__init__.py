"""Datasets: real images in the package (`Clothes`, `Digits`), MNIST's family from files."""

from .idx import DatasetError, read_idx
from .images import GreyImages, normalise
from .mnist import MNIST, FashionMNIST
from .shipped import Clothes, Digits

__all__ = [
    "MNIST",
    "Clothes",
    "DatasetError",
    "Digits",
    "FashionMNIST",
    "GreyImages",
    "normalise",
    "read_idx",
]
