"""Matrix products, batched."""

# Multiplications up to which calling a kernel costs more than the product itself. NumPy's BLAS
# computes products of this size on the calling thread (OpenBLAS starts threads above 2^18), so
# that its pool and the kernels' do not meet.
SMALL = 2**18
