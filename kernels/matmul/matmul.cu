// Matrix products c = a b, one for each entry of a batch, in register tiles.
//
// One thread computes TM x TN numbers of c, a block BM x BN of them: register_tile.cuh has the inner
// loop and says why it is as it is. conv2d/tiled.cu is the step before, with one number a thread.
//
// Grid: x runs over the columns of c in tiles of BN, y over its rows in tiles of BM, z over the
// batch and, for a long sum that gives few tiles, over the pieces it is cut into. How it is cut
// depends on the shape alone, and sum_parts adds the pieces in order: the same bits every run.
//
// Shared memory: two pieces of a and two of b, 16.5 KB for 128 x 128 x 8 floats.
//
// An operand may lie in memory by rows or by columns (x @ w.T reads w by columns without moving it),
// so each has its own order of loading: along k, in vectors, or along the rows of a (columns of b).
//
// Arithmetic intensity: BM BN / (2 (BM + BN)) FLOP a byte in float; 32 for 128 x 128.

#include "../register_tile.cuh"
#include "operands.cuh"

// parts (splits, batch, M, N): the sum over `length` of K, which is a multiple of BK.
template <typename T, int BM, int BN, int BK, int TM, int TN, Order A_ORDER, Order B_ORDER>
__global__ void __launch_bounds__((BM / TM) * (BN / TN), 1)
matmul(const T* __restrict__ a, const T* __restrict__ b, T* __restrict__ parts, const Operand a_strides,
       const Operand b_strides, int M, int N, int K, int batch, int length) {
  const int entry = blockIdx.z % batch, begin = blockIdx.z / batch * length;
  const int end = min(K, begin + length), m = blockIdx.y * BM, n = blockIdx.x * BN;
  const Strided<T> left = {a + entry * a_strides.batch_stride, a_strides, M, end};
  const Strided<T> right = {b + entry * b_strides.batch_stride, b_strides, N, end};
  const RowMajor<T> product = {parts + (long long)blockIdx.z * M * N, M, N};
  RegisterTile<T, BM, BN, BK, TM, TN, A_ORDER, B_ORDER> tile;
  tile.multiply(left, right, m, n, begin, end);
  tile.write(product, m, n);
}
