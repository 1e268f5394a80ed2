// The weights phase of a step: a thread takes tiles of weights, their gradient over all rows of the
// batch, and applies the solver's update while the tile is at hand.
#pragma once

#include "../formulas/solvers.hpp"
#include "rows.hpp"

namespace fastmlp {
namespace {

/// Instead of a solver: the gradient is wanted, not a step.
template <class T>
struct KeepGradient {
  static constexpr int kSlots = 0;
};

/// The entries of a chunk of sparse rows by column, for the columns that one thread works on.
template <class T>
struct Columns {
  int64_t* starts;  // (features + 1,): entries of column i are starts[i] .. starts[i + 1]
  int32_t* rows;
  T* values;

  void build(const Chunk<T>& chunk, int64_t begin, int64_t end) {
    const Rows<T>& x = chunk.data.x;
    const auto each = [&](auto take) {
      for (int64_t r = 0; r < chunk.rows; ++r) {
        const int64_t source = chunk.row(r);
        for (int64_t e = x.indptr[source]; e < x.indptr[source + 1]; ++e)
          if (x.columns[e] >= begin && x.columns[e] < end) take(x.columns[e], r, x.values[e]);
      }
    };
    // Counting sort. After the second pass starts[i] is where column i ends: shifted by one entry.
    for (int64_t i = begin; i <= end; ++i) starts[i] = 0;
    each([&](int32_t column, int64_t, T) { ++starts[column]; });
    int64_t total = 0;
    for (int64_t i = begin; i <= end; ++i) {
      const int64_t count = starts[i];
      starts[i] = total;
      total += count;
    }
    each([&](int32_t column, int64_t row, T value) {
      rows[starts[column]] = int32_t(row);
      values[starts[column]++] = value;
    });
    for (int64_t i = end; i > begin; --i) starts[i] = starts[i - 1];
    starts[begin] = 0;
  }

