// The second half of a sum that was split over blocks: out[i] = parts[0, i] + parts[1, i] + ...
//
// One thread computes one number, in this order always, so that the result has the same bits every
// run. Atomic additions into `out` would save the workspace, but blocks finish in any order.

template <typename T>
__global__ void sum_parts(const T* __restrict__ parts, T* __restrict__ out, long long size,
                          int count) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= size) return;
  T sum = parts[i];
  for (int part = 1; part < count; ++part) sum += parts[part * size + i];
  out[i] = sum;
}
