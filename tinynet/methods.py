"""Which functions of `tinynet.ops` are methods of Tensor, and which of those write in place.

Tensor's own source names the methods that most programs use; the others follow from these tables.
"""

from __future__ import annotations

from types import ModuleType

from .ops import (
    arithmetic,
    creation,
    elementwise,
    factorization,
    linalg,
    older,
    order,
    pointwise,
    products,
    scattering,
    shape,
    special,
    statistics,
)

# Functions whose first argument is the tensor; "method=function" where the names differ.
METHODS: dict[ModuleType, str] = {
    arithmetic: "arctan2=atan2 fix=trunc",
    pointwise: "acosh arccosh=acosh arcsinh=asinh arctanh=atanh",
    elementwise: """
        addcdiv addcmul angle bitwise_left_shift bitwise_right_shift clamp_max clamp_min conj
        conj_physical copysign deg2rad float_power fmax fmin frac frexp gcd heaviside hypot
        is_nonzero isneginf isposinf isreal lcm ldexp lerp logaddexp logaddexp2 logit nan_to_num
        nextafter positive rad2deg resolve_conj resolve_neg sgn signbit sinc xlogy""",
    special: "digamma erfc erfinv i0 lgamma mvlgamma",
    order: """
        cummax cummin histc histogram kthvalue mode msort nanmean nanmedian nanquantile
        nonzero_static quantile unique_consecutive""",
    statistics: "corrcoef cov logcumsumexp",
    shape: """
        diagflat dsplit hsplit narrow_copy sum_to_size vsplit unsafe_chunk=chunk
        unsafe_split=split unsafe_split_with_sizes=split_with_sizes""",
    scattering: """
        as_strided as_strided_scatter diagonal_scatter index_put index_reduce masked_scatter put
        renorm scatter_reduce select_scatter slice_scatter storage_offset""",
    linalg: "det inverse=inv slogdet",
    products: "addbmm addr cross dist kron",
    factorization: """
        cholesky cholesky_inverse cholesky_solve logdet matrix_exp matrix_power pinverse=pinv""",
    older: "lu lu_solve qr svd triangular_solve",
    creation: "bernoulli multinomial",
}

# Methods whose result is written into the tensor's memory by the method of that name and "_".
IN_PLACE = """
    abs absolute acos acosh addbmm addcdiv addcmul addmm addmv addr arccos arccosh arcsin arcsinh
    arctan arctan2 arctanh asin asinh atan atan2 atanh baddbmm bitwise_and bitwise_left_shift
    bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil clamp clamp_max clamp_min clip
    conj_physical copysign cos cosh cumprod cumsum deg2rad digamma divide eq erf erfc erfinv exp
    exp2 expm1 fix float_power floor floor_divide fmod frac gcd ge greater greater_equal gt
    heaviside hypot i0 index_add index_copy index_fill index_put index_reduce lcm ldexp le lerp
    less less_equal lgamma log log10 log1p log2 logical_and logical_not logical_or logical_xor
    logit lt masked_fill masked_scatter multiply mvlgamma nan_to_num ne neg negative nextafter
    not_equal polygamma put rad2deg reciprocal remainder renorm round rsqrt scatter scatter_add
    scatter_reduce sgn sigmoid sign sin sinc sinh sqrt square subtract tan tanh tril triu
    true_divide trunc xlogy"""

# Views that the method of that name and "_" makes of the tensor itself.
VIEWS_IN_PLACE = """
    as_strided squeeze swapaxes swapdims t transpose unsqueeze"""

# PyTorch's methods that are not here: asking for one says why.
MISSING = """
    bfloat16 ccol_indices cdouble cfloat chalf coalesce col_indices const_data_ptr crow_indices
    dense_dim dequantize eig geqrf grad_dtype hardshrink hash_tensor igamma igamma_ igammac
    igammac_ imag index indices int_repr ipu istft lstsq module_load mtia orgqr ormqr prelu
    q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale q_zero_point
    qscheme reinforce resize resize_as resize_as_sparse_ row_indices slice_inverse smm solve
    sparse_dim sparse_mask sparse_resize_ sparse_resize_and_clear_ sspaddmm stft storage
    storage_type symeig to_mkldnn to_padded_tensor to_sparse to_sparse_bsc to_sparse_bsr
    to_sparse_coo to_sparse_csc to_sparse_csr untyped_storage values volatile xpu"""
