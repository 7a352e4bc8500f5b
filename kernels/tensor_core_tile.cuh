// A matrix product on the tensor cores, in TF32: the inner loop of conv2d/implicit_gemm_tf32.cu and
// matmul/matmul_tf32.cu.
//
// A tensor core multiplies a 16 x 8 by an 8 x 8 matrix in one instruction that the 32 lanes of a
// warp give together (mma.sync, ptx.cuh). Its numbers are floats rounded to 10 bits of mantissa (as
// many as half precision has, with float's range); sums are kept in float. A block computes
// BM x BN numbers of the result, each of its warps WM x WN of them: WM / 16 times WN / 8
// instructions for 8 steps of the sum, from WM / 16 + WN / 8 fragments.
//
// Elements go from global to shared memory without passing through registers (cp.async), STAGES - 1
// pieces ahead, because tensor cores finish a piece sooner than memory answers. A piece is
// multiplied when its copies are done; one barrier a piece then says both that everybody's copies
// are there and that the piece before has been left by all.
//
// Pitches are such that the 32 lanes of a fragment hit 32 different banks: [outer][k] with
// BK + 4 = 20 words, so lanes (g, t) hit 20 g + t; [k][outer] with a multiple of 32, plus 8: 8 t + g.
#pragma once
#include "numbers.cuh"
#include "order.cuh"
#include "ptx.cuh"

// One operand's pieces, OUTER x BK floats, in shared memory, and a thread's part in loading them.
template <class Source, int OUTER, int BK, int THREADS, Order ORDER> struct Pipe {
  static constexpr bool BY_K = ORDER == ALONG_OUTER;  // stored [k][outer], as it is loaded
  static constexpr int PITCH = BY_K ? OUTER + 8 : BK + 4, SIZE = BY_K ? BK * PITCH : OUTER * PITCH;
  static constexpr int V = ORDER == IN_VECTORS ? 4 : 1, COUNT = OUTER * BK / THREADS / V;
  static_assert(COUNT > 0 && OUTER * BK % (THREADS * V) == 0, "threads share the piece evenly");
  static constexpr int ROWS = BY_K ? 1 : COUNT;
  static_assert(BY_K ? THREADS % OUTER == 0 : THREADS * V % BK == 0, "");

  const Source& source;
  typename Source::Outer row[ROWS];

  __device__ __forceinline__ static int row_of(int i) {
    return BY_K ? threadIdx.x % OUTER : threadIdx.x / (BK / V) + i * (THREADS * V / BK);
  }
  __device__ __forceinline__ static int k_of(int i) {
    return BY_K ? threadIdx.x / OUTER + i * (THREADS / OUTER) : threadIdx.x % (BK / V) * V;
  }
  __device__ __forceinline__ Pipe(const Source& source, int first) : source(source) {
#pragma unroll
    for (int i = 0; i < ROWS; ++i) row[i] = source.outer(first + row_of(i));
  }
  __device__ __forceinline__ static int place(int row, int k) {
    return BY_K ? k * PITCH + row : row * PITCH + k;
  }
  template <int WIDTH>
  __device__ __forceinline__ void copy(float* to, const typename Source::Outer& outer,
                                       const typename Source::Inner& inner) const {
    const bool inside = source.inside(outer, inner);
    const float* from = inside ? source.address(outer, inner) : source.base;
    if (WIDTH == 4) cp_async16(to, from, inside);
    else cp_async4(to, from, inside);
  }
  __device__ __forceinline__ void start(float* piece, int k) const {
    if constexpr (BY_K) {
#pragma unroll
      for (int i = 0; i < COUNT; ++i)
        copy<1>(piece + place(row_of(i), k_of(i)), row[0], source.inner(k + k_of(i)));
    } else {
      if constexpr (ORDER == IN_VECTORS) {
        if (source.in_vectors()) {
          const typename Source::Inner inner = source.inner(k + k_of(0));
#pragma unroll
          for (int i = 0; i < COUNT; ++i) copy<4>(piece + place(row_of(i), k_of(0)), row[i], inner);
          return;
        }
      }
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const typename Source::Inner inner = source.inner(k + k_of(0) + v);
#pragma unroll
        for (int i = 0; i < COUNT; ++i)
          copy<1>(piece + place(row_of(i), k_of(0) + v), row[i], inner);
      }
    }
  }
};

