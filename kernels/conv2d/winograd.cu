// Convolution, step 6: fewer multiplications, for 3 x 3 filters of stride 1 (Winograd 1980; Lavin
// and Gray 2016, "Fast algorithms for convolutional neural networks", arXiv:1509.09308).
//
// Changed against `implicit_gemm`: the arithmetic. M neighbouring outputs of a filter of 3 taps
// depend on M + 2 pixels and cost 3 M multiplications. But both factors are polynomials whose
// product has M + 2 coefficients, so M + 2 multiplications are enough: evaluate both at M + 2 points,
// multiply point by point, interpolate. In two dimensions, with A = M + 2 points each way,
//
//     y = out^T [ (filter w filter^T) * (in^T x in) ] out        M x M outputs from A x A pixels
//
// A A multiplications in place of 9 M M: 16 for 36 with M = 2, 36 for 144 with M = 4. Summed over the
// channels, each of the A A points is a matrix product of its own, and matmul.cu does them as one
// batch:
//
//     forward      Y[a] (K, tiles) = W[a] (K, C) X[a] (C, tiles)
//     grad_input   the same for dy, with w turned by 180 degrees and its channels exchanged
//     grad_weight  dW[a] (K, C) = dY[a] (K, tiles) X[a]^T: the adjoint of forward, step by step
//
// One thread transforms one tile of one channel. Grid: x over the tiles in blocks of 256, so that
// neighbouring threads write neighbours; y over the channels. Shared memory: none; a tile lies in
// registers. The transformed arrays are A A / (M M) times the size of x and y (4 times for M = 2,
// 2.25 for M = 4), which the launcher keeps within bounds by taking some images at a time.
//
// Numerics: M = 2 only adds, subtracts and halves. M = 4 multiplies by 0.17 to 2.8 and loses half a
// digit (with the points 1, -1, 2, -2 a whole one; see cook_toom.py). A NaN or infinity in x spreads to the M x M outputs of the tiles it lies in.
//
// Arithmetic intensity: the transforms move 4 bytes for every addition or two; the batch of products
// is matmul's.

#include "../numbers.cuh"
#include "shape.cuh"

// The points are 0, 1, -1 and infinity; for M = 4 0, +-a, +-b and infinity, a and b the roots of 1/2
// and 2. Rows of `in` are the transposed in matrix, and so on.
template <int M> struct Matrices;

