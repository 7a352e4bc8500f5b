// Softmax cross-entropy: one warp computes one row, 32 lanes striding over its C classes.
//
// Grid: blocks of 8 warps over the N rows. Neighbouring lanes read neighbouring logits: coalesced.
//
// Shared memory: none. The lanes' maxima and sums meet by shuffles, register to register, in a tree
// of fixed shape. The row is read three times (maximum, sum, gradient), the second and third time
// from the cache.
//
// A label that is no class cannot raise an error from here, and reading a flag back at every step
// would make the CPU wait for the GPU. So its row loses NaN, and row and label are noted in `report`,
// which is read when somebody reads a result. Of several wrong rows the lowest is kept, by atomicMin
// on integers, whose result does not depend on which row comes first.
//
// Arithmetic intensity: forward reads 4 bytes for about 12 operations (an exponential among them).

#include "../block_sum.cuh"
#include "../numbers.cuh"

enum { WARPS = 8 };

// max that NaN wins
template <typename T> __device__ __forceinline__ T larger(T a, T b) {
  return a > b || is_nan(a) ? a : b;
}

template <typename T>
__global__ void __launch_bounds__(32 * WARPS, 1)
cross_entropy_forward(const T* __restrict__ logits, const long long* __restrict__ target,
                      T* __restrict__ loss, T* __restrict__ logsumexp,
                      unsigned long long* __restrict__ kept,
                      unsigned long long* __restrict__ report, long long N, int C,
                      long long ignore_index) {
  const long long n = (long long)blockIdx.x * WARPS + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (n >= N) return;  // the whole warp
  const T* row = logits + n * C;
  T highest = -infinity<T>();
  for (int c = lane; c < C; c += 32) highest = larger(row[c], highest);
  for (int distance = 16; distance > 0; distance /= 2)
    highest = larger(__shfl_xor_sync(0xffffffffu, highest, distance), highest);
  T total = 0;
  for (int c = lane; c < C; c += 32) total += exp(row[c] - highest);
  total = log(warp_sum(total));
  if (lane > 0) return;
  logsumexp[n] = highest + total;
  const long long label = target[n];
  if (label == ignore_index) {
    loss[n] = 0;
    return;
  }
  atomicAdd(kept, 1ull);  // how many rows count: whole numbers, so the order does not matter
  if (label < 0 || label >= C) {
    loss[n] = -infinity<T>() + infinity<T>();
    const int shown = label < 0 ? (int)max(label, -2147483647ll) : (int)min(label, 2147483647ll);
    atomicMin(report, (unsigned long long)n << 32 | (unsigned)shown);
  } else {
    loss[n] = (highest - row[label]) + total;  // highest + total would round the logarithm away
  }
}

// dlogits = dloss (softmax - onehot). logsumexp carries its own rounding error as a factor of the
// whole row, which dividing by the row's sum removes.
template <typename T>
__global__ void __launch_bounds__(32 * WARPS, 1)
cross_entropy_backward(const T* __restrict__ dloss, const T* __restrict__ logits,
                       const long long* __restrict__ target, const T* __restrict__ logsumexp,
                       T* __restrict__ dlogits, long long N, int C, long long ignore_index) {
  const long long n = (long long)blockIdx.x * WARPS + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (n >= N) return;
  const T* row = logits + n * C;
  T* out = dlogits + n * C;
  const long long label = target[n];
  if (label == ignore_index) {
    for (int c = lane; c < C; c += 32) out[c] = 0;
    return;
  }
  const T shift = logsumexp[n], gain = dloss[n];
  T total = 0;
  for (int c = lane; c < C; c += 32) total += exp(row[c] - shift);
  total = warp_sum(total);
  for (int c = lane; c < C; c += 32)
    out[c] = (exp(row[c] - shift) / total - T(c == label)) * gain;
}
