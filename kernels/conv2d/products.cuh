// The three passes of a convolution as matrix products  out[m, n] = sum over k of a[m, k] b[k, n].
//
//     pass         m          n              k              a          b
//     forward      filter     output pixel   tap            w          x, gathered
//     grad_input   channel    input pixel    (filter, tap)  w          dy, gathered
//     grad_weight  filter     tap            output pixel   dy         x, gathered
//
// for each group. A *pixel* is (image, row, column) as one number, a *tap* (channel, r, s) as one.
// None of these matrices is stored, except w and dy, which are their own: an element is found from
// two halves, prepared apart, because a thread keeps one of them while the other changes:
//
//     outer(m) or outer(n)     the place in the result
//     inner(k)                 the place in the sum
//     at(outer, inner)         the element, 0 outside the matrix and in the padding
//     inside(outer, inner)     whether there is one, at address(outer, inner)
//
// Where a pixel and a tap meet, the row h is the sum of a part from the pixel and one from the tap.
// What lies outside the matrix gets the part FAR, which no other part brings back into the image.
//
// grad_input with a stride falls into phases, one launch each: input pixels h = phase + stride i
// meet only some of the taps, equally far apart, and over those dx is a convolution of dy of stride 1, its taps
// running backwards. Phase 0 of stride 1 is the whole of it.
#pragma once
#include "../divisor.cuh"
#include "../numbers.cuh"

enum { FAR = -(1 << 30) };  // twice FAR is still an int

// The sizes of one pass, made by passes.py. Per group: `rows` is M; the gathered array (x or dy)
// has `channels` planes H x W and is met by windows of R x S taps at P x Q pixels of N images:
// row stride p + start + step r. All counts, and offsets within w or
// within one image, fit 31 bits; from image to image offsets are 64 bits wide.
struct Pass {
  long long gathered_image, other_image;  // from image to image, in x (dy) and in y (dy, dx)
  int rows, channels, H, W, pixels, taps;
  int stride_h, stride_w, start_h, start_w, step_h, step_w;
  Divisor plane, row, window, window_row;  // by P Q, Q, R S and S
  // grad_input only. Of w: from filter to filter and channel to channel, the phase's first tap,
  // and how far apart its taps are. Of dx: the same for its pixels.
  int filter_size, channel_size, first_tap, tap_row, tap_column;
  int first_pixel, pixel_row, pixel_column, dx_plane;
};

// Elements at the sum of two offsets: w or dy. A negative one says: outside.
template <typename T, typename Offset> struct Dense {
  typedef int Outer;
  typedef Offset Inner;
  const T* base;

  __device__ __forceinline__ bool inside(Outer outer, Inner inner) const {
    return (outer | inner) >= 0;
  }
  __device__ __forceinline__ const T* address(Outer outer, Inner inner) const {
    return base + (outer + inner);
  }
  __device__ __forceinline__ T at(Outer outer, Inner inner) const {
    return inside(outer, inner) ? *address(outer, inner) : T(0);
  }
};

// x (or dy) at the pixel that a window's tap meets.
template <typename T> struct Gather {
  struct Part {
    const T* image;  // of a pixel: its image, moved by its row and column
    int offset;      // of a tap: its channel, row and column
    int h, w;
  };
  const T* base;
  const Pass& pass;

  __device__ __forceinline__ Gather(const T* all, const Pass& pass, int group)
      : base(all + (long long)group * pass.channels * pass.H * pass.W), pass(pass) {}

  __device__ __forceinline__ Part pixel(int i) const {
    if (i >= pass.pixels) return {base, 0, FAR, FAR};
    const int n = pass.plane.quotient(i), pq = i - n * pass.plane.divisor;
    const int p = pass.row.quotient(pq), q = pq - p * pass.row.divisor;
    const int h = p * pass.stride_h + pass.start_h, w = q * pass.stride_w + pass.start_w;
    return {base + n * pass.gathered_image + (h * pass.W + w), 0, h, w};
  }
  __device__ __forceinline__ Part tap(int i) const {
    if (i >= pass.taps) return {nullptr, 0, FAR, FAR};
    const int c = pass.window.quotient(i), rs = i - c * pass.window.divisor;
    const int r = pass.window_row.quotient(rs), s = rs - r * pass.window_row.divisor;
    const int h = r * pass.step_h, w = s * pass.step_w;
    return {nullptr, (c * pass.H + h) * pass.W + w, h, w};
  }
  __device__ __forceinline__ bool meet(const Part& pixel, const Part& tap) const {
    return (unsigned)(pixel.h + tap.h) < (unsigned)pass.H &&
           (unsigned)(pixel.w + tap.w) < (unsigned)pass.W;
  }
};

