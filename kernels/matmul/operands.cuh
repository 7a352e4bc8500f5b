// The matrices of a product as the tiles of register_tile.cuh and tensor_core_tile.cuh read them;
// conv2d/products.cuh says what outer, inner and at are.
#pragma once
#include "../numbers.cuh"

// One operand: element (outer, k) at outer * outer_stride + k * k_stride, strides in elements.
struct Operand {
  long long outer_stride, k_stride, batch_stride;
};

template <typename T> struct Strided {
  typedef long long Outer, Inner;  // negative: outside
  const T* base;
  Operand strides;
  int outer_size, k_size;

  __device__ __forceinline__ Outer outer(int i) const {
    return i < outer_size ? i * strides.outer_stride : -1;
  }
  __device__ __forceinline__ Inner inner(int k) const {
    return k < k_size ? k * strides.k_stride : -1;
  }
  __device__ __forceinline__ bool inside(Outer outer, Inner inner) const {
    return (outer | inner) >= 0;
  }
  __device__ __forceinline__ const T* address(Outer outer, Inner inner) const {
    return base + (outer + inner);
  }
  __device__ __forceinline__ T at(Outer outer, Inner inner) const {
    return inside(outer, inner) ? *address(outer, inner) : T(0);
  }
  __device__ __forceinline__ bool in_vectors() const {
    return strides.k_stride == 1 && strides.outer_stride % Vector<T>::LANES == 0 &&
           k_size % Vector<T>::LANES == 0 && is_aligned(base);
  }
};

template <typename T> struct RowMajor {
  T* c;
  int rows, columns;

  __device__ int M() const { return rows; }
  __device__ int N() const { return columns; }
  __device__ T* column(int n) const { return c + n; }
  __device__ long long row_offset(int m) const { return (long long)m * columns; }
  __device__ T finish(T sum, int) const { return sum; }
  __device__ bool out_in_vectors() const {
    return columns % Vector<T>::LANES == 0 && is_aligned(c);
  }
};
