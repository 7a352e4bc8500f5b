// A matrix product in registers: the inner loop of implicit_gemm.cu and of matmul.cu.
//
// A block computes BM x BN numbers of the result, and each of its (BM / TM) (BN / TN) threads TM x
// TN of them, in registers. For one k a thread reads TM numbers of a and TN of b from shared memory
// and makes TM TN multiplications: with 8 x 8, 4 for every number read, where one result a thread
// (tiled.cu) has one half. Reads are 16 bytes wide, 4 floats in one instruction.
//
// A thread's rows and columns lie in groups of one vector, the groups spread over the tile: so the
// 16 threads that share rows read 16 neighbouring vectors of b, all banks once, and no bank twice.
//
// Double buffering: while the block multiplies the pieces of a and b that lie in shared memory, the
// loads of the next pieces are already under way, into registers; they are put into the other half
// of shared memory, and one barrier a piece is enough.
// order.cuh says how the elements of a and b are dealt to the threads that load them.
#pragma once
#include "numbers.cuh"
#include "order.cuh"

// One thread's share of a piece (OUTER x BK) of an operand, on its way to shared memory.
template <typename T, class Source, int OUTER, int BK, int THREADS, Order ORDER> struct Share {
  static constexpr int V = ORDER == IN_VECTORS ? Vector<T>::LANES : 1;
  static constexpr int COUNT = OUTER * BK / THREADS / V;  // vectors of this thread
  static constexpr int PITCH = OUTER + Vector<T>::LANES;  // shared memory: [BK][PITCH]
  static_assert(COUNT > 0 && OUTER * BK % (THREADS * V) == 0, "threads share the piece evenly");
  // ALONG_OUTER: a thread keeps one row. Otherwise it keeps its k, and has COUNT rows.
  static constexpr int ROWS = ORDER == ALONG_OUTER ? 1 : COUNT;
  static_assert(ORDER == ALONG_OUTER ? THREADS % OUTER == 0 : THREADS * V % BK == 0, "");

  typename Source::Outer row[ROWS];
  T value[COUNT][V];

  __device__ __forceinline__ static int row_of(int i) {
    return ORDER == ALONG_OUTER ? threadIdx.x % OUTER : threadIdx.x / (BK / V) + i * (THREADS * V / BK);
  }
  __device__ __forceinline__ static int k_of(int i) {
    return ORDER == ALONG_OUTER ? threadIdx.x / OUTER + i * (THREADS / OUTER)
                                : threadIdx.x % (BK / V) * V;
  }
  __device__ __forceinline__ Share(const Source& source, int first) {
#pragma unroll
    for (int i = 0; i < ROWS; ++i) row[i] = source.outer(first + row_of(i));
  }
  __device__ __forceinline__ void load(const Source& source, int k) {
    if constexpr (ORDER == ALONG_OUTER) {
#pragma unroll
      for (int i = 0; i < COUNT; ++i) value[i][0] = source.at(row[0], source.inner(k + k_of(i)));
    } else if constexpr (ORDER == ALONG_K) {
      const typename Source::Inner inner = source.inner(k + k_of(0));
#pragma unroll
      for (int i = 0; i < COUNT; ++i) value[i][0] = source.at(row[i], inner);
    } else if (source.in_vectors()) {
      const typename Source::Inner inner = source.inner(k + k_of(0));
#pragma unroll
      for (int i = 0; i < COUNT; ++i) {
        Vector<T> loaded = {};
        if (source.inside(row[i], inner))
          loaded = *reinterpret_cast<const Vector<T>*>(source.address(row[i], inner));
#pragma unroll
        for (int v = 0; v < V; ++v) value[i][v] = loaded.lane[v];
      }
    } else {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const typename Source::Inner inner = source.inner(k + k_of(0) + v);
#pragma unroll
        for (int i = 0; i < COUNT; ++i) value[i][v] = source.at(row[i], inner);
      }
    }
  }
  __device__ __forceinline__ void store(T (*shared)[PITCH]) const {
#pragma unroll
    for (int i = 0; i < COUNT; ++i)
#pragma unroll
      for (int v = 0; v < V; ++v) shared[k_of(i) + v][row_of(i)] = value[i][v];
  }
};

