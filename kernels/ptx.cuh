// Instructions that CUDA C++ has no name for, each behind a function. Under `cuda-host` the same
// functions come from cuda_host/include/tensor_core.h.
#pragma once
#ifndef CUDA_HOST

// TF32: a float whose mantissa is rounded to 10 bits, ties away from zero.
__device__ __forceinline__ unsigned to_tf32(float v) {
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(v));
  return bits;
}

// c += a b with a (16, 8), b (8, 8), c (16, 8), spread over the 32 lanes of a warp. With g = lane / 4
// and t = lane % 4 a lane holds
//     a: (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4)
//     b: (t, g), (t + 4, g)
//     c: (g, 2 t), (g, 2 t + 1), (g + 8, 2 t), (g + 8, 2 t + 1)
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&c)[4], const unsigned (&a)[4],
                                                 const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Copies from global to shared memory that run beside the program, past the registers. Those
// started since the last commit are a group; wait<LEFT> waits until at most LEFT groups are under
// way. Where `inside` is false zeros are written and nothing is read.
__device__ __forceinline__ void cp_async16(void* shared, const void* global, bool inside = true) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                   (unsigned)__cvta_generic_to_shared(shared)), "l"(global), "r"(inside ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void cp_async4(void* shared, const void* global, bool inside = true) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(
                   (unsigned)__cvta_generic_to_shared(shared)), "l"(global), "r"(inside ? 4 : 0)
               : "memory");
}
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int LEFT> __device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}
#endif
