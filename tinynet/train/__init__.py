"""Training a classifier of images, and the folder that a training leaves behind."""

from .config import Config, UserError
from .data import ImageData, load_data
from .loop import Evaluation, evaluate, train_epoch
from .recipe import OPTIMIZERS, architecture, build_model, build_optimizer, resolve_device
from .run import Run
from .session import EpochRecord, Plan, Report, train

__all__ = [
    "OPTIMIZERS",
    "Config",
    "EpochRecord",
    "Evaluation",
    "ImageData",
    "Plan",
    "Report",
    "Run",
    "UserError",
    "architecture",
    "build_model",
    "build_optimizer",
    "evaluate",
    "load_data",
    "resolve_device",
    "train",
    "train_epoch",
]
