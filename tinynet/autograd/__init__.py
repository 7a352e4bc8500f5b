"""Reverse-mode differentiation: the tape, the backward walk, and what users build on them."""

import importlib as _importlib
import sys as _sys
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING
from typing import Any as _Any

from .. import parity as _parity
from . import functional, graph
from . import mode as grad_mode
from .engine import backward, grad
from .function import Function, FunctionCtx, once_differentiable
from .mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .variable import Variable

if TYPE_CHECKING:
    from .anomaly import AnomalyError, anomaly, detect_anomaly, set_detect_anomaly
    from .gradcheck import GradcheckError, gradcheck, gradgradcheck
    from .ledger import Ledger
    from .trace import trace

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

# What most programs do not need is imported when it is first asked for: the module of each name.
_LATER = {
    "AnomalyError": "anomaly",
    "GradcheckError": "gradcheck",
    "Ledger": "ledger",
    "anomaly": "anomaly",
    "detect_anomaly": "anomaly",
    "gradcheck": "gradcheck",
    "gradgradcheck": "gradcheck",
    "set_detect_anomaly": "anomaly",
    "trace": "trace",
}


def _later(name: str) -> property:
    """The attribute `name` of this package: a function or class, although a module has its name.

    Python sets a package's attribute to each module of it that is imported.
    """

    def get(package: _ModuleType) -> _Any:
        value = vars(package).get(name)
        if value is None or isinstance(value, _ModuleType):
            module = _importlib.import_module(f"{__name__}.{_LATER[name]}")
            value = vars(package)[name] = getattr(module, name)
        return value

    def set(package: _ModuleType, value: _Any) -> None:
        vars(package)[name] = value

    return property(get, set)


class _Package(_ModuleType):
    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *_LATER})


for _name in _LATER:
    setattr(_Package, _name, _later(_name))
_sys.modules[__name__].__class__ = _Package

__getattr__ = _parity.module_getattr(__name__)
