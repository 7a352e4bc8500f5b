"""tinynet: a neural-network framework that can be read to the bottom, with PyTorch's names."""

from __future__ import annotations

import builtins
import importlib
import sys
from math import e, inf, nan, pi
from typing import Any

from .tensor import Size, Tensor  # first: the function `tensor` takes this name
from .autograd.layout import channels_last, contiguous_format, memory_format, preserve_format
from .autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from .device import device, get_default_device, set_default_device
from .dtypes import (
    bool_ as bool,
)
from .dtypes import (
    can_cast,
    double,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    layout,
    long,
    promote_types,
    set_default_dtype,
    short,
    strided,
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
    atleast_3d,
    diagflat,
    diagonal_copy,
    dsplit,
    dstack,
    expand_copy,
    hsplit,
    narrow_copy,
    permute_copy,
    select_copy,
    split_copy,
    split_with_sizes,
    split_with_sizes_copy,
    squeeze_copy,
    t_copy,
    transpose_copy,
    unbind_copy,
    unfold_copy,
    unsqueeze_copy,
    view_copy,
    vsplit,
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
    binomial,
    empty_permuted,
    empty_strided,
    frombuffer,
    from_dlpack,
    poisson,
    scalar_tensor,
)
from .ops.elementwise import (
    addcdiv,
    addcmul,
    angle,
    bitwise_left_shift,
    bitwise_right_shift,
    clamp_max,
    clamp_min,
    conj,
    conj_physical,
    copysign,
    deg2rad,
    float_power,
    fmax,
    fmin,
    frac,
    frexp,
    gcd,
    heaviside,
    hypot,
    is_nonzero,
    isin,
    isneginf,
    isposinf,
    isreal,
    lcm,
    ldexp,
    lerp,
    logaddexp,
    logaddexp2,
    logit,
    nan_to_num,
    nextafter,
    positive,
    rad2deg,
    real,
    resolve_conj,
    resolve_neg,
    result_type,
    rsub,
    sgn,
    signbit,
    sinc,
    xlogy,
)
from .ops.factorization import (
    cholesky,
    cholesky_inverse,
    cholesky_solve,
    householder_product,
    logdet,
    lu_unpack,
    matrix_exp,
    matrix_power,
)
from .ops.factorization import householder_product as orgqr
from .ops.factorization import pinv as pinverse
from .ops.linalg import det, slogdet
from .ops.linalg import inv as inverse
from .ops.older import lu, lu_solve, qr, svd, triangular_solve
from .ops.order import (
    bucketize,
    cummax,
    cummin,
    histc,
    histogram,
    kthvalue,
    mode,
    msort,
    nanmean,
    nanmedian,
    nanquantile,
    nonzero_static,
    quantile,
    searchsorted,
    unique_consecutive,
)
from .ops.products import (
    addbmm,
    addr,
    block_diag,
    cartesian_prod,
    cdist,
    chain_matmul,
    combinations,
    cross,
    dist,
    kron,
    pdist,
    unravel_index,
    vander,
)
from .ops.out import takes_out
from .ops import products
from .ops.scattering import (
    as_strided,
    as_strided_scatter,
    diagonal_scatter,
    index_put,
    index_reduce,
    masked_scatter,
    put,
    renorm,
    scatter_reduce,
    select_scatter,
    slice_scatter,
)
from .ops.special import digamma, erfc, erfinv, i0, lgamma, mvlgamma, polygamma
from .ops.statistics import (
    corrcoef,
    cov,
    cumulative_trapezoid,
    gradient,
    logcumsumexp,
    trapezoid,
    trapz,
)
from .ops.window import (
    bartlett_window,
    blackman_window,
    hamming_window,
    hann_window,
    kaiser_window,
)
from .ops.arithmetic import abs_ as abs
from .ops.arithmetic import abs_ as absolute
from .ops.arithmetic import (
    atan2 as arctan2,
)
from .ops.arithmetic import clamp as clip
from .ops.arithmetic import div as divide
from .ops.arithmetic import div as true_divide
from .ops.arithmetic import ge as greater_equal
from .ops.arithmetic import gt as greater
from .ops.arithmetic import le as less_equal
from .ops.arithmetic import lt as less
from .ops.arithmetic import mul as multiply
from .ops.arithmetic import ne as not_equal
from .ops.arithmetic import neg as negative
from .ops.arithmetic import sub as subtract
from .ops.arithmetic import trunc as fix
from .ops.creation import range_ as range
from .ops.pointwise import acos as arccos
from .ops.pointwise import acosh
from .ops.pointwise import acosh as arccosh
from .ops.pointwise import asin as arcsin
from .ops.pointwise import asinh as arcsinh
from .ops.pointwise import atan as arctan
from .ops.pointwise import atanh as arctanh
from .ops.shape import chunk as unsafe_chunk
from .ops.shape import split as unsafe_split
from .ops.shape import split_with_sizes as unsafe_split_with_sizes
from .formatting import set_printoptions
from .settings import (
    are_deterministic_algorithms_enabled,
    get_deterministic_debug_mode,
    get_float32_matmul_precision,
    get_num_interop_threads,
    get_num_threads,
    is_deterministic_algorithms_warn_only_enabled,
    is_warn_always_enabled,
    set_deterministic_debug_mode,
    set_float32_matmul_precision,
    set_flush_denormal,
    set_num_interop_threads,
    set_num_threads,
    set_warn_always,
    use_deterministic_algorithms,
)
from .random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from .tensor_types import (
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    set_default_tensor_type,
)
from . import autograd, dtypes, linalg, methods, return_types, special

