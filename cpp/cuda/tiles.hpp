// Products of wide layers, and the gradients of all: a block makes one square tile of a product,
// its operands staged in shared memory, each thread 4 by 4 numbers of it. The threads of a small
// tile form several groups, which share out what is summed over; their sums are added in a fixed
// order.
#pragma once

#include "neurons.hpp"

namespace fastmlp {
namespace {

constexpr int kCorner = 4;  // rows and columns of a tile that a thread makes

template <class T>
struct alignas(16) Four {
  T of[kCorner];
};

/// The nearest float with so many bits fewer, ties to even.
template <int bits>
__device__ float rounded(float x) {
  const uint32_t word = uint32_t(as_bits(x)), last = word >> bits & 1;
  const uint32_t whole = word + (1u << (bits - 1)) - 1 + last;
  if (x - x == 0) return as_value<float>(int32_t(whole & ~((1u << bits) - 1)));
  return x == x ? x : __builtin_nanf("");
}

/// What tensor cores multiply: words of a fragment, from a column of shared memory whose next
/// elements are `stride` apart. Each takes those of a lane's `place` in its group of four.
struct Tf32 {
  static constexpr int kDepth = 8;
  __device__ static float round(float x) { return rounded<13>(x); }
  __device__ static uint32_t word(const float* column, int stride, int place) {
    return uint32_t(as_bits(column[place * stride]));
  }
  __device__ static void multiply(float (&sums)[4], const uint32_t (&a)[4],
                                  const uint32_t (&b)[2]) {
    mma_tf32(sums, a, b);
  }
};

struct Bfloat16 {
  static constexpr int kDepth = 16;
  __device__ static float round(float x) { return rounded<16>(x); }
  __device__ static uint32_t word(const float* column, int stride, int place) {
    return uint32_t(as_bits(column[2 * place * stride])) >> 16 |
           uint32_t(as_bits(column[(2 * place + 1) * stride]));
  }
  __device__ static void multiply(float (&sums)[4], const uint32_t (&a)[4],
                                  const uint32_t (&b)[2]) {
    mma_bfloat16(sums, a, b);
  }
};

/// A tile of kSize rows and columns of a product over depth.
template <class T, int kSize>
struct Tile {
  static constexpr int kAcross = kSize / kCorner, kGroup = kAcross * kAcross,
                       kGroups = kThreads / kGroup;
  static constexpr int kDepth = kSize * kGroups / 4;  // staged at a time
  static constexpr int kStride = kSize + kCorner;     // few conflicts where columns are stored
  static constexpr int kSums = kGroups * kSize * (kSize + 1), kOperands = 2 * kDepth * kStride;
  static constexpr int kNumbers = kSums > kOperands ? kSums : kOperands;
  static constexpr size_t kBytes = kNumbers * sizeof(T) + kWarps * sizeof(double);
  static_assert(kGroups * kGroup == kThreads && kDepth % kGroups == 0);

  T* shared;  // kNumbers

  __device__ double* room() const { return reinterpret_cast<double*>(shared + kNumbers); }

  /// Sums a(row, k) b(k, column) over k in [0, depth) for rows and columns below kSize, and leaves
  /// it to total(). Both are asked only for k < depth; `a_along_k` where neighbours in memory are
  /// those of k, else those of the row.
  template <bool a_along_k, class A, class B>
  __device__ void multiply(int64_t depth, const A& a, const B& b) const {
    const int t = int(threadIdx.x), group = t / kGroup;
    const int row = t % kGroup / kAcross * kCorner, column = t % kAcross * kCorner;
    T sums[kCorner][kCorner] = {};
    Staged next;
    next.template load<a_along_k>(0, depth, a, b);
    for (int64_t from = 0; from < depth; from += kDepth) {
      next.template store<a_along_k>(shared, [](T x) { return x; });
      __syncthreads();
      if (from + kDepth < depth) next.template load<a_along_k>(from + kDepth, depth, a, b);
#pragma unroll 4
      for (int i = 0; i < kDepth / kGroups; ++i) {
        const int k = group * (kDepth / kGroups) + i;
        const auto x = *reinterpret_cast<const Four<T>*>(shared + k * kStride + row);
        const auto y = *reinterpret_cast<const Four<T>*>(shared + (kDepth + k) * kStride + column);
#pragma unroll
        for (int r = 0; r < kCorner; ++r)
#pragma unroll
          for (int c = 0; c < kCorner; ++c) sums[r][c] += x.of[r] * y.of[c];
      }
      __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < kCorner; ++r)
#pragma unroll
      for (int c = 0; c < kCorner; ++c)
        shared[(group * kSize + row + r) * kSize + column + c] = sums[r][c];
    __syncthreads();
  }

