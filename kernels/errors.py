"""The one exception type of the kernels: arrays whose shapes do not fit together."""


class ShapeError(RuntimeError):
    """Raised when shapes break an operation's rule; a RuntimeError, as PyTorch raises.

    The message is a sentence: operation, rule in letters, the shapes, the mismatch, the cure.
    """