// b of forward and grad_input: columns are pixels, the sum runs over taps.
template <typename T> struct PixelsByTaps : Gather<T> {
  typedef typename Gather<T>::Part Outer, Inner;
  using Gather<T>::Gather;
  __device__ __forceinline__ Outer outer(int n) const { return this->pixel(n); }
  __device__ __forceinline__ Inner inner(int k) const { return this->tap(k); }
  __device__ __forceinline__ bool inside(const Outer& pixel, const Inner& tap) const {
    return this->meet(pixel, tap);
  }
  __device__ __forceinline__ const T* address(const Outer& pixel, const Inner& tap) const {
    return pixel.image + tap.offset;
  }
  __device__ __forceinline__ T at(const Outer& pixel, const Inner& tap) const {
    return inside(pixel, tap) ? *address(pixel, tap) : T(0);
  }
};

// b of grad_weight: columns are taps, the sum runs over pixels. Splits are whole pieces, so only the
// last one ends within a piece, and there the pixels end too.
template <typename T> struct TapsByPixels : Gather<T> {
  typedef typename Gather<T>::Part Outer, Inner;
  using Gather<T>::Gather;
  __device__ __forceinline__ Outer outer(int n) const { return this->tap(n); }
  __device__ __forceinline__ Inner inner(int k) const { return this->pixel(k); }
  __device__ __forceinline__ bool inside(const Outer& tap, const Inner& pixel) const {
    return this->meet(pixel, tap);
  }
  __device__ __forceinline__ const T* address(const Outer& tap, const Inner& pixel) const {
    return pixel.image + tap.offset;
  }
  __device__ __forceinline__ T at(const Outer& tap, const Inner& pixel) const {
    return inside(tap, pixel) ? *address(tap, pixel) : T(0);
  }
};

// y = w * x, then bias and ReLU.
template <typename T> struct Forward {
  struct A : Dense<T, int> {
    const Pass& pass;
    __device__ A(const T* w, const Pass& pass, int group)
        : Dense<T, int>{w + (long long)group * pass.rows * pass.taps}, pass(pass) {}
    __device__ int outer(int m) const {
      return m < pass.rows ? m * pass.taps : -1;
    }
    __device__ int inner(int k) const { return k < pass.taps ? k : -1; }
    __device__ bool in_vectors() const {
      return pass.taps % Vector<T>::LANES == 0 && is_aligned(this->base);
    }
  } a;
  PixelsByTaps<T> b;
  const Pass& pass;
  T* y;
  const T* bias;
  int with_relu;

  __device__ Forward(const T* x, const T* w, const T* bias, T* y, const Pass& pass, int group,
                     int with_relu)
      : a(w, pass, group), b(x, pass, group), pass(pass),
        y(y + (long long)group * pass.rows * pass.plane.divisor),
        bias(bias ? bias + group * pass.rows : nullptr), with_relu(with_relu) {}

  __device__ int M() const { return pass.rows; }
  __device__ int N() const { return pass.pixels; }
  __device__ int begin() const { return 0; }
  __device__ int end() const { return pass.taps; }
  // out[m, n] is column(n)[row_offset(m)].
  __device__ T* column(int n) const {
    const int image = pass.plane.quotient(n);
    return y + image * pass.other_image + (n - image * pass.plane.divisor);
  }
  __device__ long long row_offset(int m) const { return (long long)m * pass.plane.divisor; }
  __device__ T finish(T sum, int m) const {
    if (bias) sum += bias[m];
    return with_relu ? relu(sum) : sum;
  }
  // Neighbouring columns are neighbours in memory, as long as they stay within one image.
  __device__ bool out_in_vectors() const {
    return pass.plane.divisor % Vector<T>::LANES == 0 && is_aligned(y);
  }
};

