"""The named tuples that operations with several results give, printed as PyTorch prints them."""

from __future__ import annotations

from collections import namedtuple
from typing import Any


def _shown(self: Any) -> str:
    fields = ",\n".join(f"{name}={value!r}" for name, value in zip(self._fields, self))
    return f"tinynet.return_types.{type(self).__name__}(\n{fields})"


def _type(name: str, fields: str) -> Any:
    kind = namedtuple(name, fields, module=__name__)  # type: ignore[misc]
    setattr(kind, "__repr__", _shown)  # noqa: B010
    kind.__doc__ = f"What `{name.removeprefix('linalg_')}` gives: {fields.replace(' ', ', ')}."
    return kind


aminmax = _type("aminmax", "min max")
cummax = _type("cummax", "values indices")
cummin = _type("cummin", "values indices")
frexp = _type("frexp", "mantissa exponent")
histogram = _type("histogram", "hist bin_edges")
histogramdd = _type("histogramdd", "hist bin_edges")
kthvalue = _type("kthvalue", "values indices")
linalg_cholesky_ex = _type("linalg_cholesky_ex", "L info")
linalg_eigh = _type("linalg_eigh", "eigenvalues eigenvectors")
linalg_inv_ex = _type("linalg_inv_ex", "inverse info")
linalg_lstsq = _type("linalg_lstsq", "solution residuals rank singular_values")
linalg_lu = _type("linalg_lu", "P L U")
linalg_lu_factor = _type("linalg_lu_factor", "LU pivots")
linalg_lu_factor_ex = _type("linalg_lu_factor_ex", "LU pivots info")
linalg_qr = _type("linalg_qr", "Q R")
linalg_slogdet = _type("linalg_slogdet", "sign logabsdet")
linalg_solve_ex = _type("linalg_solve_ex", "result info")
linalg_svd = _type("linalg_svd", "U S Vh")
lu_unpack = _type("lu_unpack", "P L U")
max = _type("max", "values indices")
median = _type("median", "values indices")
min = _type("min", "values indices")
mode = _type("mode", "values indices")
nanmedian = _type("nanmedian", "values indices")
qr = _type("qr", "Q R")
slogdet = _type("slogdet", "sign logabsdet")
sort = _type("sort", "values indices")
svd = _type("svd", "U S V")
topk = _type("topk", "values indices")
triangular_solve = _type("triangular_solve", "solution cloned_coefficient")
