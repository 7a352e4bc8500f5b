// The words of the language: qualifiers, vector types, threadIdx and its relatives.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>   // printf in a kernel
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __constant__ static
// A block runs on one thread of the operating system, so what belongs to that thread belongs to the
// block. `thread_local` in a function is also `static`, as shared memory has to be, and it goes
// with `extern`.
#define __shared__ thread_local
#define __forceinline__ inline
#define __launch_bounds__(...)      // checked by Python before the launch
#define __grid_constant__
#define __align__(bytes) __attribute__((aligned(bytes)))

// Dynamic shared memory. Kernels declare it as
//     extern __shared__ __align__(16) unsigned char smem[];
// and cast: in CUDA too, templates of different types could not share another declaration.
extern thread_local __align__(16) unsigned char smem[];

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
// (__thread, unlike thread_local, promises that nothing need be called before the first use.)
extern __thread uint3 threadIdx, blockIdx;
extern __thread dim3 blockDim, gridDim;
constexpr int warpSize = 32;

// Vectors of two and four are aligned to their size, at most to 16 bytes: they move in one
// instruction, and an address that does not divide is an error on the GPU.
#define CUDA_HOST_VECTORS(T, name)                                                         \
  struct __align__(2 * sizeof(T)) name##2 { T x, y; };                                     \
  struct name##3 { T x, y, z; };                                                           \
  struct __align__(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) name##4 { T x, y, z, w; };     \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; }                               \
  inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                       \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
CUDA_HOST_VECTORS(float, float)
CUDA_HOST_VECTORS(double, double)
CUDA_HOST_VECTORS(int, int)
CUDA_HOST_VECTORS(unsigned char, uchar)
struct uint2 { unsigned x, y; } __align__(8);
struct uint4 { unsigned x, y, z, w; } __align__(16);
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

template <class T> T __ldg(const T* p) { return *p; }  // a load through the read-only cache
