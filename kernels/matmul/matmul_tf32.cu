// Matrix products on the tensor cores, in TF32: matmul.cu with the tile of tensor_core_tile.cuh.
//
// Changed against `matmul`: a warp, not a thread, multiplies, and what it multiplies is float
// rounded to 10 bits of mantissa; therefore it runs only where `allow_tf32` says so. Float only.
//
// Grid: as in matmul.cu. A block has (BM / WM) (BN / WN) warps. Shared memory: dynamic, three pieces
// of a and three of b, 56 to 61 KB for 128 x 128. Arithmetic intensity: 32 FLOP a byte.

#include "../tensor_core_tile.cuh"
#include "operands.cuh"

// parts (splits, batch, M, N): the sum over `length` of K, which is a multiple of 16.
template <int BM, int BN, int WM, int WN, Order A_ORDER, Order B_ORDER>
__global__ void __launch_bounds__((BM / WM) * (BN / WN) * 32, 1)
matmul_tf32(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ parts,
            const Operand a_strides, const Operand b_strides, int M, int N, int K, int batch,
            int length) {
  const int entry = blockIdx.z % batch, begin = blockIdx.z / batch * length;
  const int end = min(K, begin + length), m = blockIdx.y * BM, n = blockIdx.x * BN;
  const Strided<float> left = {a + entry * a_strides.batch_stride, a_strides, M, end};
  const Strided<float> right = {b + entry * b_strides.batch_stride, b_strides, N, end};
  const RowMajor<float> product = {parts + (long long)blockIdx.z * M * N, M, N};
  TensorCoreTile<BM, BN, WM, WN, A_ORDER, B_ORDER> tile;
  tile.multiply(left, right, m, n, begin, end);
  tile.write(product, m, n);
}
