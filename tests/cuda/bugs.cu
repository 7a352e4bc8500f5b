// Planted bugs, one a kernel, and next to some the same without. Blocks have 64 threads.
#include "../../kernels/ptx.cuh"

#define DYNAMIC(T, name)                                  \
  extern __shared__ __align__(16) unsigned char smem[];   \
  T* name = reinterpret_cast<T*>(smem)

__global__ void reverse(float* x) {
  __shared__ float s[64];
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = s[63 - threadIdx.x];
}

__global__ void missing_barrier(float* x) {
  __shared__ float s[64];
  s[threadIdx.x] = x[threadIdx.x];
  x[threadIdx.x] = s[63 - threadIdx.x];
}

__global__ void missing_second_barrier(float* x) {
  __shared__ float s[64];
  for (int i = 0; i < 2; ++i) {
    s[threadIdx.x] = x[threadIdx.x] + i;
    __syncthreads();
    x[threadIdx.x] = s[threadIdx.x ^ 1];
  }
}

__global__ void lost_update(float* x) {
  x[0] += 1;
}

__global__ void blocks_collide(float* x) {
  x[threadIdx.x] = blockIdx.x;
}

__global__ void shuffle_is_no_barrier(float* x) {
  __shared__ float s[64];
  s[threadIdx.x] = x[threadIdx.x];
  float sum = __shfl_xor_sync(0xffffffffu, x[threadIdx.x], 1);
  x[threadIdx.x] = sum + s[threadIdx.x ^ 1];
}

__global__ void warp_barrier(float* x) {
  __shared__ float s[64];
  s[threadIdx.x] = x[threadIdx.x];
  __syncwarp();
  x[threadIdx.x] = s[threadIdx.x ^ 1];
}

__global__ void warp_barrier_across_warps(float* x) {
  __shared__ float s[64];
  s[threadIdx.x] = x[threadIdx.x];
  __syncwarp();
  x[threadIdx.x] = s[threadIdx.x ^ 32];
}

__global__ void past_the_end(float* x, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i <= n) x[i] = 1;
}

__global__ void before_the_beginning(float* x) {
  int i = threadIdx.x - 1;
  x[threadIdx.x] = x[i];
}

__global__ void past_static_shared(float* x) {
  __shared__ float s[64];
  s[threadIdx.x + 1] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = s[threadIdx.x];
}

__global__ void past_dynamic_shared(float* x) {
  DYNAMIC(float, s);
  s[threadIdx.x + 1] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = s[threadIdx.x];
}

__global__ void past_registers(float* x) {
  float row[4] = {1, 2, 3, 4};
  for (int i = 0; i <= 4; ++i) x[threadIdx.x] += row[i];
}

__global__ void null_pointer(float* x, const float* bias) {
  x[threadIdx.x] += bias[threadIdx.x];
}

__global__ void misaligned_global(float* x) {
  float4 v = *reinterpret_cast<float4*>(x + 1);
  x[threadIdx.x] = v.x;
}

__global__ void misaligned_shared(float* x) {
  DYNAMIC(float, s);
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  float2 v = *reinterpret_cast<float2*>(s + threadIdx.x % 63);
  x[threadIdx.x] = v.y;
}

__global__ void uninitialised_static(float* x) {
  __shared__ float s[64];
  if (threadIdx.x < 32) s[threadIdx.x] = 1;
  __syncthreads();
  x[threadIdx.x] = s[threadIdx.x];
}

__global__ void uninitialised_dynamic(float* x) {
  DYNAMIC(float, s);
  atomicAdd(&s[0], x[threadIdx.x]);
  __syncthreads();
  x[threadIdx.x] = s[0];
}

__global__ void divergent_barrier(float* x) {
  if (threadIdx.x % 2) {
    x[threadIdx.x] = 1;
    __syncthreads();  // odd
  } else {
    x[threadIdx.x] = 2;
    __syncthreads();  // even
  }
}

__global__ void barrier_in_a_branch(float* x) {
  if (threadIdx.x < 40) __syncthreads();
  __syncwarp();
  x[threadIdx.x] = 1;
  __syncthreads();
}

__global__ void lanes_missing(float* x) {
  if (threadIdx.x % 2) x[threadIdx.x] = __shfl_sync(0xffffffffu, x[threadIdx.x], 0);
}

__global__ void lane_not_in_mask(float* x) {
  x[threadIdx.x] = __shfl_sync(0x0000ffffu, x[threadIdx.x], 0);
}

__global__ void warp_operations_differ(float* x) {
  if (threadIdx.x % 2)
    x[threadIdx.x] = __shfl_sync(0xffffffffu, x[threadIdx.x], 0);
  else
    __syncwarp();
}

__global__ void copy_waited(float* x) {
  __shared__ __align__(16) float s[64];
  if (threadIdx.x < 16) cp_async16(s + 4 * threadIdx.x, x + 4 * threadIdx.x);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
  x[threadIdx.x] = s[63 - threadIdx.x];
}

__global__ void copy_not_waited(float* x) {
  __shared__ __align__(16) float s[64];
  if (threadIdx.x < 16) cp_async16(s + 4 * threadIdx.x, x + 4 * threadIdx.x);
  cp_async_commit();
  cp_async_wait<1>();
  __syncthreads();
  x[threadIdx.x] = s[63 - threadIdx.x];
}

__global__ void copy_without_barrier(const float* x, float* y) {
  __shared__ __align__(16) float s[64];
  if (threadIdx.x < 16) cp_async16(s + 4 * threadIdx.x, x + 4 * threadIdx.x);
  cp_async_commit();
  cp_async_wait<0>();
  y[threadIdx.x] = s[63 - threadIdx.x];
}

__global__ void copy_misaligned(float* x) {
  __shared__ __align__(16) float s[64];
  if (threadIdx.x < 8) cp_async16(s + 4 * threadIdx.x, x + 4 * threadIdx.x + 1);
  cp_async_commit();
  cp_async_wait<0>();
}

__global__ void atomic_sum(float* x) {
  atomicAdd(&x[0], 1.f);
}

__global__ void order_shows(float* x) {
  x[0] = threadIdx.x;
}