  /// The same on tensor cores, of numbers rounded to theirs.
  template <class Format, bool a_along_k, class A, class B>
  __device__ void multiply_rounded(int64_t depth, const A& a, const B& b) const {
    static_assert(kGroups == 1 && kDepth % Format::kDepth == 0);
    constexpr int kDown = 2, kBeside = kSize * kSize / (kWarps * kDown * 16 * 8);  // of a warp
    constexpr int kWarpsAcross = kSize / (kBeside * 8);
    const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp;
    const int row = warp / kWarpsAcross * kDown * 16 + lane / 4,
              column = warp % kWarpsAcross * kBeside * 8 + lane / 4;
    float sums[kDown][kBeside][4] = {};
    Staged next;
    next.template load<a_along_k>(0, depth, a, b);
    for (int64_t from = 0; from < depth; from += kDepth) {
      next.template store<a_along_k>(shared, Format::round);
      __syncthreads();
      if (from + kDepth < depth) next.template load<a_along_k>(from + kDepth, depth, a, b);
#pragma unroll
      for (int k = 0; k < kDepth; k += Format::kDepth) {
        uint32_t as[kDown][4], bs[kBeside][2];
#pragma unroll
        for (int half = 0; half < 2; ++half) {  // of k
          const float* here = shared + (k + half * Format::kDepth / 2) * kStride;
          for (int i = 0; i < kDown * 2; ++i)
            as[i / 2][2 * half + i % 2] = Format::word(here + row + i * 8, kStride, lane % 4);
          for (int j = 0; j < kBeside; ++j)
            bs[j][half] = Format::word(here + kDepth * kStride + column + j * 8, kStride, lane % 4);
        }
#pragma unroll
        for (int i = 0; i < kDown; ++i)
#pragma unroll
          for (int j = 0; j < kBeside; ++j) Format::multiply(sums[i][j], as[i], bs[j]);
      }
      __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < kDown; ++i)
#pragma unroll
      for (int j = 0; j < kBeside; ++j)
#pragma unroll
        for (int n = 0; n < 4; ++n)
          shared[(row + i * 16 + n / 2 * 8) * kSize + column - lane / 4 + j * 8 + lane % 4 * 2 +
                 n % 2] = sums[i][j][n];
    __syncthreads();
  }

  /// One of the two.
  template <bool a_along_k, class A, class B>
  __device__ void multiply(Precision precision, int64_t depth, const A& a, const B& b) const {
    if constexpr (sizeof(T) == sizeof(float) && kGroups == 1) {
      if (precision == Precision::tf32) return multiply_rounded<Tf32, a_along_k>(depth, a, b);
      if (precision == Precision::bfloat16)
        return multiply_rounded<Bfloat16, a_along_k>(depth, a, b);
    }
    multiply<a_along_k>(depth, a, b);
  }

  /// The product at element e = row * kSize + column.
  __device__ T total(int e) const {
    T sum = shared[e];
    for (int g = 1; g < kGroups; ++g) sum += shared[g * kSize * kSize + e];
    return sum;
  }

 private:
  /// A thread's part of kDepth columns of a and rows of b, on its way to shared memory: while it
  /// is, those that are there are multiplied.
  struct Staged {
    static constexpr int kEach = kDepth * kSize / kThreads;
    T x[kEach], y[kEach];

    /// Those from k = `from` on.
    template <bool a_along_k, class A, class B>
    __device__ void load(int64_t from, int64_t depth, const A& a, const B& b) {
#pragma unroll
      for (int n = 0; n < kEach; ++n) {
        const int e = int(threadIdx.x) + n * kThreads, k = a_along_k ? e % kDepth : e / kSize;
        x[n] = from + k < depth ? a(a_along_k ? e / kDepth : e % kSize, from + k) : T(0);
        y[n] = from + e / kSize < depth ? b(from + e / kSize, e % kSize) : T(0);
      }
    }
    /// Columns of a are turned.
    template <bool a_along_k, class Round>
    __device__ void store(T* shared, const Round& round) const {
#pragma unroll
      for (int n = 0; n < kEach; ++n) {
        const int e = int(threadIdx.x) + n * kThreads, k = a_along_k ? e % kDepth : e / kSize;
        shared[k * kStride + (a_along_k ? e / kDepth : e % kSize)] = round(x[n]);
        shared[(kDepth + e / kSize) * kStride + e % kSize] = round(y[n]);
      }
    }
  };
};

/// Tiles are large where there are enough of them, for most processors of a device to have one, or
/// where tensor cores make them.
constexpr int kSmallTile = 32, kLargeTile = 64;
constexpr int64_t kManyTiles = 128;

/// Blocks that a processor is to have room for: more would take registers that a tile needs.
template <class T>
constexpr int kBlocks = sizeof(T) == sizeof(float) ? 2 : 1;

/// Where a block's tile of a (rows, columns) matrix begins; tiles go along columns first.
struct Corner {
  int64_t row, column;

