// Batch normalisation. x (N, C, spatial) has M = N spatial values in each channel.
//
// Two launches each way: the first sums, the second applies. A channel is cut into chunks, a block
// of 256 threads sums one chunk, by a tree of fixed shape (block_sum.cuh), and leaves its sums in a
// workspace; the blocks of the second launch add a channel's chunks, all in the same order. So the
// result has the same bits every run, which atomic additions would not give.
//
// Grid: x runs over the chunks of a channel, y over the channels (further ones in turn). Neighbouring
// threads read neighbouring values: loads are coalesced wherever spatial is long.
//
// Shared memory: one number a warp, where the warps' sums meet.
//
// Numerics: sums are double, even of floats. sum(x^2) - M mean^2 would cancel where the mean is
// large beside the spread, so a chunk takes its own mean first, then the squares about that (its
// values are in the cache by then), and chunks are put together by Chan's formula,
//
//     M var = sum over chunks of (squares + count (chunk's mean - mean)^2)
//
// (Chan, Golub and LeVeque 1983). x - mean is taken in double, then rounded.
//
// Arithmetic intensity: forward reads x twice from memory and writes it once, 12 bytes for about 8
// operations in float. It is a matter of memory bandwidth, and of fusing it with its neighbours.

#include "../block_sum.cuh"
#include "../divisor.cuh"
#include "../numbers.cuh"

enum { THREADS = 256 };

struct Channels {
  long long image, plane;  // C spatial, spatial
  int C, count, chunk, chunks;  // count is M, chunk how many values of a channel a block takes
  Divisor spatial;

  __device__ __forceinline__ long long offset(int c, int i) const {
    const int n = spatial.quotient(i);
    return n * image + c * plane + (i - n * spatial.divisor);
  }
};

// What a channel's chunks have found out.
struct Statistics {
  double mean, var;

  // chunk_sums (C, chunks, 2): mean and squares about it.
  __device__ Statistics(const double* chunk_sums, int c, const Channels& s) : mean(0), var(0) {
    const double* mine = chunk_sums + (long long)c * s.chunks * 2;
    for (int i = 0; i < s.chunks; ++i) mean += mine[2 * i] * size(i, s);
    mean /= s.count;
    for (int i = 0; i < s.chunks; ++i) {
      const double apart = mine[2 * i] - mean;
      var += mine[2 * i + 1] + size(i, s) * apart * apart;
    }
    var /= s.count;
  }
  __device__ static int size(int chunk, const Channels& s) {
    return min(s.chunk, s.count - chunk * s.chunk);
  }
};

template <typename T>
__global__ void __launch_bounds__(THREADS)
batch_norm_statistics(const T* __restrict__ x, double* __restrict__ chunk_sums, const Channels s) {
  const int begin = blockIdx.x * s.chunk, end = min(s.count, begin + s.chunk);
  for (int c = blockIdx.y; c < s.C; c += gridDim.y) {
    double sum = 0, squares = 0;
    for (int i = begin + threadIdx.x; i < end; i += THREADS) sum += x[s.offset(c, i)];
    const double mean = block_sum<THREADS>(sum) / (end - begin);
    for (int i = begin + threadIdx.x; i < end; i += THREADS) {
      const double apart = x[s.offset(c, i)] - mean;
      squares += apart * apart;
    }
    squares = block_sum<THREADS>(squares);
    if (threadIdx.x == 0) {
      double* out = chunk_sums + ((long long)c * s.chunks + blockIdx.x) * 2;
      out[0] = mean, out[1] = squares;
    }
  }
}

// y = (x - mean) / sqrt(var + eps) weight + bias, and mean and var rounded, for backward.
template <typename T>
__global__ void __launch_bounds__(THREADS)
batch_norm_apply(const T* __restrict__ x, const double* __restrict__ chunk_sums,
                 const T* __restrict__ weight, const T* __restrict__ bias, T* __restrict__ y,
                 T* __restrict__ mean_out, T* __restrict__ var_out, const Channels s, double eps) {
  const int begin = blockIdx.x * s.chunk, end = min(s.count, begin + s.chunk);
  for (int c = blockIdx.y; c < s.C; c += gridDim.y) {
    const Statistics found(chunk_sums, c, s);
    const T scale = T(rsqrt(found.var + eps)), gain = weight ? weight[c] : T(1);
    const T shift = bias ? bias[c] : T(0);
    for (int i = begin + threadIdx.x; i < end; i += THREADS) {
      const long long at = s.offset(c, i);
      y[at] = T(x[at] - found.mean) * scale * gain + shift;
    }
    if (blockIdx.x == 0 && threadIdx.x == 0) mean_out[c] = T(found.mean), var_out[c] = T(found.var);
  }
}

