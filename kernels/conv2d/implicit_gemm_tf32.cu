// Convolution, step 5: the same products on the tensor cores, in TF32.
//
// Changed against `implicit_gemm`: a warp, not a thread, multiplies (tensor_core_tile.cuh has the
// inner loop), and copies run beside the program, two pieces ahead. What is multiplied is float
// rounded to 10 bits of mantissa, so results differ from float's by about 1e-3 of their terms:
// therefore it runs only where `allow_tf32` says so. Float only.
//
// Grid: as in `implicit_gemm`. A block has (BM / WM) (BN / WN) warps.
//
// Shared memory, dynamic because it is more than the 48 KB that a block has without asking: three
// pieces of a and three of b, 56 KB for 128 x 128.
//
// Arithmetic intensity: 32 FLOP a byte from global memory for 128 x 128, as before; the tensor cores
// of an H200 would need about 100. The second-level cache makes up for most of it: the blocks that
// run at one time share rows and columns.

#include "../tensor_core_tile.cuh"
#include "products.cuh"

template <int BM, int BN, int WM, int WN>
__global__ void __launch_bounds__((BM / WM) * (BN / WN) * 32, 1)
implicit_gemm_tf32_forward(const float* __restrict__ x, const float* __restrict__ w,
                           const float* __restrict__ bias, float* __restrict__ y, const Pass pass,
                           int with_relu) {
  const Forward<float> product(x, w, bias, y, pass, blockIdx.z, with_relu);
  const int m = blockIdx.y * BM, n = blockIdx.x * BN;
  TensorCoreTile<BM, BN, WM, WN, IN_VECTORS, ALONG_OUTER> tile;
  tile.multiply(product.a, product.b, m, n, product.begin(), product.end());
  tile.write(product, m, n);
}

template <int BM, int BN, int WM, int WN>
__global__ void __launch_bounds__((BM / WM) * (BN / WN) * 32, 1)
implicit_gemm_tf32_grad_input(const float* __restrict__ dy, const float* __restrict__ w,
                              float* __restrict__ dx, const Pass pass) {
  const GradInput<float> product(dy, w, dx, pass, blockIdx.z);
  const int m = blockIdx.y * BM, n = blockIdx.x * BN;
  TensorCoreTile<BM, BN, WM, WN, ALONG_K, ALONG_OUTER> tile;
  tile.multiply(product.a, product.b, m, n, product.begin(), product.end());
  tile.write(product, m, n);
}

template <int BM, int BN, int WM, int WN>
__global__ void __launch_bounds__((BM / WM) * (BN / WN) * 32, 1)
implicit_gemm_tf32_grad_weight(const float* __restrict__ dy, const float* __restrict__ x,
                               float* __restrict__ parts, const Pass pass, int groups, int length) {
  const int split = blockIdx.z / groups, begin = split * length;
  float* dw = parts + (long long)split * groups * pass.rows * pass.taps;
  const GradWeight<float> product(dy, x, dw, pass, blockIdx.z % groups, begin, begin + length);
  const int m = blockIdx.y * BM, n = blockIdx.x * BN;
  TensorCoreTile<BM, BN, WM, WN, IN_VECTORS, ALONG_K> tile;
  tile.multiply(product.a, product.b, m, n, product.begin(), product.end());
  tile.write(product, m, n);
}
