"""What programs need around a network: data loading (`tinynet.utils.data`), pictures of batches."""

from .. import parity as _parity
from . import checkpoint, data, model_zoo
from .pictures import make_grid, save_image

__all__ = ["checkpoint", "data", "make_grid", "model_zoo", "save_image"]

__getattr__ = _parity.module_getattr(__name__)