// The same with mean and var from elsewhere, such as running averages in evaluation.
template <typename T>
__global__ void __launch_bounds__(THREADS)
batch_norm_normalize(const T* __restrict__ x, const T* __restrict__ mean, const T* __restrict__ var,
                     const T* __restrict__ weight, const T* __restrict__ bias, T* __restrict__ y,
                     const Channels s, double eps) {
  const int begin = blockIdx.x * s.chunk, end = min(s.count, begin + s.chunk);
  for (int c = blockIdx.y; c < s.C; c += gridDim.y) {
    const double center = mean[c];
    const T scale = T(1 / sqrt(var[c] + eps)), gain = weight ? weight[c] : T(1);
    const T shift = bias ? bias[c] : T(0);
    for (int i = begin + threadIdx.x; i < end; i += THREADS) {
      const long long at = s.offset(c, i);
      y[at] = T(x[at] - center) * scale * gain + shift;
    }
  }
}

// Backward's three sums in one reading: dy, dy (x - mean), x - mean. The last is 0 but for the
// rounding of mean, which can be large beside a small spread; it is put right in the second launch.
template <typename T>
__global__ void __launch_bounds__(THREADS)
batch_norm_backward_sums(const T* __restrict__ dy, const T* __restrict__ x,
                         const T* __restrict__ mean, double* __restrict__ chunk_sums,
                         const Channels s) {
  const int begin = blockIdx.x * s.chunk, end = min(s.count, begin + s.chunk);
  for (int c = blockIdx.y; c < s.C; c += gridDim.y) {
    const double center = mean[c];
    double sum = 0, product = 0, offset = 0;
    for (int i = begin + threadIdx.x; i < end; i += THREADS) {
      const long long at = s.offset(c, i);
      const double apart = x[at] - center;
      sum += dy[at], product += dy[at] * apart, offset += apart;
    }
    sum = block_sum<THREADS>(sum), product = block_sum<THREADS>(product);
    offset = block_sum<THREADS>(offset);
    if (threadIdx.x == 0) {
      double* out = chunk_sums + ((long long)c * s.chunks + blockIdx.x) * 3;
      out[0] = sum, out[1] = product, out[2] = offset;
    }
  }
}

// dx = weight / sqrt(var + eps) (dy - dbias / M - z dweight / M), with z the normalised x.
template <typename T>
__global__ void __launch_bounds__(THREADS, 1)
batch_norm_backward(const T* __restrict__ dy, const T* __restrict__ x, const T* __restrict__ weight,
                    const T* __restrict__ mean, const T* __restrict__ var,
                    const double* __restrict__ chunk_sums, T* __restrict__ dx,
                    T* __restrict__ dweight, T* __restrict__ dbias, const Channels s, double eps) {
  const int begin = blockIdx.x * s.chunk, end = min(s.count, begin + s.chunk);
  for (int c = blockIdx.y; c < s.C; c += gridDim.y) {
    double sum = 0, product = 0, offset = 0;
#pragma unroll 4  // more takes up to twice the registers
    for (int i = 0; i < s.chunks; ++i) {
      const double* mine = chunk_sums + ((long long)c * s.chunks + i) * 3;
      sum += mine[0], product += mine[1], offset += mine[2];
    }
    offset /= s.count;
    const double center = mean[c] + offset, inverse = rsqrt(var[c] + eps);
    const double slope = (product - offset * sum) * inverse;  // dweight
    const T scale = T(weight ? inverse * weight[c] : inverse), drop = T(sum / s.count);
    const T tilt = T(inverse * slope / s.count);
    for (int i = begin + threadIdx.x; i < end; i += THREADS) {
      const long long at = s.offset(c, i);
      dx[at] = scale * (dy[at] - drop - T(x[at] - center) * tilt);
    }
    if (blockIdx.x == 0 && threadIdx.x == 0) dweight[c] = T(slope), dbias[c] = T(sum);
  }
}