template <> struct Matrices<2> {
  __device__ static constexpr double in(int i, int j) {
    constexpr double m[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
    return m[i][j];
  }
  __device__ static constexpr double filter(int i, int j) {
    constexpr double m[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
    return m[i][j];
  }
  __device__ static constexpr double out(int i, int j) {
    constexpr double m[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};
    return m[i][j];
  }
};

template <> struct Matrices<4> {
  static constexpr double a = .70710678118654752440, b = 2 * a;
  __device__ static constexpr double in(int i, int j) {
    constexpr double m[6][6] = {{1, 0, -2.5, 0, 1, 0},    {0, -2 * a, -2, a, 1, 0},
                                {0, 2 * a, -2, -a, 1, 0}, {0, -a, -.5, b, 1, 0},
                                {0, a, -.5, -b, 1, 0},    {0, 1, 0, -2.5, 0, 1}};
    return m[i][j];
  }
  __device__ static constexpr double filter(int i, int j) {
    constexpr double m[6][3] = {{1, 0, 0},
                                {-2. / 3, -2 * a / 3, -1. / 3},
                                {-2. / 3, 2 * a / 3, -1. / 3},
                                {1. / 6, b / 6, 1. / 3},
                                {1. / 6, -b / 6, 1. / 3},
                                {0, 0, 1}};
    return m[i][j];
  }
  __device__ static constexpr double out(int i, int j) {
    constexpr double m[4][6] = {{1, 1, 1, 1, 1, 0},
                                {0, a, -a, b, -b, 0},
                                {0, .5, .5, 2, 2, 0},
                                {0, a / 2, -a / 2, 2 * b, -2 * b, 1}};
    return m[i][j];
  }
};

// to (ROWS, ROWS) = m (ROWS, COLUMNS) from (COLUMNS, COLUMNS) m^T. Coefficients are known to the
// compiler: what is multiplied by 0 is left out (and must be: 0 times infinity is NaN).
template <typename T, int ROWS, int COLUMNS, class Matrix>
__device__ __forceinline__ void sandwich(const T (&from)[COLUMNS][COLUMNS], T (&to)[ROWS][ROWS],
                                         const Matrix& m) {
  T half[ROWS][COLUMNS];
#pragma unroll
  for (int i = 0; i < ROWS; ++i)
#pragma unroll
    for (int j = 0; j < COLUMNS; ++j) {
      half[i][j] = 0;
#pragma unroll
      for (int k = 0; k < COLUMNS; ++k)
        if (m(i, k) != 0) half[i][j] += T(m(i, k)) * from[k][j];
    }
#pragma unroll
  for (int i = 0; i < ROWS; ++i)
#pragma unroll
    for (int j = 0; j < ROWS; ++j) {
      to[i][j] = 0;
#pragma unroll
      for (int k = 0; k < COLUMNS; ++k)
        if (m(j, k) != 0) to[i][j] += T(m(j, k)) * half[i][k];
    }
}

// The tiles of N images of P x Q outputs, and one of them.
struct Tiles {
  int N, P, Q, down, across;  // down x across tiles an image
};

template <int M> struct TilePlace {
  int image, p, q;  // of its first output
  __device__ TilePlace(int tile, const Tiles& t)
      : image(tile / (t.down * t.across)), p(tile / t.across % t.down * M),
        q(tile % t.across * M) {}
};

// W (A A, rows, columns) of w (K, C, 3, 3): rows are filters and columns channels or, turned, the
// other way round with the taps reversed. One thread, one filter and channel.
template <typename T, int M>
__global__ void winograd_filter(const T* __restrict__ w, T* __restrict__ transformed, int K, int C,
                                int turned) {
  constexpr int A = M + 2;
  const int c = blockIdx.x * blockDim.x + threadIdx.x, k = blockIdx.y;
  if (c >= C) return;
  const T* mine = w + ((long long)k * C + c) * 9;
  T taps[3][3], points[A][A];
#pragma unroll
  for (int r = 0; r < 3; ++r)
#pragma unroll
    for (int s = 0; s < 3; ++s) taps[r][s] = turned ? mine[8 - 3 * r - s] : mine[3 * r + s];
  sandwich(taps, points, [](int i, int j) { return Matrices<M>::filter(i, j); });
  const long long at = turned ? (long long)c * K + k : (long long)k * C + c;
#pragma unroll
  for (int i = 0; i < A; ++i)
#pragma unroll
    for (int j = 0; j < A; ++j) transformed[(i * A + j) * (long long)K * C + at] = points[i][j];
}

// X (A A, C, tiles) of x (N, C, H, W): the A x A pixels that the tile's outputs depend on.
template <typename T, int M>
__global__ void winograd_input(const T* __restrict__ x, T* __restrict__ transformed, const Tiles t,
                               int C, int H, int W, int pad_h, int pad_w) {
  constexpr int A = M + 2;
  const int tiles = t.N * t.down * t.across, tile = blockIdx.x * blockDim.x + threadIdx.x;
  if (tile >= tiles) return;
  const TilePlace<M> place(tile, t);
  for (int c = blockIdx.y; c < C; c += gridDim.y) {
    const T* plane = x + ((long long)place.image * C + c) * H * W;
    T pixels[A][A], points[A][A];
#pragma unroll
    for (int i = 0; i < A; ++i)
#pragma unroll
      for (int j = 0; j < A; ++j) {
        const int h = place.p + i - pad_h, v = place.q + j - pad_w;
        const bool inside = h >= 0 && h < H && v >= 0 && v < W;
        pixels[i][j] = inside ? plane[(long long)h * W + v] : T(0);
      }
    sandwich(pixels, points, [](int i, int j) { return Matrices<M>::in(i, j); });
#pragma unroll
    for (int i = 0; i < A; ++i)
#pragma unroll
      for (int j = 0; j < A; ++j)
        transformed[((long long)(i * A + j) * C + c) * tiles + tile] = points[i][j];
  }
}

// y (N, K, P, Q) of Y (A A, K, tiles), with bias and ReLU.
template <typename T, int M>
__global__ void winograd_output(const T* __restrict__ transformed, const T* __restrict__ bias,
                                T* __restrict__ y, const Tiles t, int K, int with_relu) {
  constexpr int A = M + 2;
  const int tiles = t.N * t.down * t.across, tile = blockIdx.x * blockDim.x + threadIdx.x;
  if (tile >= tiles) return;
  const TilePlace<M> place(tile, t);
  for (int k = blockIdx.y; k < K; k += gridDim.y) {
    T points[A][A], outputs[M][M];
#pragma unroll
    for (int i = 0; i < A; ++i)
#pragma unroll
      for (int j = 0; j < A; ++j)
        points[i][j] = transformed[((long long)(i * A + j) * K + k) * tiles + tile];
    sandwich(points, outputs, [](int i, int j) { return Matrices<M>::out(i, j); });
    T* plane = y + ((long long)place.image * K + k) * t.P * t.Q;
#pragma unroll
    for (int i = 0; i < M; ++i)
#pragma unroll
      for (int j = 0; j < M; ++j) {
        if (place.p + i >= t.P || place.q + j >= t.Q) continue;
        const T sum = bias ? outputs[i][j] + bias[k] : outputs[i][j];
        plane[(long long)(place.p + i) * t.Q + place.q + j] = with_relu ? relu(sum) : sum;
      }
  }
}

// dY (A A, K, tiles) of dy (N, K, P, Q): the adjoint of winograd_output.
template <typename T, int M>
__global__ void winograd_output_adjoint(const T* __restrict__ dy, T* __restrict__ transformed,
                                        const Tiles t, int K) {
  constexpr int A = M + 2;
  const int tiles = t.N * t.down * t.across, tile = blockIdx.x * blockDim.x + threadIdx.x;
  if (tile >= tiles) return;
  const TilePlace<M> place(tile, t);
  for (int k = blockIdx.y; k < K; k += gridDim.y) {
    const T* plane = dy + ((long long)place.image * K + k) * t.P * t.Q;
    T outputs[M][M], points[A][A];
#pragma unroll
    for (int i = 0; i < M; ++i)
#pragma unroll
      for (int j = 0; j < M; ++j) {
        const int p = place.p + i, q = place.q + j;
        outputs[i][j] = p < t.P && q < t.Q ? plane[(long long)p * t.Q + q] : T(0);
      }
    sandwich(outputs, points, [](int i, int j) { return Matrices<M>::out(j, i); });
#pragma unroll
    for (int i = 0; i < A; ++i)
#pragma unroll
      for (int j = 0; j < A; ++j)
        transformed[((long long)(i * A + j) * K + k) * tiles + tile] = points[i][j];
  }
}

// dw (K, C, 3, 3) of dW (A A, K, C): the adjoint of winograd_filter.
template <typename T, int M>
__global__ void winograd_filter_adjoint(const T* __restrict__ transformed, T* __restrict__ dw, int K,
                                        int C) {
  constexpr int A = M + 2;
  const int c = blockIdx.x * blockDim.x + threadIdx.x, k = blockIdx.y;
  if (c >= C) return;
  const long long at = (long long)k * C + c;
  T points[A][A], taps[3][3];
#pragma unroll
  for (int i = 0; i < A; ++i)
#pragma unroll
    for (int j = 0; j < A; ++j) points[i][j] = transformed[(i * A + j) * (long long)K * C + at];
  sandwich(points, taps, [](int i, int j) { return Matrices<M>::filter(j, i); });
#pragma unroll
  for (int r = 0; r < 3; ++r)
#pragma unroll
    for (int s = 0; s < 3; ++s) dw[at * 9 + 3 * r + s] = taps[r][s];
}
