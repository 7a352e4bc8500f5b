"""Files: weights in safetensors, image files, and writing that leaves no half-written file."""

from .atomic import write_atomically
from .images import read_image
from .safetensors import FileFormatError, load_safetensors, save_safetensors

__all__ = [
    "FileFormatError",
    "load_safetensors",
    "read_image",
    "save_safetensors",
    "write_atomically",
]
