// What ptx.cuh does in the GPU's own instructions: tensor cores and copies that run beside.
#pragma once
#include <stdint.h>
#include <string.h>
#include "arithmetic.h"
#include "synchronize.h"

namespace cuda_host {
void mma_m16n8k8(Lane* lanes, uint32_t mask);
// A copy is carried out when its group is waited for; until then its destination holds NaN, and to
// touch it is an error.
void copy_later(void* shared, const void* global, int bytes, bool inside, Place place);
void commit_copies();
void wait_for_copies(int groups_left);
}  // namespace cuda_host

// TF32: a float whose mantissa is rounded to 10 bits, ties away from zero.
inline unsigned to_tf32(float v) {
  const unsigned bits = __float_as_uint(v);
  const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
  return finite ? (bits + 0x1000u) & ~0x1fffu : bits;
}

// c += a b with a (16, 8), b (8, 8), c (16, 8), spread over the lanes of a warp (see ptx.cuh).
inline void mma_m16n8k8_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                             CUDA_HOST_PLACE) {
  cuda_host::Lane lane = {};
  memcpy(lane.in, c, 16), memcpy(lane.in + 2, a, 16), memcpy(lane.in + 4, b, 8);
  cuda_host::warp_operation("mma.sync", {file, line}, ~0u, lane, cuda_host::mma_m16n8k8);
  memcpy(c, lane.out, 16);
}

// `inside` false: zeros, and nothing is read.
inline void cp_async16(void* shared, const void* global, bool inside = true, CUDA_HOST_PLACE) {
  cuda_host::copy_later(shared, global, 16, inside, {file, line});
}
inline void cp_async4(void* shared, const void* global, bool inside = true, CUDA_HOST_PLACE) {
  cuda_host::copy_later(shared, global, 4, inside, {file, line});
}
inline void cp_async_commit() { cuda_host::commit_copies(); }
template <int LEFT> void cp_async_wait() { cuda_host::wait_for_copies(LEFT); }
