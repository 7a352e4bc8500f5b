"""The operations: one file per family, each operation beside its derivative."""

import warnings

# Dividing by zero gives infinity or NaN without a word, as in PyTorch (`anomaly` modes are for
# finding them). numpy.errstate around each operation would cost more than the operation.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"tinynet\.(ops|kernels)\.")