  /// Row `feature` of the weight gradient, C vectors of it: sum of value times delta.
  void multiply(int64_t feature, Panels<T> delta, int64_t vector, int width, T* out,
                int64_t out_panel) const {
    Vec<T> sums[kTileVectors]{};
    for (int64_t e = starts[feature]; e < starts[feature + 1]; ++e)
      for (int c = 0; c < width; ++c) sums[c] += values[e] * load(delta.at(vector + c, rows[e]));
    for (int c = 0; c < width; ++c) store(out + c * out_panel, sums[c]);
  }
};

/// Applies a change to the weights of `rows` x `width` vectors, given their summed gradient `sums`
/// as [vector][row][lane]. Returns the sum of the squared weights, as they were before.
template <class T, class Change>
T change_weights(const Trained<T>& trained, const Chunk<T>& chunk, const Change& change, T alpha,
                 int64_t row, int rows, int64_t vector, int width, T* sums) {
  using V = Vec<T>;
  V squares{};
  for (int c = 0; c < width; ++c)
    for (int r = 0; r < rows; ++r) {
      T* place = sums + (c * kTileRows<T> + r) * kLanes<T>;
      T* kept = trained.gradient.data ? trained.gradient.at(vector + c, row + r) : nullptr;
      V g = load(place);
      if (!chunk.first) g += load(kept);
      if (!chunk.last) {
        store(kept, g);
        continue;
      }
      V w = load(trained.slot[0].at(vector + c, row + r));
      squares += w * w;
      g = (g + alpha * w) * chunk.scale;
      if constexpr (Change::kSlots == 0) {
        store(kept, g);
      } else {
        V slots[Change::kSlots];
        for (int k = 0; k < Change::kSlots; ++k)
          slots[k] = load(trained.slot[1 + k].at(vector + c, row + r));
        change.update(w, g, slots);
        for (int k = 0; k < Change::kSlots; ++k)
          store(trained.slot[1 + k].at(vector + c, row + r), slots[k]);
        store(trained.slot[0].at(vector + c, row + r), w);
        store(place, w);  // for the transposed copy
      }
    }
  return sum<T>(squares);
}

/// Writes R rows of updated weights, [vector][row][lane] at `weights`, into the transposed copy.
template <class T, int R>
void copy_transposed(Layer<T>& layer, int64_t row, int64_t vector, int width, const T* weights) {
  constexpr int64_t L = kLanes<T>;
  for (int c = 0; c < width; ++c) {
    Vec<T> v[R];
    for (int r = 0; r < R; ++r) v[r] = load(weights + (c * kTileRows<T> + r) * L);
    transpose<T, R>(v, std::make_index_sequence<size_t(L)>{});
    const int64_t out = (vector + c) * L, lanes = layer.out - out < L ? layer.out - out : L;
    T* to = layer.transposed.at(row / L, out) + row % L;
    const char* from = reinterpret_cast<const char*>(v);
    for (int64_t lane = 0; lane < lanes; ++lane)
      __builtin_memcpy(to + lane * L, from + lane * R * sizeof(T), R * sizeof(T));
  }
}

template <class T>
void copy_transposed(Layer<T>& layer, int64_t row, int rows, int64_t vector, int width,
                     const T* weights) {
  switch (rows) {
    case 1:
      return copy_transposed<T, 1>(layer, row, vector, width, weights);
    case 2:
      return copy_transposed<T, 2>(layer, row, vector, width, weights);
    case 4:
      if constexpr (kTileRows<T> >= 4)
        return copy_transposed<T, 4>(layer, row, vector, width, weights);
      break;
    case 8:
      if constexpr (kTileRows<T> >= 8)
        return copy_transposed<T, 8>(layer, row, vector, width, weights);
      break;
  }
}

/// One unit: the gradient of up to kTileRows rows of weights, in one group of vectors, and its use.
template <class T, class Change>
T run_unit(Layer<T>& layer, const Chunk<T>& chunk, const Change& change, T alpha, int64_t begin,
           int64_t end, int64_t vector, int width, const Columns<T>* columns) {
  constexpr int64_t L = kLanes<T>;
  alignas(64) T sums[kTileVectors * kTileRows<T> * L];
  constexpr int64_t panel = kTileRows<T> * L;
  // what the rows of the stored matrix stand for, and what its columns stand for
  const Panels<T>& by_row = layer.narrow ? layer.delta : layer.input;
  const Panels<T>& by_column = layer.narrow ? layer.input : layer.delta;
  // the update will want these from memory; the product takes long enough to fetch them
  for (const Panels<T>& slot : layer.weight.slot)
    for (int c = 0; c < width; ++c)
      for (int64_t row = begin; row < end; ++row) __builtin_prefetch(slot.at(vector + c, row));
  T penalty = 0;
  for (int64_t row = begin; row < end;) {
    const int height = tile_rows<T>(end - row);
    if (columns) {
      for (int r = 0; r < height; ++r)
        columns->multiply(row + r, layer.delta, vector, width, sums + r * L, panel);
    } else {
      find_tile<T, Order::kAlongRows>(height, width)(chunk.rows, by_row.at(row / L, 0) + row % L, 0,
                                                     {by_column.at(vector, 0), L, by_column.stride},
                                                     nullptr, 0, sums, panel);
    }
    // Past a narrow layer's last input lie activations of 0, which need not be 0: a logistic's 0.5.
    if (layer.narrow && vector + width == panel_count<T>(layer.in)) {
      const auto valid = first_lanes<T>(layer.in - (vector + width - 1) * L);
      for (int r = 0; r < height; ++r) {
        T* place = sums + (width - 1) * panel + r * L;
        store(place, select(valid, load(place), Vec<T>{}));
      }
    }
    penalty += change_weights(layer.weight, chunk, change, alpha, row, height, vector, width, sums);
    if (Change::kSlots > 0 && chunk.last && layer.transposed.data)
      copy_transposed(layer, row, height, vector, width, sums);
    row += height;
  }
  return penalty;
}

/// A layer's last unit: its bias.
template <class T, class Change>
void run_bias(Layer<T>& layer, const Chunk<T>& chunk, const Change& change) {
  alignas(64) T sums[kLanes<T>];
  for (int64_t vector = 0; vector < panel_count<T>(layer.out); ++vector) {
    Vec<T> total{};
    for (int64_t r = 0; r < chunk.rows; ++r) total += load(layer.delta.at(vector, r));
    store(sums, total);
    change_weights(layer.bias, chunk, change, T(0), 0, 1, vector, 1, sums);
  }
}

/// Units [begin, end) of all layers' units.
template <class T, class Change>
void run_weights(Session<T>& s, const Chunk<T>& chunk, const Change& change, int64_t begin,
                 int64_t end, Columns<T> scratch) {
  int64_t unit = 0;  // the first of the group at hand
  for (int l = 0; l < s.n_layers; ++l) {
    Layer<T>& layer = s.layers[l];
    const Groups groups = layer.groups();
    const int64_t per_group = layer.units_per_group();
    const bool sparse = l == 0 && chunk.data.x.indptr;
    if (sparse && begin < layer.units()) {
      // within one group a thread needs its own rows of weights only, else all
      const bool one_group = (begin / per_group) == (end - 1) / per_group;
      const int64_t to = (end - begin + begin % per_group) * kTileRows<T>;
      scratch.build(chunk, one_group ? begin % per_group * kTileRows<T> : 0,
                    one_group && to < layer.in ? to : layer.in);
    }
    for (int64_t g = 0; g < groups.count(); ++g, unit += per_group) {
      const int64_t from = begin > unit ? begin - unit : 0;
      const int64_t to = end - unit < per_group ? end - unit : per_group;
      for (int64_t u = from; u < to; ++u) {
        const int64_t row = u * kTileRows<T>;
        const int64_t row_end =
            row + kTileRows<T> < layer.rows() ? row + kTileRows<T> : layer.rows();
        s.penalty[unit + u] =
            double(run_unit(layer, chunk, change, T(s.alpha), row, row_end, groups.first(g),
                            groups.size(g), sparse ? &scratch : nullptr));
      }
    }
    if (begin <= unit && unit < end) run_bias(layer, chunk, change);
    ++unit;
  }
}

/// The first unit of thread `thread`'s share of all layers' work.
template <class T>
int64_t first_unit(const Session<T>& s, int thread, int n_threads) {
  int64_t total = 0;
  for (int l = 0; l < s.n_layers; ++l) total += s.layers[l].work();
  int64_t before = total * thread / n_threads, unit = 0;  // work of the threads before
  for (int l = 0; l < s.n_layers; ++l) {
    const Layer<T>& layer = s.layers[l];
    const Groups groups = layer.groups();
    for (int64_t g = 0; g < groups.count(); ++g) {
      const int64_t work = layer.units_per_group() * groups.size(g);
      if (before < work) return unit + before / groups.size(g);
      before -= work;
      unit += layer.units_per_group();
    }
    if (before == 0) return unit;
    --before;
    ++unit;
  }
  return unit;
}

template <class T>
struct WeightsPhase {
  Session<T>& s;
  const Chunk<T>& chunk;
  int64_t begin, end;
  Columns<T> scratch;

  template <class Change>
  void run(const Change& change) const {
    run_weights(s, chunk, change, begin, end, scratch);
  }
};

template <class T, class Solver>
void run_solver(const WeightsPhase<T>& phase, const SolverOptions& options, int64_t step) {
  phase.run(Solver(options, step));
}

template <class T, class... S>
auto find_solver(int index, List<S...>) {
  using Function = void (*)(const WeightsPhase<T>&, const SolverOptions&, int64_t);
  static constexpr Function table[] = {run_solver<T, S>...};
  return table[index];
}

}  // namespace
}  // namespace fastmlp
