"""Files: weights in PyTorch's format and in safetensors, image files, and writing that leaves no
half-written file. Nothing that a file says is ever executed."""

from .atomic import write_atomically
from .images import read_image
from .pth import load, save
from .safetensors import FileFormatError, load_safetensors, save_safetensors

__all__ = [
    "FileFormatError",
    "load",
    "load_safetensors",
    "read_image",
    "save",
    "save_safetensors",
    "write_atomically",
]