template <int BM, int BN, int WM, int WN, Order A_ORDER, Order B_ORDER> struct TensorCoreTile {
  static constexpr int BK = 16, STAGES = 3, ACROSS = BN / WN;
  static constexpr int THREADS = (BM / WM) * ACROSS * 32;

  float sum[WM / 16][WN / 8][4];

  // Row and column of the tile that sum[i][j][e] belongs to.
  __device__ __forceinline__ static int row_of(int i, int e) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    return warp / ACROSS * WM + i * 16 + lane / 4 + e / 2 * 8;
  }
  __device__ __forceinline__ static int column_of(int j, int e) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    return warp % ACROSS * WN + j * 8 + lane % 4 * 2 + e % 2;
  }

  template <class A, class B>
  __device__ __forceinline__ void multiply(const A& a, const B& b, int m, int n, int begin, int end) {
    typedef Pipe<A, BM, BK, THREADS, A_ORDER> PipeA;
    typedef Pipe<B, BN, BK, THREADS, B_ORDER> PipeB;
    extern __shared__ __align__(16) unsigned char smem[];
    float* const a_pieces = reinterpret_cast<float*>(smem);
    float* const b_pieces = a_pieces + STAGES * PipeA::SIZE;
#pragma unroll
    for (int i = 0; i < WM / 16; ++i)
#pragma unroll
      for (int j = 0; j < WN / 8; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) sum[i][j][e] = 0;

    const PipeA a_pipe(a, m);
    const PipeB b_pipe(b, n);
    const int pieces = (end - begin + BK - 1) / BK;
    auto start = [&](int piece) {
      if (piece < pieces) {
        a_pipe.start(a_pieces + piece % STAGES * PipeA::SIZE, begin + piece * BK);
        b_pipe.start(b_pieces + piece % STAGES * PipeB::SIZE, begin + piece * BK);
      }
      cp_async_commit();  // an empty group where there is no piece, so that the count stays right
    };
    for (int piece = 0; piece < STAGES - 1; ++piece) start(piece);
    for (int piece = 0; piece < pieces; ++piece) {
      cp_async_wait<STAGES - 2>();
      __syncthreads();
      start(piece + STAGES - 1);  // into the stage that was left before the barrier
      accumulate<PipeA, PipeB>(a_pieces + piece % STAGES * PipeA::SIZE,
                               b_pieces + piece % STAGES * PipeB::SIZE);
    }
  }

  template <class PipeA, class PipeB>
  __device__ __forceinline__ void accumulate(const float* a_piece, const float* b_piece) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const int m = warp / ACROSS * WM + g, n = warp % ACROSS * WN + g;
#pragma unroll
    for (int k = 0; k < BK; k += 8) {
      unsigned a[WM / 16][4], b[WN / 8][2];
#pragma unroll
      for (int i = 0; i < WM / 16; ++i)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          a[i][e] = to_tf32(a_piece[PipeA::place(m + i * 16 + e % 2 * 8, k + t + e / 2 * 4)]);
#pragma unroll
      for (int j = 0; j < WN / 8; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) b[j][e] = to_tf32(b_piece[PipeB::place(n + j * 8, k + t + e * 4)]);
#pragma unroll
      for (int i = 0; i < WM / 16; ++i)
#pragma unroll
        for (int j = 0; j < WN / 8; ++j) mma_m16n8k8_tf32(sum[i][j], a[i], b[j]);
    }
  }

  template <class Product> __device__ __forceinline__ void write(const Product& p, int m, int n) {
#pragma unroll
    for (int j = 0; j < WN / 8; ++j)
#pragma unroll
      for (int right = 0; right < 2; ++right) {
        const int column = n + column_of(j, right);
        if (column >= p.N()) continue;
        float* out = p.column(column);
#pragma unroll
        for (int i = 0; i < WM / 16; ++i)
#pragma unroll
          for (int e = right; e < 4; e += 2) {
            const int row = m + row_of(i, e);
            if (row < p.M()) out[p.row_offset(row)] = p.finish(sum[i][j][e], row);
          }
      }
  }
};
