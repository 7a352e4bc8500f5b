// Convolution, step 4: register tiles. The matrix products of products.cuh, at full width.
//
// Changed against `tiled`: a thread computes not one number but TM x TN of them, in registers
// (register_tile.cuh has the inner loop), loads are 16 bytes wide where the memory allows, and the
// next piece is loaded while the present one is multiplied. Against `im2col`: the column matrix is
// never stored. Its elements are fetched from x where they are needed, by divisions (divisor.cuh)
// that many multiplications share.
//
// Grid: x runs over the columns n in tiles of BN, y over the rows m in tiles of BM, z over the
// groups (and the pieces of the sum, as in `tiled`). A block has (BM / TM) (BN / TN) threads.
//
// Shared memory: two pieces of a, BK x BM, and two of b, BK x BN, 16.5 KB for 128 x 128 x 8 floats.
// The pitch is one vector more than the row, so that the threads that store a column of a piece hit
// different banks.
//
// Arithmetic intensity: BM BN / (2 (BM + BN)) FLOP a byte in float, 32 for 128 x 128: more than the
// 14 that an H200 needs. What remains between this kernel and the peak are the instructions that
// find addresses, about one for every six multiplications.

#include "../register_tile.cuh"
#include "products.cuh"

#define TILE_PARAMETERS typename T, int BM, int BN, int BK, int TM, int TN

template <TILE_PARAMETERS>
__global__ void __launch_bounds__((BM / TM) * (BN / TN), 1)
implicit_gemm_forward(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ bias,
                      T* __restrict__ y, const Pass pass, int with_relu) {
  const Forward<T> product(x, w, bias, y, pass, blockIdx.z, with_relu);
  const int m = blockIdx.y * BM, n = blockIdx.x * BN;
  RegisterTile<T, BM, BN, BK, TM, TN, IN_VECTORS, ALONG_OUTER> tile;
  tile.multiply(product.a, product.b, m, n, product.begin(), product.end());
  tile.write(product, m, n);
}

template <TILE_PARAMETERS>
__global__ void __launch_bounds__((BM / TM) * (BN / TN), 1)
implicit_gemm_grad_input(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx,
                         const Pass pass) {
  const GradInput<T> product(dy, w, dx, pass, blockIdx.z);
  const int m = blockIdx.y * BM, n = blockIdx.x * BN;
  RegisterTile<T, BM, BN, BK, TM, TN, ALONG_K, ALONG_OUTER> tile;
  tile.multiply(product.a, product.b, m, n, product.begin(), product.end());
  tile.write(product, m, n);
}

// parts (splits, K, C / groups, R, S): piece blockIdx.z / groups of the sum, of `length` pixels;
// sum_parts then adds the pieces in order. `length` is a multiple of BK.
template <TILE_PARAMETERS>
__global__ void __launch_bounds__((BM / TM) * (BN / TN), 1)
implicit_gemm_grad_weight(const T* __restrict__ dy, const T* __restrict__ x, T* __restrict__ parts,
                          const Pass pass, int groups, int length) {
  const int split = blockIdx.z / groups, begin = split * length;
  T* dw = parts + (long long)split * groups * pass.rows * pass.taps;
  const GradWeight<T> product(dy, x, dw, pass, blockIdx.z % groups, begin, begin + length);
  const int m = blockIdx.y * BM, n = blockIdx.x * BN;
  RegisterTile<T, BM, BN, BK, TM, TN, IN_VECTORS, ALONG_K> tile;
  tile.multiply(product.a, product.b, m, n, product.begin(), product.end());
  tile.write(product, m, n);
}
