// tanh and erf, one thread a number.
//
// Grid: blocks of 256 threads; neighbouring threads read and write neighbouring numbers.
// Shared memory: none; nothing is shared. Arithmetic intensity: 8 bytes in float for about 20
// operations of CUDA's own function, so memory decides.

template <typename T>
__global__ void tanh_of(const T* __restrict__ x, T* __restrict__ y, long long size) {
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < size) y[i] = tanh(x[i]);
}

template <typename T>
__global__ void erf_of(const T* __restrict__ x, T* __restrict__ y, long long size) {
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < size) y[i] = erf(x[i]);
}
