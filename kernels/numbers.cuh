// What the kernels need to know about numbers, without any system header.
#pragma once

template <typename T> __device__ __forceinline__ T infinity() { return T(__int_as_float(0x7f800000)); }
template <typename T> __device__ __forceinline__ bool is_nan(T v) { return v != v; }

// max(v, 0) that lets NaN through, which max() and v > 0 ? v : 0 would not.
template <typename T> __device__ __forceinline__ T relu(T v) { return v < 0 ? T(0) : v; }

__device__ __forceinline__ long long ceil_div(long long a, long long b) { return (a + b - 1) / b; }

// 16 bytes that move in one instruction: 4 floats or 2 doubles. The address must divide by 16.
template <typename T> struct __align__(16) Vector {
  enum { LANES = 16 / sizeof(T) };
  T lane[LANES];
};

template <typename T> __device__ __forceinline__ bool is_aligned(const T* p) {
  return reinterpret_cast<unsigned long long>(p) % 16 == 0;
}
