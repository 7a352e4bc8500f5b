// Convolution, step 3: as one matrix product, the columns stored.
//
// Changed against `tiled`: the matrix whose columns are windows of the image is written to memory
// first, by the kernels below, and the product itself is matmul.cu's, or cuBLAS's. It is the oldest
// way, and still a good check; its price is memory, since every pixel is stored R S times.
//
// im2col: one thread writes one entry of columns (N, C, R, S, P, Q), of as many images as the
// workspace holds. col2im: one thread computes one pixel of dx, and adds up, in a fixed order, the
// entries that im2col would have taken from it (added by the entries' own threads, two windows that
// share a pixel would race).
//
// Grid: blocks of 256 threads over the result, the last axis running fastest; im2col's neighbouring
// threads write neighbouring entries and, with stride 1, read neighbouring pixels.
//
// Shared memory: none; each thread has its own numbers.
//
// Arithmetic intensity: none to speak of, 8 bytes for an entry. A 3 x 3 filter on 64 images of
// 64 x 224 x 224 floats has 7.4 GB of columns: written once and read once, 3.4 ms at the 4.3 TB/s
// that an H200 can move, which the steps that gather do not spend.

#include "../numbers.cuh"
#include "shape.cuh"

template <typename T>
__global__ void im2col(const T* __restrict__ x, T* __restrict__ columns, const Conv2dShape d) {
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= (long long)d.N * d.C * d.R * d.S * d.P * d.Q) return;
  const int q = i % d.Q, p = i / d.Q % d.P;
  const long long row = i / d.Q / d.P, plane = row / (d.R * d.S);
  const int s = row % d.S, r = row / d.S % d.R;
  const int h = p * d.stride_h + r * d.dilation_h - d.pad_h;
  const int v = q * d.stride_w + s * d.dilation_w - d.pad_w;
  const bool inside = h >= 0 && h < d.H && v >= 0 && v < d.W;
  columns[i] = inside ? x[(plane * d.H + h) * d.W + v] : T(0);
}

template <typename T>
__global__ void col2im(const T* __restrict__ columns, T* __restrict__ dx, const Conv2dShape d) {
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= (long long)d.N * d.C * d.H * d.W) return;
  const int v = i % d.W, h = i / d.W % d.H;
  const long long plane = i / d.W / d.H;
  T sum = 0;
  for (int r = 0; r < d.R; ++r) {
    const int top = h + d.pad_h - r * d.dilation_h, p = top / d.stride_h;
    if (top < 0 || top % d.stride_h || p >= d.P) continue;
    for (int s = 0; s < d.S; ++s) {
      const int left = v + d.pad_w - s * d.dilation_w, q = left / d.stride_w;
      if (left < 0 || left % d.stride_w || q >= d.Q) continue;
      sum += columns[(((plane * d.R + r) * d.S + s) * d.P + p) * d.Q + q];
    }
  }
  dx[i] = sum;
}

// y = y + bias, then ReLU: what the other steps do before they write y.
template <typename T>
__global__ void add_bias(T* __restrict__ y, const T* __restrict__ bias, long long size, int plane,
                         int channels, int with_relu) {
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= size) return;
  const T sum = bias ? y[i] + bias[i / plane % channels] : y[i];
  y[i] = with_relu ? relu(sum) : sum;
}