__version__ = "0.1.0"

_IN_PLACE = """
    abs_ acos_ acosh_ addmv_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ as_strided_ asin_
    asinh_ atan_ atanh_ ceil_ clamp_ clamp_max_ clamp_min_ clip_ conj_physical_ cos_ cosh_ deg2rad_
    detach_ erf_ erfc_ exp2_ exp_ expm1_ fill_ fix_ floor_ frac_ gcd_ i0_ index_put_ lcm_ ldexp_
    log10_ log1p_ log2_ log_ logit_ nan_to_num_ neg_ negative_ rad2deg_ reciprocal_ relu_
    resize_as_ round_ rsqrt_ sigmoid_ sin_ sinc_ sinh_ sqrt_ square_ tan_ tanh_ trunc_ xlogy_
    zero_"""

_TAKE_OUT = """
    abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr all amax amin aminmax any
    arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort asin asinh
    atan atan2 atanh baddbmm bernoulli bitwise_and bitwise_left_shift bitwise_not bitwise_or
    bitwise_right_shift bitwise_xor bmm bucketize cat ceil cholesky cholesky_inverse cholesky_solve
    clamp clamp_max clamp_min clip column_stack concat concatenate copysign cos cosh cross cummax
    cummin cumprod cumsum deg2rad diag diff digamma div divide dot dstack empty eq erf erfc erfinv
    exp exp2 expm1 eye fix float_power floor floor_divide fmax fmin fmod frac frexp full gather gcd
    ge ger greater greater_equal gt heaviside histc hstack hypot i0 index_add index_copy
    index_reduce index_select inner inverse isin isneginf isposinf kron kthvalue lcm ldexp le lerp
    less less_equal lgamma linspace log log10 log1p log2 logaddexp logaddexp2 logcumsumexp
    logical_and logical_not logical_or logical_xor logit logspace logsumexp lt lu_solve
    masked_select matmul matrix_power max maximum mean median min minimum mm mode msort mul
    multinomial multiply mv mvlgamma nan_to_num nanmean nanmedian nanquantile narrow_copy ne neg
    negative nextafter nonzero norm normal not_equal ones outer polygamma pow prod qr quantile
    rad2deg rand randint randn randperm range reciprocal remainder renorm round row_stack rsqrt
    scatter scatter_add scatter_reduce searchsorted sgn sigmoid sign signbit sin sinc sinh slogdet
    softmax sort sqrt square stack std sub subtract sum svd take take_along_dim tan tanh tensordot
    topk triangular_solve tril triu true_divide trunc var vdot vstack where xlogy zeros"""

