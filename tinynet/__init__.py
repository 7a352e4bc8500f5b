"""tinynet: a neural-network framework that can be read to the bottom, with PyTorch's names."""

from __future__ import annotations

import builtins
import importlib
from typing import Any

from .tensor import Size, Tensor  # first: the function `tensor` takes this name
from .autograd.layout import channels_last, contiguous_format, memory_format, preserve_format
from .autograd import (
    anomaly,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from .device import device
from .dtypes import (
    bool_ as bool,
)
from .dtypes import (
    can_cast,
    double,
    dtype,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    int8,
    int16,
    int32,
    int64,
    long,
    promote_types,
    set_default_dtype,
    short,
    uint8,
)
from .dtypes import float_ as float
from .dtypes import int_ as int
from .ops.arithmetic import (
    add,
    sub,
    div,
    neg,
    pow,
    mul,
    remainder,
    fmod,
    maximum,
    minimum,
    clamp,
    where,
    eq,
    ne,
    lt,
    le,
    gt,
    ge,
    floor_divide,
    logical_and,
    logical_or,
    logical_xor,
    logical_not,
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    bitwise_not,
    isnan,
    isinf,
    isfinite,
    isclose,
    allclose,
    equal,
    sign,
    floor,
    ceil,
    trunc,
    round,
    atan2,
)
from .ops.pointwise import (
    exp,
    exp2,
    expm1,
    log,
    log2,
    log10,
    log1p,
    sqrt,
    rsqrt,
    reciprocal,
    square,
    tanh,
    sigmoid,
    sin,
    cos,
    tan,
    asin,
    acos,
    atan,
    sinh,
    cosh,
    asinh,
    atanh,
    erf,
)
from .ops.activation import relu
from .ops.softmax import softmax, log_softmax
from .ops.reduction import (
    sum,
    nansum,
    mean,
    var,
    std,
    var_mean,
    std_mean,
    prod,
    amax,
    amin,
    aminmax,
    max,
    min,
    argmax,
    argmin,
    all,
    any,
    logsumexp,
    norm,
    cumsum,
    cumprod,
    median,
    sort,
    argsort,
    topk,
    count_nonzero,
    unique,
    diff,
    bincount,
)
from .ops.shape import (
    reshape,
    flatten,
    unflatten,
    ravel,
    transpose,
    permute,
    t,
    swapaxes,
    swapdims,
    adjoint,
    movedim,
    moveaxis,
    broadcast_to,
    broadcast_tensors,
    squeeze,
    unsqueeze,
    cat,
    concat,
    concatenate,
    stack,
    hstack,
    vstack,
    row_stack,
    column_stack,
    atleast_1d,
    atleast_2d,
    split,
    chunk,
    tensor_split,
    unbind,
    narrow,
    select,
    flip,
    fliplr,
    flipud,
    rot90,
    roll,
    tile,
    repeat_interleave,
    clone,
    tril,
    triu,
    diagonal,
    diag,
    diag_embed,
    trace,
    meshgrid,
)
from .ops.indexing import (
    gather,
    scatter,
    scatter_add,
    index_select,
    index_add,
    index_copy,
    index_fill,
    masked_fill,
    masked_select,
    take,
    take_along_dim,
    nonzero,
    argwhere,
)
from .ops.linalg import (
    matmul,
    mm,
    bmm,
    mv,
    dot,
    vdot,
    inner,
    outer,
    ger,
    einsum,
    addmm,
    addmv,
    baddbmm,
    tensordot,
)
from .ops.creation import (
    tensor,
    as_tensor,
    from_numpy,
    zeros,
    ones,
    full,
    empty,
    zeros_like,
    ones_like,
    full_like,
    empty_like,
    rand_like,
    randn_like,
    randint_like,
    arange,
    linspace,
    logspace,
    tril_indices,
    triu_indices,
    asarray,
    eye,
    rand,
    randn,
    randint,
    randperm,
    normal,
    bernoulli,
    multinomial,
)
from .ops.arithmetic import abs_ as abs
from .ops.arithmetic import abs_ as absolute
from .random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from . import autograd, dtypes

__version__ = "0.1.0"

_LAZY = (
    "backends",
    "cuda",
    "datasets",
    "io",
    "kernels",
    "metrics",
    "models",
    "nn",
    "optim",
    "profiler",
    "testing",
    "train",
    "transforms",
    "utils",
    "viz",
)


def __getattr__(name: str) -> Any:
    """Import the upper floors on first use."""
    if name in _LAZY:
        return importlib.import_module(f"tinynet.{name}")
    if name in ("load", "save"):
        return getattr(importlib.import_module("tinynet.io"), name)
    if name == "conv2d_plan":
        return importlib.import_module("tinynet.kernels.conv2d.plan").conv2d_plan
    raise AttributeError(f"module 'tinynet' has no attribute {name!r}")


def is_tensor(obj: Any) -> builtins.bool:
    """True for a Tensor."""
    return isinstance(obj, Tensor)
