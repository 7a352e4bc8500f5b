// Pooling: a window becomes its maximum, or its mean. One thread computes one number of the result.
//
// Grid: blocks of 256 threads over the result, the last axis running fastest: the threads of a warp
// read neighbouring windows, so their loads lie together. Counts fit 31 bits (the launcher cuts the
// batch), offsets are 64 bits wide.
//
// Shared memory: none. Windows overlap little (2 x 2 not at all), and what two of them share is in
// the first-level cache. These kernels move memory and hardly compute: about one comparison or
// addition for each 4 bytes of float read, so an H200 spends its time on loads and stores alone.
//
// Backward *gathers*: the thread of an input pixel asks each window that holds the pixel what it
// owes it. Scattering from the windows would need atomic additions where windows overlap.

#include "../divisor.cuh"
#include "../numbers.cuh"

struct Pool {
  int count;  // of threads: numbers of y, or for backward of dx
  int H, W, R, S, P, Q;
  int stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  Divisor plane, row;  // of what the threads run over: P Q and Q, or for backward H W and W
};

// Where a thread stands: plane (n C + c), row and column.
struct Place {
  int plane, row, column;

  __device__ Place(int i, const Pool& pool) {
    plane = pool.plane.quotient(i);
    const int rest = i - plane * pool.plane.divisor;
    row = pool.row.quotient(rest), column = rest - row * pool.row.divisor;
  }
};

// Which windows of one axis hold the pixel i: those from first to last that meet it exactly.
struct Holders {
  int first, last, top, stride, dilation;

  __device__ Holders(int i, int windows, int window, int stride, int pad, int dilation)
      : top(i + pad), stride(stride), dilation(dilation) {
    const int reach = top - (window - 1) * dilation;
    first = reach > 0 ? (reach + stride - 1) / stride : 0;
    last = min(windows - 1, top / stride);
  }
  __device__ bool holds(int p) const { return (top - p * stride) % dilation == 0; }
};

template <typename T>
__global__ void max_forward(const T* __restrict__ x, T* __restrict__ y,
                            long long* __restrict__ index, const Pool pool) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= pool.count) return;
  const Place at(i, pool);
  const T* plane = x + (long long)at.plane * pool.H * pool.W;
  T largest = -infinity<T>();
  int where = -1;  // no pixel met yet
  for (int r = 0; r < pool.R; ++r) {
    const int h = at.row * pool.stride_h + r * pool.dilation_h - pool.pad_h;
    if (h < 0 || h >= pool.H) continue;
    for (int s = 0; s < pool.S; ++s) {
      const int w = at.column * pool.stride_w + s * pool.dilation_w - pool.pad_w;
      if (w < 0 || w >= pool.W) continue;
      const T value = plane[(long long)h * pool.W + w];
      // The first of equal ones wins, and the first NaN.
      if (where < 0 || value > largest || (is_nan(value) && !is_nan(largest)))
        largest = value, where = h * pool.W + w;
    }
  }
  y[i] = largest;
  index[i] = where;
}

template <typename T>
__global__ void max_backward(const T* __restrict__ dy, const long long* __restrict__ index,
                             T* __restrict__ dx, const Pool pool) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= pool.count) return;
  const Place at(i, pool);
  const long long first = (long long)at.plane * pool.P * pool.Q;
  const Holders rows(at.row, pool.P, pool.R, pool.stride_h, pool.pad_h, pool.dilation_h);
  const Holders columns(at.column, pool.Q, pool.S, pool.stride_w, pool.pad_w, pool.dilation_w);
  const long long mine = (long long)at.row * pool.W + at.column;
  T sum = 0;
  for (int p = rows.first; p <= rows.last; ++p)
    for (int q = columns.first; q <= columns.last; ++q) {
      const long long window = first + (long long)p * pool.Q + q;
      if (index[window] == mine) sum += dy[window];
    }
  dx[i] = sum;
}

// y = x at `index`, the adjoint of max_backward.
template <typename T>
__global__ void max_gather(const T* __restrict__ x, const long long* __restrict__ index,
                           T* __restrict__ y, const Pool pool) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= pool.count) return;
  const Place at(i, pool);
  y[i] = x[(long long)at.plane * pool.H * pool.W + index[i]];
}

// What the sum of window p (of one axis) is divided by: its pixels inside the image, or inside the
// padded image. The window's divisor is the product over both axes, or the caller's.
__device__ __forceinline__ int counted(int p, int size, int window, int stride, int pad,
                                       int dilation, int include_pad) {
  const int margin = include_pad ? pad : 0;
  int count = 0;
  for (int r = 0; r < window; ++r) {
    const int i = p * stride + r * dilation - pad;
    count += i >= -margin && i < size + margin;
  }
  return count;
}

template <typename T>
__device__ T divisor(int p, int q, const Pool& pool, int include_pad, int given) {
  if (given) return T(given);
  return T(counted(p, pool.H, pool.R, pool.stride_h, pool.pad_h, pool.dilation_h, include_pad) *
           counted(q, pool.W, pool.S, pool.stride_w, pool.pad_w, pool.dilation_w, include_pad));
}

template <typename T>
__global__ void avg_forward(const T* __restrict__ x, T* __restrict__ y, const Pool pool,
                            int include_pad, int given) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= pool.count) return;
  const Place at(i, pool);
  const T* plane = x + (long long)at.plane * pool.H * pool.W;
  T sum = 0;
  for (int r = 0; r < pool.R; ++r) {
    const int h = at.row * pool.stride_h + r * pool.dilation_h - pool.pad_h;
    if (h < 0 || h >= pool.H) continue;
    for (int s = 0; s < pool.S; ++s) {
      const int w = at.column * pool.stride_w + s * pool.dilation_w - pool.pad_w;
      if (w >= 0 && w < pool.W) sum += plane[(long long)h * pool.W + w];
    }
  }
  y[i] = sum / divisor<T>(at.row, at.column, pool, include_pad, given);
}

template <typename T>
__global__ void avg_backward(const T* __restrict__ dy, T* __restrict__ dx, const Pool pool,
                             int include_pad, int given) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= pool.count) return;
  const Place at(i, pool);
  const long long first = (long long)at.plane * pool.P * pool.Q;
  const Holders rows(at.row, pool.P, pool.R, pool.stride_h, pool.pad_h, pool.dilation_h);
  const Holders columns(at.column, pool.Q, pool.S, pool.stride_w, pool.pad_w, pool.dilation_w);
  T sum = 0;
  for (int p = rows.first; p <= rows.last; ++p) {
    if (!rows.holds(p)) continue;
    for (int q = columns.first; q <= columns.last; ++q)
      if (columns.holds(q))
        sum += dy[first + (long long)p * pool.Q + q] / divisor<T>(p, q, pool, include_pad, given);
  }
  dx[i] = sum;
}
