// Sums over the threads of a block, by a tree of fixed shape: the same bits every run.
//
// Within a warp, values go from register to register (a shuffle), 16 lanes to the other 16, then 8,
// 4, 2, 1; then the warps' sums meet in shared memory. Every thread gets the result.
#pragma once

template <typename T> __device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value += __shfl_xor_sync(0xffffffffu, value, distance);
  return value;
}

// THREADS is the block's size, a multiple of 32.
template <int THREADS, typename T> __device__ __forceinline__ T block_sum(T value) {
  __shared__ T warps[THREADS / 32];
  value = warp_sum(value);
  __syncthreads();  // an earlier sum may still be read
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  T sum = 0;
#pragma unroll
  for (int i = 0; i < THREADS / 32; ++i) sum += warps[i];
  return sum;
}
