// Barriers and warp operations. Each says where it stands, so that a report can.
#pragma once
#include <stdint.h>
#include <string.h>
#include <type_traits>

namespace cuda_host {

struct Place {
  const char* file;
  int line;
};

// A block's barrier; returns how many threads came, and how many of those with `vote`.
struct Votes { int threads, yes; };
Votes block_barrier(const char* name, Place place, bool vote = false);

// What a lane brings to a warp operation, and what it takes away.
struct Lane {
  int source;          // shuffle: whose value it wants
  uint64_t in[5], out[2];
};
// Waits for all lanes of `mask`; the last to come computes everybody's result by `complete`.
using Complete = void (*)(Lane* lanes, uint32_t mask);
void warp_operation(const char* name, Place place, uint32_t mask, Lane& mine, Complete complete);
int lane_index();

void shuffle(Lane* lanes, uint32_t mask);
void ballot(Lane* lanes, uint32_t mask);

template <class T>
T shuffle(const char* name, Place place, uint32_t mask, T value, int source) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable<T>::value, "4 or 8 bytes");
  Lane lane = {};
  lane.source = source;
  memcpy(lane.in, &value, sizeof value);
  warp_operation(name, place, mask, lane, shuffle);
  memcpy(&value, lane.out, sizeof value);
  return value;
}
}  // namespace cuda_host

#define CUDA_HOST_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(CUDA_HOST_PLACE) {
  cuda_host::block_barrier("__syncthreads", {file, line});
}
inline int __syncthreads_count(int vote, CUDA_HOST_PLACE) {
  return cuda_host::block_barrier("__syncthreads_count", {file, line}, vote).yes;
}
inline int __syncthreads_or(int vote, CUDA_HOST_PLACE) {
  return cuda_host::block_barrier("__syncthreads_or", {file, line}, vote).yes > 0;
}
inline int __syncthreads_and(int vote, CUDA_HOST_PLACE) {
  auto votes = cuda_host::block_barrier("__syncthreads_and", {file, line}, vote);
  return votes.yes == votes.threads;
}

inline void __syncwarp(unsigned mask = ~0u, CUDA_HOST_PLACE) {
  cuda_host::Lane lane = {};
  cuda_host::warp_operation("__syncwarp", {file, line}, mask, lane, nullptr);
}
inline unsigned __ballot_sync(unsigned mask, int vote, CUDA_HOST_PLACE) {
  cuda_host::Lane lane = {};
  lane.in[0] = vote != 0;
  cuda_host::warp_operation("__ballot_sync", {file, line}, mask, lane, cuda_host::ballot);
  return (unsigned)lane.out[0];
}
inline int __any_sync(unsigned mask, int vote, CUDA_HOST_PLACE) {
  return __ballot_sync(mask, vote, file, line) != 0;
}
inline int __all_sync(unsigned mask, int vote, CUDA_HOST_PLACE) {
  return __ballot_sync(mask, !vote, file, line) == 0;
}

// Lanes fall into groups of `width`; a source outside the own group means the own value (up, down,
// xor) or wraps around (plain).
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, CUDA_HOST_PLACE) {
  const int first = cuda_host::lane_index() & ~(width - 1);
  return cuda_host::shuffle("__shfl_sync", {file, line}, mask, value,
                            first | (source & (width - 1)));
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, CUDA_HOST_PLACE) {
  const int lane = cuda_host::lane_index(), last = lane | (width - 1);
  const int source = lane + (int)by;
  return cuda_host::shuffle("__shfl_down_sync", {file, line}, mask, value,
                            source <= last ? source : lane);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, CUDA_HOST_PLACE) {
  const int lane = cuda_host::lane_index(), first = lane & ~(width - 1);
  const int source = lane - (int)by;
  return cuda_host::shuffle("__shfl_up_sync", {file, line}, mask, value,
                            source >= first ? source : lane);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32, CUDA_HOST_PLACE) {
  const int lane = cuda_host::lane_index(), last = lane | (width - 1);
  const int source = lane ^ by;
  return cuda_host::shuffle("__shfl_xor_sync", {file, line}, mask, value,
                            source <= last ? source : lane);
}

// Between barriers a thread's writes are seen at once here: a fence has nothing to do.
inline void __threadfence() {}
inline void __threadfence_block() {}