  __device__ Corner(int64_t number, int64_t columns, int size)
      : row(number / ceil_div(columns, size) * size),
        column(number % ceil_div(columns, size) * size) {}
};

inline int64_t tiles_of(int64_t rows, int64_t columns, int size) {
  return ceil_div(rows, size) * ceil_div(columns, size);
}

inline int tile_size(int64_t rows, int64_t columns, Precision precision) {
  const bool many = tiles_of(rows, columns, kLargeTile) >= kManyTiles;
  return many || precision != Precision::float32 ? kLargeTile : kSmallTile;
}

/// A tile of inputs (rows, k) times a matrix (k, columns).
template <class T, int kSize>
__device__ void multiply_matrices(const Tile<T, kSize>& tile, const Corner& at, Precision precision,
                                  int64_t rows, const T* inputs, int64_t k, const T* matrix,
                                  int64_t columns) {
  tile.template multiply<true>(
      precision, k,
      [=](int r, int64_t i) { return at.row + r < rows ? inputs[(at.row + r) * k + i] : T(0); },
      [=](int64_t i, int c) {
        return at.column + c < columns ? matrix[i * columns + at.column + c] : T(0);
      });
}

/// A wide layer forward, up to its outputs, but of maxout to z.
template <class T, int kSize>
__global__ void __launch_bounds__(kThreads, kBlocks<T>)
    forward_wide(Net<T> net, const Turn<T>* turns, int number, int l) {
  const Tile<T, kSize> tile{shared_memory<T>()};
  const Turn<T>& turn = turns[number];
  const Layer<T>& layer = net.layers[l];
  const Corner at(blockIdx.x, layer.linear, kSize);
  if (at.row >= turn.rows) return;
  multiply_matrices(tile, at, layer.precision, turn.rows, layer.input, layer.in,
                    net.parameters(layer), layer.linear);
  const Neurons<T> neurons(net, turn, l);
  for (int e = int(threadIdx.x); e < kSize * kSize; e += kThreads) {
    const int64_t row = at.row + e / kSize, j = at.column + e % kSize;
    if (row < turn.rows && j < layer.linear) neurons.activate(row, j, tile.total(e));
  }
}

/// The way back through a wide layer, to the deltas of the layer below.
template <class T, int kSize>
__global__ void __launch_bounds__(kThreads, kBlocks<T>)
    backward_wide(Net<T> net, const Turn<T>* turns, int number, int l) {
  const Tile<T, kSize> tile{shared_memory<T>()};
  const Turn<T>& turn = turns[number];
  const Layer<T>& layer = net.layers[l];
  const Corner at(blockIdx.x, layer.in, kSize);
  if (at.row >= turn.rows) return;
  multiply_matrices(tile, at, layer.precision, turn.rows, layer.delta, layer.linear,
                    layer.transposed, layer.in);
  const Neurons<T> below(net, turn, l - 1);
  for (int e = int(threadIdx.x); e < kSize * kSize; e += kThreads) {
    const int64_t row = at.row + e / kSize, i = at.column + e % kSize;
    if (row < turn.rows && i < layer.in) below.times_slope(row, i, tile.total(e));
  }
}

/// An element of a (rows, columns) matrix to each thread, a row to some blocks.
struct Element {
  int64_t row, column;

  __device__ explicit Element(int64_t columns)
      : row(blockIdx.x / unsigned(ceil_div(columns, kThreads))),
        column(int64_t(blockIdx.x % unsigned(ceil_div(columns, kThreads))) * kThreads +
               threadIdx.x) {}
};

int64_t element_blocks(int64_t rows, int64_t columns) { return rows * ceil_div(columns, kThreads); }

/// The rest of a layer forward, from its product where its deltas will be.
template <class T>
__global__ void __launch_bounds__(kThreads, 2)
    finish_forward(Net<T> net, const Turn<T>* turns, int number, int l) {
  const Turn<T>& turn = turns[number];
  const Layer<T>& layer = net.layers[l];
  const Element at(layer.linear);
  if (at.row >= turn.rows || at.column >= layer.linear) return;
  const T sum = layer.delta[at.row * layer.linear + at.column];
  Neurons<T>(net, turn, l).activate(at.row, at.column, sum);
}

/// The rest of the way back to the deltas of a layer, but of maxout, where derivatives by its
/// outputs are.
template <class T>
__global__ void __launch_bounds__(kThreads, 2)
    finish_backward(Net<T> net, const Turn<T>* turns, int number, int l) {
  const Turn<T>& turn = turns[number];
  const Layer<T>& layer = net.layers[l];
  const Element at(layer.out);
  if (at.row >= turn.rows || at.column >= layer.out) return;
  const T by_output = layer.delta[at.row * layer.out + at.column];
  Neurons<T>(net, turn, l).times_slope(at.row, at.column, by_output);
}

/// What waits for all pieces of a wide maxout layer: its largest, or on the way back to them.
template <class T>
__global__ void __launch_bounds__(kThreads, 2)
    finish_maxout(Net<T> net, const Turn<T>* turns, int number, int l, bool back) {
  const Turn<T>& turn = turns[number];
  const Neurons<T> neurons(net, turn, l);
  const int64_t out = neurons.layer.out;
  const int64_t e = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (e >= turn.rows * out) return;
  if (back) {
    neurons.give_to_largest(e / out, e % out);
  } else {
    neurons.take_largest(e / out, e % out);
  }
}

}  // namespace
}  // namespace fastmlp
