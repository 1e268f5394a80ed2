// The matrix products: one micro-kernel, a tile of R rows by C vectors held in registers.
//
//   out[c][r] = start[c][r] + sum over i of a(r, i) * b(c, i)      c < C vectors, r < R rows
//
// a is broadcast element by element, b is read vector by vector. Two orders of a make all products:
//   kAlongColumns  i runs along the columns of a, r along its rows: layer outputs (b = weights)
//                  and input gradients (b = transposed weights)
//   kAlongRows     i runs along the rows of a, r along columns of one panel: weight gradients
//                  (a = layer inputs, b = deltas)
// Every sum is taken in the order of i by one chain of multiply-adds, whatever the tile: results
// depend neither on how rows are split over threads nor on how many there are.
#pragma once

#include <cstddef>
#include <utility>

#include "simd.hpp"

namespace fastmlp {
namespace {

enum class Order { kAlongColumns, kAlongRows };

/// Rows of a full tile. AVX-512 has 32 registers (8 x 3 sums), AVX2 and SSE2 16 (4 x 3). A tile
/// of weight gradients takes its rows from the lanes of one panel, hence the second bound.
template <class T>
constexpr int kTileRows = FASTMLP_TILE_ROWS < kLanes<T> ? FASTMLP_TILE_ROWS : int(kLanes<T>);
constexpr int kTileVectors = 3;

/// What a tile multiplies by: vector c of index i at data + c * panel + i * step. In panels the
/// step is one vector; a C-contiguous (in, out) matrix has step = out and panel = one vector.
template <class T>
struct Operand {
  const T* data;
  int64_t step, panel;

  Operand from(int64_t vector) const { return {data + vector * panel, step, panel}; }
};

/// What a tile's sums begin with: vector c of row r at data + c * panel + r * row. Null: zero.
template <class T>
struct Start {
  const T* data = nullptr;
  int64_t panel = 0, row = 0;
};

/// Which indices of a sum are marked: eight bits in a byte, the bytes `stride` apart.
struct Marks {
  const uint8_t* bytes = nullptr;  // null: all are
  int64_t stride = 0;

  explicit operator bool() const { return bytes; }
  /// The marks from index `first` on, a multiple of 8.
  Marks from(int64_t first) const { return {bytes ? bytes + first / 8 * stride : nullptr, stride}; }

  /// The bits of the up to 64 indices from `first` on, below `count`.
  uint64_t word(int64_t first, int64_t count) const {
    const int64_t rest = count - first;
    const uint8_t* from = bytes + first / 8 * stride;
    uint64_t bits = 0;
    for (int64_t i = 0; i < 64 && i < rest; i += 8, from += stride) bits |= uint64_t(*from) << i;
    return rest < 64 ? bits & ((uint64_t(1) << rest) - 1) : bits;
  }
  template <class Use>
  void each(int64_t count, Use use) const {
    for (int64_t first = 0; first < count; first += 64)
      for (uint64_t bits = word(first, count); bits; bits &= bits - 1)
        use(first + __builtin_ctzll(bits));
  }
  /// Whether more than `most` of all indices are marked.
  bool exceed(double most, int64_t count) const {
    int64_t set = 0;
    for (int64_t first = 0; first < count; first += 64)
      set += __builtin_popcountll(word(first, count));
    return double(set) > most * double(count);
  }
};

/// With `marked`, only over the indices that are: where the others' a is zero, the same sums.
template <class T, int R, int C, Order order, bool marked = false>
void tile(int64_t count, const T* a, int64_t a_panel, Operand<T> b, Start<T> start, T* out,
          int64_t out_panel, Marks marks) {
  constexpr int64_t L = kLanes<T>;
  constexpr int64_t a_row = order == Order::kAlongColumns ? L : 1;
  constexpr int64_t a_next = order == Order::kAlongColumns ? 1 : L;
  Vec<T> sums[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
      sums[r][c] = start.data ? load(start.data + c * start.panel + r * start.row) : Vec<T>{};
  }
  const auto add = [&](const T* at, const T* by) {
    Vec<T> vectors[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) vectors[c] = load(by + c * b.panel);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sums[r][c] += at[r * a_row] * vectors[c];
    }
  };
  const int64_t run = order == Order::kAlongColumns ? L : count;  // a's contiguous stretch
  if constexpr (marked) {
    marks.each(count, [&](int64_t i) {
      add(a + (order == Order::kAlongColumns ? i / L * a_panel + i % L : i * L),
          b.data + i * b.step);
    });
    count = 0;
  }
  for (int64_t first = 0; first < count; first += run, a += a_panel) {
    // The next tile's rows lie behind these: a panel apart, too far for the hardware to foresee.
    if (order == Order::kAlongColumns) {
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) __builtin_prefetch(a + (R + r) * L);
    }
    const int64_t end = first + run < count ? run : count - first;
    for (int64_t i = 0; i < end; ++i) {
      add(a + i * a_next, b.data);
      b.data += b.step;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) store(out + c * out_panel + r * L, sums[r][c]);
  }
}

