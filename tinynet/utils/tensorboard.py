"""TensorBoard: `SummaryWriter` is that of the package tensorboardX, which needs no PyTorch."""

try:
    from tensorboardX import SummaryWriter
except ImportError:
    raise ImportError(
        "tinynet.utils.tensorboard passes on the SummaryWriter of the package tensorboardX, which "
        "is not installed: pip install tensorboardX. Without it, tinynet.train keeps the metrics "
        "of a run in files, and tinynet.viz draws them."
    ) from None

__all__ = ["SummaryWriter"]
