// How a library of compiled kernels is entered from outside: one line per kernel,
//     CUDA_HOST_KERNEL(0, tiled_forward<float>)
// is put behind the .cu file by Python (../build.py).
#pragma once
#include <stddef.h>
#include <type_traits>
#include <utility>

namespace cuda_host {

// The arguments' bytes are not the kernel's memory: the checker does not look at these two.
#define CUDA_HOST_UNCHECKED __attribute__((no_sanitize("thread"), no_sanitize("undefined")))

template <auto FUNCTION> struct Kernel;
template <class... Parameters, void (*FUNCTION)(Parameters...)> struct Kernel<FUNCTION> {
  // One thread of a launch. arguments[i] points to the i-th argument's bytes.
  CUDA_HOST_UNCHECKED static void thread(void** arguments) {
    call(arguments, std::index_sequence_for<Parameters...>{});
  }
  template <size_t... I>
  CUDA_HOST_UNCHECKED static void call(void** arguments, std::index_sequence<I...>) {
    FUNCTION(*static_cast<std::decay_t<Parameters>*>(arguments[I])...);
  }
  // The parameters' sizes in bytes, then 0.
  static const int* sizes() {
    static const int all[] = {(int)sizeof(Parameters)..., 0};
    return all;
  }
};
}  // namespace cuda_host

#define CUDA_HOST_EXPORT extern "C" __attribute__((visibility("default"), used))
#define CUDA_HOST_KERNEL(id, ...)                                                     \
  CUDA_HOST_EXPORT void (*const cuda_host_thread_##id)(void**) =                      \
      &cuda_host::Kernel<(__VA_ARGS__)>::thread;                                      \
  CUDA_HOST_EXPORT const int* cuda_host_sizes_##id() {                                \
    return cuda_host::Kernel<(__VA_ARGS__)>::sizes();                                 \
  }
