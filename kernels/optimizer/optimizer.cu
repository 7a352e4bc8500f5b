// Optimiser steps: all parameters of a model in one launch.
//
// One thread updates up to 4 numbers of one parameter. A network has dozens of parameters, most of
// them small; a launch costs some microseconds, so a launch for each would cost more than the work.
// Here the blocks are dealt out over the parameters, 1024 numbers each: `tensors` says where every
// parameter lies and which block is its first, and a block finds its own by bisection. The table
// is passed by value: parameters of a kernel lie in constant memory, which all threads of a block
// read at once, and nothing has to be copied to the device beforehand.
//
// Grid: x, one block of 256 threads for 1024 numbers. Shared memory: none; nothing is shared.
//
// Arithmetic intensity: SGD with momentum reads 12 and writes 8 bytes a number in float, for 4 to 8
// operations; Adam reads 16 and writes 12, for about 14. Memory bandwidth decides, so each array is
// read once and written once, in one pass, whatever the options.

#include "../block_sum.cuh"
#include "../numbers.cuh"

enum { MOST_TENSORS = 64, MOST_ARRAYS = 5, BLOCK_NUMBERS = 1024, THREADS = 256 };

struct Tensors {
  unsigned long long array[MOST_ARRAYS][MOST_TENSORS];  // addresses; 0 where there is none
  long long size[MOST_TENSORS];
  int first_block[MOST_TENSORS], count;
};

// The numbers of one parameter that this block is to update.
struct Place {
  int tensor;
  long long begin, end;

  __device__ Place(const Tensors& t) {
    int low = 0, high = t.count - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (t.first_block[middle] <= (int)blockIdx.x) low = middle;
      else high = middle - 1;
    }
    tensor = low;
    begin = ((int)blockIdx.x - t.first_block[low]) * (long long)BLOCK_NUMBERS;
    end = min(t.size[low], begin + BLOCK_NUMBERS);
  }
  template <typename T> __device__ T* array(const Tensors& t, int which) const {
    return reinterpret_cast<T*>(t.array[which][tensor]);
  }
};

// g = grad + weight_decay param;   buffer = momentum buffer + gain g (first step: g)
// param -= lr (g + momentum buffer if nesterov else buffer)
template <typename T>
__global__ void __launch_bounds__(THREADS)
sgd_step(const Tensors t, T lr, T momentum, T gain, T weight_decay, int nesterov, int maximize,
         int first) {
  const Place place(t);
  T* const param = place.array<T>(t, 0);
  const T* const grad = place.array<T>(t, 1);
  T* const buffer = place.array<T>(t, 2);
  for (long long i = place.begin + threadIdx.x; i < place.end; i += THREADS) {
    T step = maximize ? -grad[i] : grad[i];
    if (weight_decay != 0) step += weight_decay * param[i];
    if (buffer) {
      const T moved = first ? step : momentum * buffer[i] + gain * step;
      buffer[i] = moved;
      step = nesterov ? step + momentum * moved : moved;
    }
    param[i] -= lr * step;
  }
}

// exp_avg += weight1 (g - exp_avg);   exp_avg_sq = beta2 exp_avg_sq + weight2 g^2
// param = shrink param - rate exp_avg / (sqrt(exp_avg_sq, or its largest so far) / root + eps)
// with rate = lr / (1 - beta1^step) and root = sqrt(1 - beta2^step). shrink is AdamW's decay.
template <typename T>
__global__ void __launch_bounds__(THREADS)
adam_step(const Tensors t, T weight1, T beta2, T weight2, T eps, T weight_decay, T shrink, T rate,
          T root, int maximize) {
  const Place place(t);
  T* const param = place.array<T>(t, 0);
  const T* const grad = place.array<T>(t, 1);
  T* const exp_avg = place.array<T>(t, 2);
  T* const exp_avg_sq = place.array<T>(t, 3);
  T* const largest = place.array<T>(t, 4);
  for (long long i = place.begin + threadIdx.x; i < place.end; i += THREADS) {
    T g = maximize ? -grad[i] : grad[i];
    if (weight_decay != 0) g += weight_decay * param[i];
    const T m = exp_avg[i] + weight1 * (g - exp_avg[i]);
    T v = beta2 * exp_avg_sq[i] + weight2 * g * g;
    exp_avg[i] = m, exp_avg_sq[i] = v;
    if (largest) {
      if (!(v > largest[i] || is_nan(v))) v = largest[i];  // NaN stays, from either
      largest[i] = v;
    }
    param[i] = param[i] * shrink - rate * m / (sqrt(v) / root + eps);
  }
}

// The sum of squares of each block's numbers, in double; whoever asks for the norm adds them up.
template <typename T>
__global__ void __launch_bounds__(THREADS)
sum_squares(const Tensors t, double* __restrict__ sums) {
  const Place place(t);
  const T* const numbers = place.array<T>(t, 0);
  double sum = 0;
  for (long long i = place.begin + threadIdx.x; i < place.end; i += THREADS)
    sum += (double)numbers[i] * numbers[i];
  sum = block_sum<THREADS>(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}
