// Functions that CUDA has without a header: max and min of all numbers, the C library's
// mathematics, intrinsics on bits.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <cmath>
#include <type_traits>

using std::abs;
using std::exp;
using std::fabs;
using std::floor;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::log;
using std::pow;
using std::sqrt;

// As CUDA's: a NaN loses against a number, which a > b ? a : b would make depend on the order.
inline float max(float a, float b) { return fmaxf(a, b); }
inline float min(float a, float b) { return fminf(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
#define CUDA_HOST_MIN_MAX(T)                            \
  inline T max(T a, T b) { return a > b ? a : b; }      \
  inline T min(T a, T b) { return a < b ? a : b; }
CUDA_HOST_MIN_MAX(int)
CUDA_HOST_MIN_MAX(unsigned)
CUDA_HOST_MIN_MAX(long)
CUDA_HOST_MIN_MAX(unsigned long)
CUDA_HOST_MIN_MAX(long long)
CUDA_HOST_MIN_MAX(unsigned long long)
template <class A, class B> constexpr bool cuda_host_mixed =
    std::is_arithmetic<A>::value && std::is_arithmetic<B>::value && !std::is_same<A, B>::value;
template <class A, class B, class = std::enable_if_t<cuda_host_mixed<A, B>>>
std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  return max(T(a), T(b));
}
template <class A, class B, class = std::enable_if_t<cuda_host_mixed<A, B>>>
std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  return min(T(a), T(b));
}

inline double rsqrt(double v) { return 1 / sqrt(v); }
inline float rsqrt(float v) { return 1 / sqrt(v); }
inline float rsqrtf(float v) { return 1 / sqrt(v); }
// The fast versions of the GPU are less exact; tests need tolerances that allow for both.
inline float __expf(float v) { return expf(v); }
inline float __logf(float v) { return logf(v); }
inline float __powf(float a, float b) { return powf(a, b); }
inline float __sinf(float v) { return sinf(v); }
inline float __cosf(float v) { return cosf(v); }
inline float __fdividef(float a, float b) { return a / b; }
inline void __sincosf(float v, float* sine, float* cosine) { *sine = sinf(v), *cosine = cosf(v); }

inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}

template <class To, class From> To cuda_host_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
inline int __float_as_int(float v) { return cuda_host_bits<int>(v); }
inline unsigned __float_as_uint(float v) { return cuda_host_bits<unsigned>(v); }
inline float __int_as_float(int v) { return cuda_host_bits<float>(v); }
inline float __uint_as_float(unsigned v) { return cuda_host_bits<float>(v); }
inline long long __double_as_longlong(double v) { return cuda_host_bits<long long>(v); }
inline double __longlong_as_double(long long v) { return cuda_host_bits<double>(v); }
