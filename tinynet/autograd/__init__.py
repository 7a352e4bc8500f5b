"""Reverse-mode differentiation: the tape, the backward walk, and what users build on them."""

from .. import parity as _parity
from . import functional, graph
from . import mode as grad_mode
from .anomaly import AnomalyError, anomaly, detect_anomaly, set_detect_anomaly
from .engine import backward, grad
from .function import Function, FunctionCtx, once_differentiable
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .ledger import Ledger
from .mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .trace import trace
from .variable import Variable

__all__ = [
    "AnomalyError",
    "Function",
    "FunctionCtx",
    "GradcheckError",
    "Ledger",
    "Variable",
    "anomaly",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "grad_mode",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
    "trace",
]

__getattr__ = _parity.module_getattr(__name__)