template <class T>
using Tile = void (*)(int64_t, const T*, int64_t, Operand<T>, Start<T>, T*, int64_t, Marks);

/// The largest tile height that fits into `rows`: kTileRows, or a power of two below it.
template <class T>
inline int tile_rows(int64_t rows) {
  int r = kTileRows<T>;
  while (r > rows) r /= 2;
  return r;
}

/// The tile of `rows` (a power of two up to kTileRows) by `vectors` (1 to kTileVectors). Only full
/// ones go by marks.
template <class T, Order order>
Tile<T> find_tile(int rows, int vectors, Marks marks) {
  constexpr int R = kTileRows<T>;
  static constexpr Tile<T> marked[] = {tile<T, R, 1, order, true>, tile<T, R, 2, order, true>,
                                       tile<T, R, 3, order, true>};
  if (marks) return marked[vectors - 1];
#define FASTMLP_TILES(R)                                             \
  {                                                                  \
    tile<T, R, 1, order>, tile<T, R, 2, order>, tile<T, R, 3, order> \
  }
  static constexpr Tile<T> tiles[][kTileVectors] = {
      FASTMLP_TILES(1),
      FASTMLP_TILES(2),
#if FASTMLP_TILE_ROWS >= 4
      FASTMLP_TILES(4),
#endif
#if FASTMLP_TILE_ROWS >= 8
      FASTMLP_TILES(8),
#endif
  };
#undef FASTMLP_TILES
  return tiles[__builtin_ctz(unsigned(rows))][vectors - 1];
}

/// Vectors split into groups of at most kTileVectors, as even as can be (7 = 3 + 2 + 2).
struct Groups {
  int64_t vectors;

  int64_t count() const { return ceil_div(vectors, kTileVectors); }
  int64_t first(int64_t group) const { return group * vectors / count(); }
  int size(int64_t group) const { return int(first(group + 1) - first(group)); }
};

template <class T>
struct Neurons;  // in neurons.hpp
template <class T>
struct Zeros;  // in zeros.hpp

/// What is done to a tile just computed, while it is in the first-level cache: `rows` by `vectors`
/// at z, and the same places of a second matrix, where there is one. `row` and `vector` are those
/// of the tile's corner.
template <class T>
struct Epilogue {
  using Function = void (*)(const Neurons<T>&, T* z, int64_t z_panel, T* other, int64_t other_panel,
                            int64_t row, int64_t vector, int rows, int vectors);
  Function function = nullptr;
  const Neurons<T>* neurons = nullptr;
  Panels<T> other = {};

  explicit operator bool() const { return function; }
  void operator()(T* z, int64_t z_panel, int64_t row, int64_t vector, int rows, int vectors) const {
    function(*neurons, z, z_panel, other.data ? other.at(vector, row) : nullptr, other.stride, row,
             vector, rows, vectors);
  }
};

/// `vectors` vectors of a layer's weights and of the bias below them (null: none).
template <class T>
struct Affine {
  Operand<T> weight;
  const T* bias;
  int64_t bias_panel, vectors;