template <typename T, int BM, int BN, int BK, int TM, int TN, Order A_ORDER, Order B_ORDER>
struct RegisterTile {
  static constexpr int V = Vector<T>::LANES;
  static constexpr int ACROSS = BN / TN, THREADS = (BM / TM) * ACROSS;
  static_assert(TM % V == 0 && TN % V == 0, "a thread's rows and columns are whole vectors");

  T sum[TM][TN];

  // Row and column of the tile that sum[i][j] belongs to.
  __device__ __forceinline__ static int row_of(int i) {
    return i / V * (BM / (TM / V)) + threadIdx.x / ACROSS * V + i % V;
  }
  __device__ __forceinline__ static int column_of(int j) {
    return j / V * (BN / (TN / V)) + threadIdx.x % ACROSS * V + j % V;
  }

  template <class A, class B>
  __device__ __forceinline__ void multiply(const A& a, const B& b, int m, int n, int begin, int end) {
    typedef Share<T, A, BM, BK, THREADS, A_ORDER> ShareA;
    typedef Share<T, B, BN, BK, THREADS, B_ORDER> ShareB;
    __shared__ __align__(16) T a_tile[2][BK][ShareA::PITCH];
    __shared__ __align__(16) T b_tile[2][BK][ShareB::PITCH];
#pragma unroll
    for (int i = 0; i < TM; ++i)
#pragma unroll
      for (int j = 0; j < TN; ++j) sum[i][j] = 0;
    if (begin >= end) return;

    ShareA a_share(a, m);
    ShareB b_share(b, n);
    a_share.load(a, begin);
    b_share.load(b, begin);
    a_share.store(a_tile[0]);
    b_share.store(b_tile[0]);
    __syncthreads();
    int half = 0;
    for (int k = begin; k < end; k += BK) {
      const bool more = k + BK < end;
      if (more) {
        a_share.load(a, k + BK);
        b_share.load(b, k + BK);
      }
      accumulate(a_tile[half], b_tile[half]);
      if (more) {
        half ^= 1;  // the half that everybody left before the last barrier
        a_share.store(a_tile[half]);
        b_share.store(b_tile[half]);
        __syncthreads();
      }
    }
  }

  template <int PITCH_A, int PITCH_B>
  __device__ __forceinline__ void accumulate(const T (*a_tile)[PITCH_A], const T (*b_tile)[PITCH_B]) {
#pragma unroll
    for (int k = 0; k < BK; ++k) {
      Vector<T> a[TM / V], b[TN / V];
#pragma unroll
      for (int i = 0; i < TM / V; ++i)
        a[i] = *reinterpret_cast<const Vector<T>*>(&a_tile[k][row_of(i * V)]);
#pragma unroll
      for (int j = 0; j < TN / V; ++j)
        b[j] = *reinterpret_cast<const Vector<T>*>(&b_tile[k][column_of(j * V)]);
#pragma unroll
      for (int i = 0; i < TM; ++i)
#pragma unroll
        for (int j = 0; j < TN; ++j) sum[i][j] += a[i / V].lane[i % V] * b[j / V].lane[j % V];
    }
  }

  // Writes what lies inside the result, a vector at a time where the product allows.
  template <class Product> __device__ __forceinline__ void write(const Product& p, int m, int n) {
    const bool vectors = p.out_in_vectors();
#pragma unroll
    for (int j = 0; j < TN; j += V) {
      const int column = n + column_of(j);
      if (vectors) {
        if (column >= p.N()) continue;
        T* out = p.column(column);
#pragma unroll
        for (int i = 0; i < TM; ++i) {
          const int row = m + row_of(i);
          if (row >= p.M()) continue;
          Vector<T> values;
#pragma unroll
          for (int v = 0; v < V; ++v) values.lane[v] = p.finish(sum[i][j + v], row);
          *reinterpret_cast<Vector<T>*>(out + p.row_offset(row)) = values;
        }
      } else {
#pragma unroll
        for (int v = 0; v < V; ++v) {
          if (column + v >= p.N()) continue;
          T* out = p.column(column + v);
#pragma unroll
          for (int i = 0; i < TM; ++i) {
            const int row = m + row_of(i);
            if (row < p.M()) out[p.row_offset(row)] = p.finish(sum[i][j + v], row);
          }
        }
      }
    }
  }
};
