// Convolution, step 1: one thread computes one number of the result, by the definition.
//
//     y[n, k, p, q] = bias[k] + sum over c, r, s of
//         x[n, c, p stride + r dilation - pad, q stride + s dilation - pad] w[k, c, r, s]
//
// Grid: as many blocks of 256 threads as the result has numbers, the last axis running fastest, so
// that the threads of a warp (32 neighbours) read neighbouring pixels of the same row in the same
// step: the loads are coalesced. All of them read the same weight, which is broadcast.
//
// Shared memory: none. Every pixel is read again by each filter position and filter that meets it:
// K R S times in all, from the caches at best.
//
// Arithmetic intensity: two loads for one multiplication and addition, 0.25 FLOP a byte in float.
// An H200 needs about 14 to keep its float32 units busy. Everything from here on is about that gap.
//
// The gradients are the same sum read for another of its factors. One thread still owns one number
// of the result and *gathers* what belongs to it. Scattering (each output adding to the pixels it
// came from) would let threads add to one number at the same time: a race, or atomic additions,
// whose order, and so whose rounding, changes from run to run.

#include "../numbers.cuh"
#include "shape.cuh"

__device__ __forceinline__ long long thread_index() {
  return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}

template <typename T>
__global__ void naive_forward(const T* __restrict__ x, const T* __restrict__ w,
                              const T* __restrict__ bias, T* __restrict__ y, Conv2dShape d,
                              int with_relu) {
  long long i = thread_index();
  if (i >= (long long)d.N * d.K * d.P * d.Q) return;
  int q = i % d.Q, p = i / d.Q % d.P, k = i / d.Q / d.P % d.K;
  long long n = i / d.Q / d.P / d.K;
  int channels = d.C / d.groups, first = k / (d.K / d.groups) * channels;
  T sum = 0;
  for (int c = 0; c < channels; ++c)
    for (int r = 0; r < d.R; ++r)
      for (int s = 0; s < d.S; ++s) {
        int h = p * d.stride_h + r * d.dilation_h - d.pad_h;
        int v = q * d.stride_w + s * d.dilation_w - d.pad_w;
        if (h < 0 || h >= d.H || v < 0 || v >= d.W) continue;  // padding is 0
        sum += x[((n * d.C + first + c) * d.H + h) * d.W + v] *
               w[(((long long)k * channels + c) * d.R + r) * d.S + s];
      }
  if (bias) sum += bias[k];
  y[i] = with_relu ? relu(sum) : sum;
}

// dx[n, c, h, v] gathers dy w from every output whose window holds the pixel (h, v): for each
// filter position (r, s) that is the output p = (h + pad - r dilation) / stride, if it exists.
template <typename T>
__global__ void naive_grad_input(const T* __restrict__ dy, const T* __restrict__ w,
                                 T* __restrict__ dx, Conv2dShape d) {
  long long i = thread_index();
  if (i >= (long long)d.N * d.C * d.H * d.W) return;
  int v = i % d.W, h = i / d.W % d.H, c = i / d.W / d.H % d.C;
  long long n = i / d.W / d.H / d.C;
  int channels = d.C / d.groups, filters = d.K / d.groups, first = c / channels * filters;
  T sum = 0;
  for (int k = first; k < first + filters; ++k)
    for (int r = 0; r < d.R; ++r) {
      int top = h + d.pad_h - r * d.dilation_h, p = top / d.stride_h;
      if (top < 0 || top % d.stride_h || p >= d.P) continue;
      for (int s = 0; s < d.S; ++s) {
        int left = v + d.pad_w - s * d.dilation_w, q = left / d.stride_w;
        if (left < 0 || left % d.stride_w || q >= d.Q) continue;
        sum += dy[((n * d.K + k) * d.P + p) * d.Q + q] *
               w[(((long long)k * channels + c % channels) * d.R + r) * d.S + s];
      }
    }
  dx[i] = sum;
}

// dw[k, c, r, s] sums over every output of every image: few threads with much to do each, and the
// threads of a warp read different rows. The next steps split this sum.
template <typename T>
__global__ void naive_grad_weight(const T* __restrict__ dy, const T* __restrict__ x,
                                  T* __restrict__ dw, Conv2dShape d) {
  long long i = thread_index();
  int channels = d.C / d.groups;
  if (i >= (long long)d.K * channels * d.R * d.S) return;
  int s = i % d.S, r = i / d.S % d.R, c = i / d.S / d.R % channels;
  long long k = i / d.S / d.R / channels;
  c += k / (d.K / d.groups) * channels;
  T sum = 0;
  for (long long n = 0; n < d.N; ++n)
    for (int p = 0; p < d.P; ++p) {
      int h = p * d.stride_h + r * d.dilation_h - d.pad_h;
      if (h < 0 || h >= d.H) continue;
      for (int q = 0; q < d.Q; ++q) {
        int v = q * d.stride_w + s * d.dilation_w - d.pad_w;
        if (v < 0 || v >= d.W) continue;
        sum += dy[((n * d.K + k) * d.P + p) * d.Q + q] * x[((n * d.C + c) * d.H + h) * d.W + v];
      }
    }
  dw[i] = sum;
}