  /// The bias, for the sums of rows from `vector` on.
  Start<T> start(int64_t vector) const {
    return {bias ? bias + vector * bias_panel : nullptr, bias_panel, 0};
  }
};

/// Long sums are made in stretches, so that a stretch of all rows stays in the second-level cache
/// from one group to the next. The sum so far waits in out: it is the same chain of multiply-adds.
constexpr int64_t kStretch = 1024;

/// Rows [begin, end) of out = a (rows, count) times weight, plus bias to each row, or where it
/// `adds` plus what was there. The epilogue is told that out begins at vector `first`. With the
/// `zeros` of a, these are left out.
template <class T, bool adds = false>
__attribute__((noinline)) void multiply(Panels<T> a, int64_t count, Affine<T> by, Panels<T> out,
                                        int64_t begin, int64_t end, const Epilogue<T>& epilogue,
                                        int64_t first = 0, const Zeros<T>* zeros = nullptr) {
  const Groups groups{by.vectors};
  int64_t from = 0;
  do {
    const int64_t rest = count - from;
    const int64_t here = rest < kStretch + kStretch / 2 ? rest : kStretch;
    for (int64_t g = 0; g < groups.count(); ++g) {
      const int64_t v = groups.first(g);
      const int width = groups.size(g);
      Operand<T> weight = by.weight.from(v);
      weight.data += from * weight.step;
      for (int64_t row = begin; row < end;) {
        const int height = tile_rows<T>(end - row);
        T* z = out.at(v, row);
        const Start<T> start = adds || from > 0 ? Start<T>{z, out.stride, kLanes<T>} : by.start(v);
        const Marks marks =
            zeros && height == kTileRows<T> ? zeros->columns(row).from(from) : Marks();
        find_tile<T, Order::kAlongColumns>(height, width, marks)(
            here, a.at(from / kLanes<T>, row), a.stride, weight, start, z, out.stride, marks);
        if (epilogue && here == rest) epilogue(z, out.stride, row, first + v, height, width);
        row += height;
      }
    }
    from += here;
  } while (from < count);
}

/// What is stored of a sparse row, or column: values and their places in it.
template <class T>
struct Entries {
  const T* values;
  const int32_t* places;
  int64_t count;
};

/// `tile` for R = 1 or 2 rows given by their entries. Two have twice the sums in flight.
template <class T, int R, int C>
void entry_tile(const Entries<T>* rows, Operand<T> b, Start<T> start, T* out, int64_t out_panel) {
  Vec<T> sums[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
      sums[r][c] = start.data ? load(start.data + c * start.panel + r * start.row) : Vec<T>{};
  }
  const auto add = [&](int r, int64_t e) {
    const T* from = b.data + rows[r].places[e] * b.step;
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) sums[r][c] += rows[r].values[e] * load(from + c * b.panel);
  };
  int64_t shared = rows[0].count;
  if (R == 2 && rows[1].count < shared) shared = rows[1].count;
  for (int64_t e = 0; e < shared; ++e) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) add(r, e);
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    for (int64_t e = shared; e < rows[r].count; ++e) add(r, e);
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) store(out + c * out_panel + r * kLanes<T>, sums[r][c]);
  }
}

/// The entry tile of 1 or 2 rows by 1 to kTileVectors vectors.
template <class T>
auto find_entry_tile(int rows, int vectors) {
  static constexpr decltype(&entry_tile<T, 1, 1>) tiles[][kTileVectors] = {
      {entry_tile<T, 1, 1>, entry_tile<T, 1, 2>, entry_tile<T, 1, 3>},
      {entry_tile<T, 2, 1>, entry_tile<T, 2, 2>, entry_tile<T, 2, 3>}};
  return tiles[rows - 1][vectors - 1];
}