// dx = w^T * dy, for the pixels of one phase.
template <typename T> struct GradInput {
  struct A : Dense<T, int> {
    const Pass& pass;
    __device__ A(const T* w, const Pass& pass, int group)
        : Dense<T, int>{w + (long long)group * pass.channels * pass.filter_size + pass.first_tap},
          pass(pass) {}
    __device__ int outer(int m) const {
      return m < pass.rows ? m * pass.channel_size : -1;
    }
    __device__ int inner(int k) const {
      if (k >= pass.taps) return -1;
      const int filter = pass.window.quotient(k), rs = k - filter * pass.window.divisor;
      const int r = pass.window_row.quotient(rs), s = rs - r * pass.window_row.divisor;
      return filter * pass.filter_size + r * pass.tap_row + s * pass.tap_column;
    }
    __device__ bool in_vectors() const { return false; }
  } a;
  PixelsByTaps<T> b;
  const Pass& pass;
  T* dx;

  __device__ GradInput(const T* dy, const T* w, T* dx, const Pass& pass, int group)
      : a(w, pass, group), b(dy, pass, group), pass(pass),
        dx(dx + (long long)group * pass.rows * pass.dx_plane + pass.first_pixel) {}

  __device__ int M() const { return pass.rows; }
  __device__ int N() const { return pass.pixels; }
  __device__ int begin() const { return 0; }
  __device__ int end() const { return pass.taps; }
  __device__ T* column(int n) const {
    const int image = pass.plane.quotient(n), hw = n - image * pass.plane.divisor;
    const int h = pass.row.quotient(hw), w = hw - h * pass.row.divisor;
    return dx + image * pass.other_image + (h * pass.pixel_row + w * pass.pixel_column);
  }
  __device__ long long row_offset(int m) const { return (long long)m * pass.dx_plane; }
  __device__ T finish(T sum, int) const { return sum; }
  __device__ bool out_in_vectors() const {
    return pass.plane.divisor == pass.dx_plane && pass.dx_plane % Vector<T>::LANES == 0 &&
           is_aligned(dx);
  }
};

// dw = dy * x over the pixels begin <= k < end: the sum over all of them is split.
template <typename T> struct GradWeight {
  struct A : Dense<T, long long> {
    const Pass& pass;
    int last;
    __device__ A(const T* dy, const Pass& pass, int group, int last)
        : Dense<T, long long>{dy + (long long)group * pass.rows * pass.plane.divisor}, pass(pass),
          last(last) {}
    __device__ int outer(int m) const {
      return m < pass.rows ? m * pass.plane.divisor : -1;
    }
    __device__ long long inner(int k) const {
      if (k >= last) return -1;
      const int image = pass.plane.quotient(k);
      return image * pass.other_image + (k - image * pass.plane.divisor);
    }
    __device__ bool in_vectors() const {
      return pass.plane.divisor % Vector<T>::LANES == 0 && is_aligned(this->base);
    }
  } a;
  TapsByPixels<T> b;
  const Pass& pass;
  T* dw;
  int first;

  // `dw` is where this split's sums go, (K, C / groups, R, S).
  __device__ GradWeight(const T* dy, const T* x, T* dw, const Pass& pass, int group, int begin,
                        int end)
      : a(dy, pass, group, min(end, pass.pixels)), b(x, pass, group), pass(pass),
        dw(dw + (long long)group * pass.rows * pass.taps), first(begin) {}

  __device__ int M() const { return pass.rows; }
  __device__ int N() const { return pass.taps; }
  __device__ int begin() const { return first; }
  __device__ int end() const { return a.last; }
  __device__ T* column(int n) const { return dw + n; }
  __device__ long long row_offset(int m) const { return (long long)m * pass.taps; }
  __device__ T finish(T sum, int) const { return sum; }
  __device__ bool out_in_vectors() const {
    return pass.taps % Vector<T>::LANES == 0 && is_aligned(dw);
  }
};
