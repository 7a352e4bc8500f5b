// Convolution, step 2: a block of threads shares what it loads.
//
// Changed against `naive`: the three passes are read as matrix products (products.cuh), and a block
// of 16 x 16 threads computes a 16 x 16 tile of the result together. One thread still computes one
// number, sum over k of a[m, k] b[k, n]; but the sum goes in pieces of 16, and for each piece every
// thread loads one element of a and one of b into shared memory, where all 16 threads of its row,
// or of its column, find it. Each element is loaded from global memory 16 times less often.
//
// Grid: x runs over the columns n in tiles of 16, y over the rows m, z over the groups (and,
// for grad_weight, the pieces that its long sum is cut into).
//
// Shared memory: one 16 x 16 tile of a and one of b, 2 KB in float. Two barriers a piece: nobody
// may read a tile before it is full, and nobody may refill it while another still reads.
//
// Arithmetic intensity: 2 loads for 16 multiplications and additions, 4 FLOP a byte in float. What
// limits it now is shared memory: two reads from there for every multiplication.

#include "products.cuh"

enum { TILE = 16 };

template <typename T, class Product> __device__ void multiply_tile(const Product& product) {
  __shared__ T a[TILE][TILE], b[TILE][TILE];
  const int x = threadIdx.x, y = threadIdx.y;
  const int m = blockIdx.y * TILE + y, n = blockIdx.x * TILE + x;
  const auto row = product.a.outer(m);
  const auto column = product.b.outer(n);
  T sum = 0;
  for (int k = product.begin(); k < product.end(); k += TILE) {
    a[y][x] = product.a.at(row, product.a.inner(k + x));
    b[y][x] = product.b.at(column, product.b.inner(k + y));
    __syncthreads();
#pragma unroll
    for (int i = 0; i < TILE; ++i) sum += a[y][i] * b[i][x];
    __syncthreads();
  }
  // Threads outside the result had to come along this far: they loaded for the others.
  if (m < product.M() && n < product.N())
    product.column(n)[product.row_offset(m)] = product.finish(sum, m);
}

template <typename T>
__global__ void __launch_bounds__(TILE * TILE)
tiled_forward(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ bias,
              T* __restrict__ y, const Pass pass, int with_relu) {
  multiply_tile<T>(Forward<T>(x, w, bias, y, pass, blockIdx.z, with_relu));
}

template <typename T>
__global__ void __launch_bounds__(TILE * TILE)
tiled_grad_input(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx,
                 const Pass pass) {
  multiply_tile<T>(GradInput<T>(dy, w, dx, pass, blockIdx.z));
}

// parts (splits, K, C / groups, R, S): piece blockIdx.z / groups of the sum, of `length` pixels.
template <typename T>
__global__ void __launch_bounds__(TILE * TILE)
tiled_grad_weight(const T* __restrict__ dy, const T* __restrict__ x, T* __restrict__ parts,
                  const Pass pass, int groups, int length) {
  const int split = blockIdx.z / groups, begin = split * length;
  T* dw = parts + (long long)split * groups * pass.rows * pass.taps;
  multiply_tile<T>(GradWeight<T>(dy, x, dw, pass, blockIdx.z % groups, begin, begin + length));
}