/// `multiply` for rows given by their entries, row `begin` first.
template <class T>
void multiply_sparse(const Entries<T>* rows, Affine<T> by, Panels<T> out, int64_t begin,
                     int64_t end, const Epilogue<T>& epilogue, int64_t first = 0) {
  const Groups groups{by.vectors};
  for (int64_t g = 0; g < groups.count(); ++g) {
    const int64_t v = groups.first(g);
    const int width = groups.size(g);
    for (int64_t row = begin; row < end;) {
      const int height = end - row < 2 ? 1 : 2;
      find_entry_tile<T>(height, width)(rows + (row - begin), by.weight.from(v), by.start(v),
                                        out.at(v, row), out.stride);
      if (epilogue) epilogue(out.at(v, row), out.stride, row, first + v, height, width);
      row += height;
    }
  }
}

/// Whether a layer is so narrow that its weights are stored by outputs: vectors run along its
/// inputs then, where a vector of outputs would be mostly empty. Summing the lanes of a product
/// costs some multiply-adds, hence the bound on the inputs.
template <class T>
inline bool is_narrow(int64_t in, int64_t out) {
  return 4 * out <= kLanes<T> && 2 * in > kLanes<T>;
}

/// `valid` selects the lanes of the last panel that are inputs: what lies beyond may be infinite.
template <class T, int R, int C>
void narrow_tile(int64_t panels, const T* a, int64_t a_panel, const T* w, int64_t w_panel,
                 const T* bias, T* out, const Bits<Vec<T>>& valid) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> sums[R][C]{};
  for (int64_t p = 0; p < panels; ++p, a += a_panel, w += w_panel) {
    Vec<T> weights[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) weights[c] = load(w + c * L);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vec<T> inputs =
          p < panels - 1 ? load(a + r * L) : select(valid, load(a + r * L), Vec<T>{});
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sums[r][c] += inputs * weights[c];
    }
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) out[r * L + c] = sum<T>(sums[r][c]) + bias[c];
}

/// Rows [begin, end) of out = a (rows, in) times the narrow layer `weight`, (outputs, in) in
/// panels, plus bias.
template <class T>
void multiply_narrow(Panels<T> a, int64_t in, Panels<T> weight, const T* bias, int64_t outputs,
                     Panels<T> out, int64_t begin, int64_t end, const Epilogue<T>& epilogue) {
  constexpr int64_t L = kLanes<T>;
  constexpr int R = 4;
  const auto valid = first_lanes<T>(in - (panel_count<T>(in) - 1) * L);
  for (int64_t row = begin; row < end;) {
    const int height = end - row < R ? 1 : R;
    for (int r = 0; r < height; ++r) store(out.at(0, row + r), Vec<T>{});  // lanes past the last
    for (int64_t j = 0; j < outputs;) {
      const int width = outputs - j < 2 ? 1 : 2;
      const auto tile = height == 1 ? (width == 1 ? narrow_tile<T, 1, 1> : narrow_tile<T, 1, 2>)
                                    : (width == 1 ? narrow_tile<T, R, 1> : narrow_tile<T, R, 2>);
      tile(panel_count<T>(in), a.at(0, row), a.stride, weight.at(0, j), weight.stride, bias + j,
           out.at(j / L, row) + j % L, valid);
      j += width;
    }
    if (epilogue) epilogue(out.at(0, row), out.stride, row, 0, height, 1);
    row += height;
  }
}

/// Turns R vectors into the memory order of their transpose: element (lane, r) at lane * R + r.
/// Interleaving the two halves of the list log2(R) times does it.
template <class T, int R, size_t... Lane>
inline void transpose(Vec<T>* v, std::index_sequence<Lane...>) {
  constexpr int L = int(kLanes<T>);
  for (int stage = 1; stage < R; stage *= 2) {
    Vec<T> woven[R];
#pragma GCC unroll 8
    for (int i = 0; i < R / 2; ++i) {
      woven[2 * i] = __builtin_shufflevector(v[i], v[i + R / 2], (Lane / 2 + Lane % 2 * L)...);
      woven[2 * i + 1] =
          __builtin_shufflevector(v[i], v[i + R / 2], (L / 2 + Lane / 2 + Lane % 2 * L)...);
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) v[i] = woven[i];
  }
}

}  // namespace
}  // namespace fastmlp
