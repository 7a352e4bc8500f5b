// Atomic operations, by compare-and-swap: blocks run on several threads of the operating system.
#pragma once
#include <stdint.h>
#include <string.h>
#include <type_traits>
#include "synchronize.h"

namespace cuda_host {
// If *p is `expected`, set it to `desired`; returns what it was. In the runtime, because the
// checker must not take it for two plain accesses.
uint64_t compare_and_swap(void* p, uint64_t expected, uint64_t desired, int size, Place place);
uint64_t atomic_load(void* p, int size, Place place);

template <class T, class F> T atomic(T* p, Place place, F new_value) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "atomics are for 4 or 8 bytes");
  uint64_t found = atomic_load(p, sizeof(T), place);
  for (;;) {
    T old, next;
    memcpy(&old, &found, sizeof old);
    next = new_value(old);
    uint64_t desired = 0;
    memcpy(&desired, &next, sizeof next);
    const uint64_t now = compare_and_swap(p, found, desired, sizeof(T), place);
    if (now == found) return old;
    found = now;
  }
}
template <class T> struct Same { using type = T; };
template <class T> using Value = typename Same<T>::type;  // converted to the pointer's type
}  // namespace cuda_host

#define CUDA_HOST_ATOMIC(name, expression)                                                \
  template <class T> T name(T* p, cuda_host::Value<T> v, CUDA_HOST_PLACE) {               \
    return cuda_host::atomic(p, {file, line}, [=](T old) { return T(expression); });      \
  }
CUDA_HOST_ATOMIC(atomicAdd, old + v)
CUDA_HOST_ATOMIC(atomicSub, old - v)
CUDA_HOST_ATOMIC(atomicMax, old > v ? old : v)
CUDA_HOST_ATOMIC(atomicMin, old < v ? old : v)
CUDA_HOST_ATOMIC(atomicAnd, old & v)
CUDA_HOST_ATOMIC(atomicOr, old | v)
CUDA_HOST_ATOMIC(atomicXor, old ^ v)
CUDA_HOST_ATOMIC(atomicExch, v)
template <class T>
T atomicCAS(T* p, cuda_host::Value<T> expected, cuda_host::Value<T> v, CUDA_HOST_PLACE) {
  return cuda_host::atomic(p, {file, line}, [=](T old) { return old == expected ? v : old; });
}
