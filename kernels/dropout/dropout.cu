// Dropout: y = x keep / (1 - p), with the random stream of reference.py, bit for bit.
//
// One thread computes one block of the Philox4x32-10 stream, four words, and with them four
// neighbouring elements. The generator has no state: word i is a function of the key and of i, so
// every thread starts where it likes, and backward draws the same mask again instead of reading one
// from memory, which would cost more than computing it.
//
// A captured graph launches this again with the same arguments. The number of the replay, which lies
// in memory, is added to the key then: every replay drops other elements, and its backward the same.
//
// Grid: blocks of 256 threads over the ceil(size / 4) groups of four. Shared memory: none.
//
// Arithmetic intensity: about 100 integer operations for the four elements, 32 bytes in float: 3 a
// byte, so that memory still decides.

#include "../numbers.cuh"

struct Philox {
  unsigned word[4];

  __device__ Philox(unsigned long long block, unsigned long long key)
      : word{(unsigned)block, (unsigned)(block >> 32), 0, 0} {
    unsigned key0 = (unsigned)key, key1 = (unsigned)(key >> 32);
#pragma unroll
    for (int round = 0; round < 10; ++round) {
      const unsigned high0 = __umulhi(0xD2511F53u, word[0]), low0 = 0xD2511F53u * word[0];
      const unsigned high1 = __umulhi(0xCD9E8D57u, word[2]), low1 = 0xCD9E8D57u * word[2];
      word[0] = high1 ^ word[1] ^ key0, word[1] = low1;
      word[2] = high0 ^ word[3] ^ key1, word[3] = low0;
      key0 += 0x9E3779B9u, key1 += 0xBB67AE85u;
    }
  }
};

// threshold is p 2^32: words below it are dropped (2^32 itself drops all). replay may be null.
template <typename T>
__global__ void dropout(const T* __restrict__ x, T* __restrict__ y, long long size,
                        unsigned long long threshold, T scale, unsigned long long key,
                        const unsigned long long* __restrict__ replay) {
  const long long block = (long long)blockIdx.x * blockDim.x + threadIdx.x, first = 4 * block;
  if (first >= size) return;
  const Philox random(block, replay ? key + *replay : key);
  if (sizeof(T) == 4 && first + 4 <= size && is_aligned(x) && is_aligned(y)) {
    Vector<T> four = *reinterpret_cast<const Vector<T>*>(x + first);
#pragma unroll
    for (int i = 0; i < Vector<T>::LANES; ++i) four.lane[i] *= random.word[i] >= threshold ? scale : T(0);
    *reinterpret_cast<Vector<T>*>(y + first) = four;
  } else {
    for (int i = 0; i < 4 && first + i < size; ++i)
      y[first + i] = x[first + i] * (random.word[i] >= threshold ? scale : T(0));
  }
}
