// Small kernels that use one thing each of what the emulator offers.
#include "../../kernels/ptx.cuh"

#define DYNAMIC(T, name)                                  \
  extern __shared__ __align__(16) unsigned char smem[];   \
  T* name = reinterpret_cast<T*>(smem)

enum { SIZE = 64 };

// Where every thread of every block stands, as one number.
__global__ void positions(long long* out) {
  int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  out[(long long)block * blockDim.x * blockDim.y * blockDim.z + thread] =
      blockIdx.x + 10 * blockIdx.y + 100 * blockIdx.z + 1000 * threadIdx.x + 10000 * threadIdx.y +
      100000 * threadIdx.z;
}

template <typename T> __global__ void __launch_bounds__(SIZE) reverse(const T* x, T* y) {
  DYNAMIC(T, s);
  s[threadIdx.x] = x[blockIdx.x * SIZE + threadIdx.x];
  __syncthreads();
  y[blockIdx.x * SIZE + threadIdx.x] = s[SIZE - 1 - threadIdx.x];
}

// Row r of out (12, threads): one warp operation.
__global__ void warp_operations(const int* x, int* out, int width) {
  const int t = threadIdx.x, n = blockDim.x, v = x[t];
  const unsigned all = 0xffffffffu;
  out[0 * n + t] = __shfl_sync(all, v, 3, width);
  out[1 * n + t] = __shfl_up_sync(all, v, 2, width);
  out[2 * n + t] = __shfl_down_sync(all, v, 2, width);
  out[3 * n + t] = __shfl_xor_sync(all, v, 5, width);
  out[4 * n + t] = (int)__ballot_sync(all, v % 3 == 0);
  out[5 * n + t] = __any_sync(all, v == 7);
  out[6 * n + t] = __all_sync(all, v >= 0);
  out[7 * n + t] = __syncthreads_count(v % 2);
  out[8 * n + t] = __syncthreads_or(v == 7);
  out[9 * n + t] = __syncthreads_and(v >= 1);
  // Halves of a warp on their own.
  if (t % 32 < 16) out[10 * n + t] = __shfl_xor_sync(0x0000ffffu, v, 1);
  else out[10 * n + t] = __shfl_down_sync(0xffff0000u, v, 1);
  out[11 * n + t] = (int)__shfl_sync(all, (double)v + 0.5, 0);
}

// Threads that have left do not keep the others from a barrier.
__global__ void some_leave(float* x) {
  __shared__ float s;
  if (threadIdx.x >= 40) return;
  if (threadIdx.x == 0) s = x[0];
  __syncthreads();
  x[threadIdx.x] += s;
}

__global__ void atomics(int* i, float* f, double* d, unsigned long long* u, int* old) {
  const int t = blockIdx.x * blockDim.x + threadIdx.x;
  old[t] = atomicAdd(&i[0], 1);
  atomicSub(&i[1], 2);
  atomicMax(&i[2], t);
  atomicMin(&i[3], -t);
  atomicAnd(&i[4], ~(1 << t % 8));
  atomicOr(&i[5], 1 << t % 8);
  atomicXor(&i[6], t);
  atomicExch(&i[7], 5);
  atomicCAS(&i[8], 0, t + 1);
  atomicAdd(f, 0.5f);
  atomicAdd(d, 0.25);
  atomicMin(u, (unsigned long long)t + 3);
}

__global__ void vectors(const float4* x, float* y, const double2* u, double* v) {
  const float4 a = x[threadIdx.x];
  y[threadIdx.x] = a.x + 10 * a.y + 100 * a.z + 1000 * a.w;
  const double2 b = __ldg(u + threadIdx.x);
  v[threadIdx.x] = b.x - b.y;
  const float2 c = make_float2(1, 2);
  y[threadIdx.x] += c.x - c.y;
}

__global__ void arithmetic(const float* x, float* y, int* z) {
  const float nan = x[0], one = x[1];
  y[0] = max(nan, one), y[1] = min(one, nan), y[2] = max(2, 3.5f), y[3] = rsqrtf(4.f);
  y[4] = __expf(1.f), y[5] = exp(1.f), y[6] = __int_as_float(0x7f800000), y[7] = fmaf(2, 3, 4);
  z[0] = min(3, -2), z[1] = __popc(0xf0f0u), z[2] = __clz(1), z[3] = (int)__umulhi(1u << 31, 6u);
  z[4] = __float_as_int(1.f), z[5] = __ffs(8), z[6] = max(5u, 7u), z[7] = min(1LL << 40, 9LL);
}

// C (16 M, 8 N) = A B by one warp a tile, on the tensor cores, copies one step ahead.
__global__ void tensor_cores(const float* A, const float* B, float* C, int M, int N, int K) {
  __shared__ __align__(16) float a_tile[2][16][12];
  __shared__ __align__(16) float b_tile[2][8][12];
  const int lane = threadIdx.x, g = lane / 4, t = lane % 4;
  const int row = blockIdx.y * 16, column = blockIdx.x * 8;
  float c[4] = {};
  auto stage = [&](int s, int k) {
    const int i = lane / 2, j = lane % 2 * 4;
    cp_async16(&a_tile[s][i][j], A + (long long)(row + i) * K + k + j, row + i < M);
    if (i < 8) cp_async16(&b_tile[s][i][j], B + (long long)(k + i) * N + column + j);
    cp_async_commit();
  };
  stage(0, 0);
  for (int k = 0, s = 0; k < K; k += 8, s ^= 1) {
    if (k + 8 < K) {
      stage(s ^ 1, k + 8);
      cp_async_wait<1>();
    } else {
      cp_async_wait<0>();
    }
    __syncwarp();
    unsigned a[4], b[2];
    for (int e = 0; e < 4; ++e) a[e] = to_tf32(a_tile[s][g + e % 2 * 8][t + e / 2 * 4]);
    for (int e = 0; e < 2; ++e) b[e] = to_tf32(b_tile[s][t + e * 4][g]);
    mma_m16n8k8_tf32(c, a, b);
    __syncwarp();
  }
  for (int e = 0; e < 4; ++e) {
    const int i = row + g + e / 2 * 8, j = column + t * 2 + e % 2;
    if (i < M) C[i * N + j] = c[e];
  }
}

__global__ void prints(int n) {
  if (threadIdx.x == 1) printf("thread %d of block %d: %d\n", threadIdx.x, blockIdx.x, n);
}

struct Shape {
  long long count;
  int H, W;
  unsigned char flag;
};
__constant__ float table[3] = {1.5f, 2.5f, 3.5f};
__global__ void structure(const Shape shape, double* out, float scale) {
  out[0] = shape.count, out[1] = shape.H, out[2] = shape.W, out[3] = shape.flag;
  out[4] = scale, out[5] = table[shape.flag];
}

// A sum whose rounding shows the order in which threads come.
__global__ void in_order_of_arrival(float* sum, const float* x) { *sum += x[threadIdx.x]; }

__global__ void deep(int* out, int levels) {
  struct Down {
    static __device__ int to(int level) {
      volatile char room[2000];
      room[level] = (char)level;
      return level == 0 ? room[0] : 1 + to(level - 1);
    }
  };
  out[threadIdx.x] = Down::to(levels);
}
