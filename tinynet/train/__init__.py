"""Training a classifier of images, and the folder that a training leaves behind."""

from .config import Config, UserError
from .data import FolderData, ImageData, load_data
from .find_lr import RateSearch, find_lr
from .loop import (
    Evaluation,
    evaluate,
    evaluate_batches,
    peak_memory,
    train_batches,
    train_epoch,
)
from .recipe import (
    OPTIMIZERS,
    architecture,
    build_model,
    build_optimizer,
    configure,
    resolve_device,
)
from .regression import evaluation_loss, fit_epoch
from .run import Run
from .session import EpochRecord, Plan, Report, train
from .transfer import freeze, start_from

__all__ = [
    "OPTIMIZERS",
    "Config",
    "EpochRecord",
    "Evaluation",
    "FolderData",
    "ImageData",
    "Plan",
    "RateSearch",
    "Report",
    "Run",
    "UserError",
    "architecture",
    "build_model",
    "build_optimizer",
    "configure",
    "evaluate",
    "evaluate_batches",
    "evaluation_loss",
    "find_lr",
    "fit_epoch",
    "freeze",
    "load_data",
    "peak_memory",
    "resolve_device",
    "start_from",
    "train",
    "train_batches",
    "train_epoch",
]
