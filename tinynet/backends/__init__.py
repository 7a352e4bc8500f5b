"""Switches and questions about the machine's kernels, with the names of `torch.backends`.

    tinynet.backends.cuda.matmul.allow_tf32 = True      # matrix products
    tinynet.backends.cudnn.allow_tf32 = True            # convolutions

TF32 rounds what is multiplied to 10 bits of mantissa: faster on GPUs from Ampere on, and good to
about three digits. Both are off, so that a network computes the same on every device (PyTorch's
second one is on).
"""

from . import cuda, cudnn, mkl, mkldnn, mps, openmp

__all__ = ["cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp"]
