// Division by a number that stays the same for a whole kernel.
//
// A GPU has no instruction for integer division: n / d costs about 25 instructions. With a
// multiplier found once, each further division is one multiplication, one addition and one shift
// (Granlund and Montgomery 1994, "Division by invariant integers using multiplication"):
//
//     l = ceil(log2 d),   m = floor(2^32 (2^l - d) / d) + 1,   n / d = (floor(m n / 2^32) + n) >> l
//
// exact for 0 <= n < 2^31, because the sum then stays below 2^32. Python finds l and m (divisor.py)
// and passes them as a parameter: parameters lie in constant memory and cost no registers.
#pragma once

struct Divisor {
  int divisor;
  unsigned multiplier, shift;

  __device__ __forceinline__ int quotient(int n) const {
    return (__umulhi(n, multiplier) + n) >> shift;
  }
};