# What PyTorch has both at its top level and in nn.functional.
_FUNCTIONAL = frozenset(
    """
    adaptive_avg_pool1d adaptive_max_pool1d alpha_dropout avg_pool1d bilinear
    binary_cross_entropy_with_logits celu celu_ channel_shuffle conv1d conv2d conv3d conv_tbc
    conv_transpose1d conv_transpose2d conv_transpose3d cosine_similarity dropout
    feature_alpha_dropout group_norm hardshrink layer_norm max_pool1d max_pool1d_with_indices
    max_pool2d max_pool3d pairwise_distance pixel_shuffle pixel_unshuffle prelu rms_norm rrelu
    rrelu_ selu selu_ threshold threshold_
    """.split()  # noqa: SIM905
)

_LAZY = (
    "accelerator",
    "amp",
    "backends",
    "cuda",
    "datasets",
    "func",
    "hub",
    "io",
    "kernels",
    "metrics",
    "models",
    "multiprocessing",
    "nn",
    "optim",
    "profiler",
    "testing",
    "train",
    "transforms",
    "utils",
    "version",
    "viz",
)

# functions of the upper floors: the module of each
_ELSEWHERE = {
    "GradScaler": "amp",
    "anomaly": "autograd",
    "autocast": "amp",
    "compile": "func",
    "load": "io",
    "save": "io",
    "vmap": "func",
}


def __getattr__(name: str) -> Any:
    """Import the upper floors on first use."""
    if name in _LAZY:
        return importlib.import_module(f"tinynet.{name}")
    if name in _FUNCTIONAL:
        return getattr(importlib.import_module("tinynet.nn.functional"), name)
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(f"tinynet.{_ELSEWHERE[name]}"), name)
    if name == "conv2d_plan":
        return importlib.import_module("tinynet.kernels.conv2d.plan").conv2d_plan
    from . import parity

    raise parity.missing("tinynet", name, sys.modules["tinynet"])


newaxis = None


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that shapes have together when broadcast; RuntimeError if they have none."""
    return Size(products.broadcast_shapes(*shapes))


def is_floating_point(input: Any) -> builtins.bool:
    """True for a tensor of float16, float32 or float64."""
    return input.is_floating_point()


def is_complex(input: Any) -> builtins.bool:
    """False: tinynet has no complex dtype."""
    return False


is_conj = is_neg = is_complex


def is_inference(input: Any) -> builtins.bool:
    """False: `inference_mode` marks no tensors."""
    return False


def is_signed(input: Any) -> builtins.bool:
    """True if the tensor's dtype has negative numbers."""
    return input.is_signed()


def is_same_size(input: Any, other: Any) -> builtins.bool:
    """True if both have the same shape."""
    return input.is_same_size(other)


def is_storage(obj: Any) -> builtins.bool:
    """False: tinynet's tensors hold arrays, not storages."""
    return False


def numel(input: Any) -> builtins.int:
    """The number of elements."""
    return input.numel()


def detach(input: Any) -> Any:
    """A tensor on the same memory, without history."""
    return input.detach()


def fill(input: Any, value: Any) -> Any:
    """A copy of input with value everywhere."""
    return input.clone().fill_(value)


def get_device(input: Any) -> builtins.int:
    """The index of the tensor's GPU, -1 for the CPU."""
    return input.get_device()


def is_tensor(obj: Any) -> builtins.bool:
    """True for a Tensor."""
    return isinstance(obj, Tensor)


# The functions that write into their first argument: tinynet.exp_(x) is x.exp_().
for _name in _IN_PLACE.split():
    globals()[_name] = getattr(Tensor, _name)
# Those that can write their result into tensors given as `out`.
for _name in _TAKE_OUT.split():
    globals()[_name] = takes_out(globals()[_name])
