"""`tinynet.special`: special functions, under PyTorch's names."""

from .ops.arithmetic import round
from .ops.elementwise import logit, sinc, xlog1py, xlogy
from .ops.pointwise import erf, exp2, expm1, log1p
from .ops.pointwise import sigmoid as expit
from .ops.reduction import logsumexp
from .ops.softmax import log_softmax, softmax
from .ops.special import (
    digamma,
    entr,
    erfc,
    erfinv,
    i0,
    i0e,
    i1,
    i1e,
    log_ndtr,
    ndtr,
    ndtri,
    polygamma,
    zeta,
)
from .ops.special import digamma as psi
from .ops.special import lgamma as gammaln
from .ops.special import mvlgamma as multigammaln

__all__ = [
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gammaln",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "log1p",
    "log_ndtr",
    "log_softmax",
    "logit",
    "logsumexp",
    "multigammaln",
    "ndtr",
    "ndtri",
    "polygamma",
    "psi",
    "round",
    "sinc",
    "softmax",
    "xlog1py",
    "xlogy",
    "zeta",
]
