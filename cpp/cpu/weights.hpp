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

  __attribute__((noinline)) void build(const Chunk<T>& chunk, const Mask<T>& mask, int64_t begin,
                                       int64_t end) {
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
      if (mask.active) value *= mask.factor(chunk.start + row, column);
      values[starts[column]++] = value;
    });
    for (int64_t i = end; i > begin; --i) starts[i] = starts[i - 1];
    starts[begin] = 0;
  }

  /// `height` rows of the weight gradient from `feature` on, `width` vectors of them.
  void multiply(int64_t feature, int height, Panels<T> delta, int64_t vector, int width,
                Panels<T> out) const {
    const int together = height > 1 ? 2 : 1;
    const auto tile = find_entry_tile<T>(together, width);
    for (int r = 0; r < height; r += together) {
      Entries<T> entries[2];
      for (int i = 0; i < together; ++i) {
        const int64_t first = starts[feature + r + i];
        entries[i] = {values + first, rows + first, starts[feature + r + i + 1] - first};
      }
      tile(entries, {delta.at(vector, 0), kLanes<T>, delta.stride}, {}, out.at(0, r), out.stride);
    }
  }
};

/// The rows that a layer's weights were at work on, of a context from each sequence's second step
/// on: see Layer.
template <class T>
struct AtWork {
  Panels<T> input, delta;
  int64_t rows = 0, all_rows = 0;  // of the weights, of the bias

  AtWork() = default;
  AtWork(const Layer<T>& layer, const Chunk<T>& chunk)
      : input(layer.input),
        delta(layer.context ? layer.delta.from(chunk.rows) : layer.delta),
        all_rows(layer.steps > 1 ? chunk.rows * chunk.steps : chunk.rows) {
    rows = layer.context ? all_rows - chunk.rows : all_rows;
  }
};

/// The penalty on weights.
template <class T>
struct Penalty {
  T alpha, l1;
};

/// Vectors of parameters that lie one after another, with their solver's state.
template <class T, class Solver>
struct Column {
  T* slot[1 + Solver::kSlots];

  Column(const Trained<T>& trained, int64_t vector, int64_t row) {
    for (int k = 0; k <= Solver::kSlots; ++k) slot[k] = trained.slot[k].at(vector, row);
  }

  /// Moves vector `r` against its gradient; returns it.
  Vec<T> update(const Solver& solver, int64_t r, Vec<T> g, bool is_weight) const {
    const int64_t place = r * kLanes<T>;
    Vec<T> w = load(slot[0] + place), state[Solver::kSlots];
    for (int k = 0; k < Solver::kSlots; ++k) state[k] = load(slot[1 + k] + place);
    solver.update(w, g, state, is_weight);
    for (int k = 0; k < Solver::kSlots; ++k) store(slot[1 + k] + place, state[k]);
    store(slot[0] + place, w);
    return w;
  }
};

/// Applies a change to `rows` x `width` vectors of parameters, given their summed gradient `sums`
/// as [vector][row][lane]. Returns what the penalty takes of them, as they were before, and of the
/// gradient where it is kept. No penalty (null): they are no weights.
template <class T, class Change>
UnitSums change_parameters(const Trained<T>& trained, const Chunk<T>& chunk, const Change& by,
                           const Penalty<T>* penalty, int64_t row, int rows, int64_t vector,
                           int width, T* sums) {
  using V = Vec<T>;
  // copies: what is stored below could, for all the compiler knows, change the originals
  const Change change = by;
  const bool is_weight = penalty, first = chunk.first, last = chunk.last;
  const T alpha = penalty ? penalty->alpha : T(0), l1 = penalty ? penalty->l1 : T(0);
  const T scale = chunk.scale;
  V squares{}, absolutes{};
  // in double: a gradient whose square overflows float is to be clipped
  Wide<T> squared_gradient{};
  for (int c = 0; c < width; ++c) {
    const Column<T, Change> column(trained, vector + c, row);
    T* kept = trained.gradient.data ? trained.gradient.at(vector + c, row) : nullptr;
    for (int r = 0; r < rows; ++r) {
      T* place = sums + (c * kTileRows<T> + r) * kLanes<T>;
      V g = load(place);
      if (!first) g += load(kept + r * kLanes<T>);
      if (!last) {
        store(kept + r * kLanes<T>, g);
        continue;
      }
      if (is_weight) {
        const V w = load(column.slot[0] + r * kLanes<T>);
        squares += w * w;
        g += alpha * w;
        if (l1 != 0) {
          absolutes += abs(w);
          g += l1 * sign(w);
        }
      }
      g = g * scale;
      if constexpr (Change::kSlots == 0) {
        const Wide<T> wide = __builtin_convertvector(g, Wide<T>);
        squared_gradient += wide * wide;
        store(kept + r * kLanes<T>, g);
      } else {  // the new weights are wanted for the transposed copy
        store(place, column.update(change, r, g, is_weight));
      }
    }
  }
  UnitSums result{0, 0};
  for (int64_t lane = 0; lane < kLanes<T>; ++lane)
    result.squared_gradient += squared_gradient[lane];
  if (penalty)
    result.penalty =
        0.5 * double(alpha) * double(sum<T>(squares)) + double(l1) * double(sum<T>(absolutes));
  return result;
}

/// Writes R rows of updated weights, [vector][row][lane] at `weights`, into the transposed copy.
template <class T, int R>
void copy_transposed(Layer<T>& layer, int64_t row, int64_t vector, int width, const T* weights) {
  constexpr int64_t L = kLanes<T>;
  for (int c = 0; c < width; ++c) {
    Vec<T> v[R];
    for (int r = 0; r < R; ++r) v[r] = load(weights + (c * kTileRows<T> + r) * L);
    transpose<T, R>(v, std::make_index_sequence<size_t(L)>{});
    T* to = layer.transposed.at(row / L, (vector + c) * L) + row % L;
    const char* from = reinterpret_cast<const char*>(v);
    for (int64_t lane = 0; lane < L; ++lane)
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

/// Weight rows [begin, end) by `width` vectors from `vector` on.
struct Unit {
  int64_t begin, end, vector;
  int width;
};

/// One unit: the gradient of up to kTileRows rows of weights, in one group of vectors, and its use.
/// Of a sparse X by `columns`; the `zeros` of a dense one are left out, unless null.
template <class T, class Change>
UnitSums run_unit(Layer<T>& layer, const Chunk<T>& chunk, const Change& change,
                  const Penalty<T>& penalty, const AtWork<T>& at_work, const Unit& unit,
                  const Columns<T>* columns, const Zeros<T>* zeros) {
  constexpr int64_t L = kLanes<T>;
  alignas(64) T sums[kTileVectors * kTileRows<T> * L];
  constexpr int64_t panel = kTileRows<T> * L;
  const int64_t vector = unit.vector;
  const int width = unit.width;
  // what the rows of the stored matrix stand for, and what its columns stand for
  const Panels<T>& by_row = layer.narrow ? at_work.delta : at_work.input;
  const Panels<T>& by_column = layer.narrow ? at_work.input : at_work.delta;
  // the update will want these from memory; the product takes long enough to fetch them
  for (int k = 0; k <= Change::kSlots; ++k)
    for (int c = 0; c < width; ++c) {
      const T* from = layer.weight.slot[k].at(vector + c, unit.begin);
      for (int64_t r = 0; r < unit.end - unit.begin; ++r) __builtin_prefetch(from + r * L);
    }
  UnitSums total{};
  for (int64_t row = unit.begin; row < unit.end;) {
    const int height = tile_rows<T>(unit.end - row);
    if (columns) {
      columns->multiply(row, height, layer.delta, vector, width, Panels<T>{sums, panel});
    } else {
      Marks marks;
      if (zeros && height == kTileRows<T>) marks = zeros->rows(row, chunk.rows);
      find_tile<T, Order::kAlongRows>(height, width, marks)(
          at_work.rows, by_row.at(row / L, 0) + row % L, 0,
          {by_column.at(vector, 0), L, by_column.stride}, {}, sums, panel, marks);
    }
    // Past a narrow layer's last input lie activations of 0, which need not be 0: a logistic's 0.5.
    if (layer.narrow && vector + width == panel_count<T>(layer.in)) {
      const auto valid = first_lanes<T>(layer.in - (vector + width - 1) * L);
      for (int r = 0; r < height; ++r) {
        T* place = sums + (width - 1) * panel + r * L;
        store(place, select(valid, load(place), Vec<T>{}));
      }
    }
    const UnitSums here =
        change_parameters(layer.weight, chunk, change, &penalty, row, height, vector, width, sums);
    total.penalty += here.penalty;
    total.squared_gradient += here.squared_gradient;
    if (Change::kSlots > 0 && chunk.last && layer.transposed.data)
      copy_transposed(layer, row, height, vector, width, sums);
    row += height;
  }
  return total;
}

/// The sums over the rows of each vector's column: the gradient of what is added to all rows.
template <class T, class Change>
double run_added(const Trained<T>& trained, const Panels<T>& derivative, int64_t vectors,
                 int64_t rows, const Chunk<T>& chunk, const Change& change) {
  alignas(64) T sums[kLanes<T>];
  double squared_gradient = 0;
  for (int64_t vector = 0; vector < vectors; ++vector) {
    Vec<T> total{};
    for (int64_t r = 0; r < rows; ++r) total += load(derivative.at(vector, r));
    store(sums, total);
    squared_gradient += change_parameters<T>(trained, chunk, change, nullptr, 0, 1, vector, 1, sums)
                            .squared_gradient;
  }
  return squared_gradient;
}

/// Calls unit_task(layer, number, unit) and last_task(layer, number) for units [begin, end) of all,
/// the latter for each layer's last unit, bias and slopes; layer_begins(layer number) before each.
template <class T, class LayerBegins, class UnitTask, class LastTask>
void each_unit(Session<T>& s, int64_t begin, int64_t end, LayerBegins layer_begins,
               UnitTask unit_task, LastTask last_task) {
  int64_t number = 0;  // the first of the group at hand
  for (int l = 0; l < s.all_layers; ++l) {
    Layer<T>& layer = s.layers[l];
    const Groups groups = layer.groups();
    const int64_t per_group = layer.units_per_group();
    layer_begins(l);
    for (int64_t g = 0; g < groups.count(); ++g, number += per_group) {
      const int64_t from = begin > number ? begin - number : 0;
      const int64_t to = end - number < per_group ? end - number : per_group;
      for (int64_t u = from; u < to; ++u) {
        const int64_t row = u * kTileRows<T>, rest = layer.rows() - row;
        unit_task(layer, number + u,
                  Unit{row, row + (kTileRows<T> < rest ? kTileRows<T> : rest), groups.first(g),
                       groups.size(g)});
      }
    }
    if (begin <= number && number < end) last_task(layer, number);
    ++number;
  }
}

/// Units [begin, end) of all layers' units: their gradient and its use.
template <class T, class Change>
void run_weights(Session<T>& s, const Chunk<T>& chunk, const Change& change, int64_t begin,
                 int64_t end, Columns<T> scratch, bool zeros) {
  const Penalty<T> penalty{T(s.alpha), T(s.l1)};
  bool sparse = false;
  AtWork<T> at_work;
  each_unit(
      s, begin, end,
      [&](int l) {
        const Layer<T>& layer = s.layers[l];
        at_work = AtWork<T>(layer, chunk);
        sparse = l == 0 && chunk.data.x.indptr;
        if (!sparse || begin >= layer.units()) return;
        // within one group a thread needs its own rows of weights only, else all
        const int64_t per_group = layer.units_per_group();
        const bool one_group = (begin / per_group) == (end - 1) / per_group;
        const int64_t to = (end - begin + begin % per_group) * kTileRows<T>;
        scratch.build(chunk, chunk.mask(s.input_dropout, 0),
                      one_group ? begin % per_group * kTileRows<T> : 0,
                      one_group && to < layer.in ? to : layer.in);
      },
      [&](Layer<T>& layer, int64_t number, const Unit& unit) {
        s.sums[number] =
            run_unit(layer, chunk, change, penalty, at_work, unit, sparse ? &scratch : nullptr,
                     zeros && &layer == s.layers ? &s.zeros : nullptr);
      },
      [&](Layer<T>& layer, int64_t number) {
        const int64_t rows = at_work.all_rows;
        double squared_gradient = 0;
        if (layer.has_bias())
          squared_gradient = run_added(layer.bias, layer.delta, panel_count<T>(layer.linear()),
                                       rows, chunk, change);
        if (layer.hidden.learned)
          squared_gradient +=
              run_added(layer.slopes, layer.kept, layer.piece_vectors(), rows, chunk, change);
        s.sums[number] = {0, squared_gradient};
      });
}

/// The update from gradients that were kept, each times `factor`.
template <class T, class Solver>
void run_kept(Session<T>& s, const Solver& solver, T factor, int64_t begin, int64_t end) {
  const auto added = [&](const Trained<T>& trained, int64_t vectors) {
    for (int64_t v = 0; v < vectors; ++v)
      Column<T, Solver>(trained, v, 0)
          .update(solver, 0, load(trained.gradient.at(v, 0)) * factor, false);
  };
  each_unit(
      s, begin, end, [](int) {},
      [&](Layer<T>& layer, int64_t, const Unit& unit) {
        alignas(64) T weights[kTileVectors * kTileRows<T> * kLanes<T>];
        for (int64_t row = unit.begin; row < unit.end;) {
          const int height = tile_rows<T>(unit.end - row);
          for (int c = 0; c < unit.width; ++c) {
            const Column<T, Solver> column(layer.weight, unit.vector + c, row);
            const T* kept = layer.weight.gradient.at(unit.vector + c, row);
            for (int r = 0; r < height; ++r)
              store(weights + (c * kTileRows<T> + r) * kLanes<T>,
                    column.update(solver, r, load(kept + r * kLanes<T>) * factor, true));
          }
          if (layer.transposed.data)
            copy_transposed(layer, row, height, unit.vector, unit.width, weights);
          row += height;
        }
      },
      [&](Layer<T>& layer, int64_t) {
        if (layer.has_bias()) added(layer.bias, panel_count<T>(layer.linear()));
        if (layer.hidden.learned) added(layer.slopes, layer.piece_vectors());
      });
}

/// The weights into each hidden neuron scaled down to a norm of at most `most` (Srivastava et al.,
/// JMLR 15, 2014), those from its context by themselves. A share of the vectors of each layer.
template <class T>
void limit_norms(Session<T>& s, T most, int thread, int n_threads) {
  const auto scale = [most](auto squares) {  // a norm that is not finite makes weights NaN: seen
    const auto norm = sqrt(squares);
    using V = decltype(norm);
    return select(norm <= most, splat<V>(1), most / norm + (norm - norm));
  };
  for (int l = 0; l < s.all_layers; ++l) {
    if (l == s.n_layers - 1) continue;
    Layer<T>& layer = s.layers[l];
    const Panels<T> w = layer.weight.slot[0];
    if (layer.narrow) {
      const Share mine(layer.out, 1, thread, n_threads);
      for (int64_t j = mine.begin; j < mine.end; ++j) {
        Vec<T> squares{};
        for (int64_t v = 0; v < layer.vectors(); ++v)
          squares += load(w.at(v, j)) * load(w.at(v, j));
        const T factor = scale(splat<Vec<T>>(sum<T>(squares)))[0];
        for (int64_t v = 0; v < layer.vectors(); ++v) store(w.at(v, j), load(w.at(v, j)) * factor);
      }
      continue;
    }
    const Share mine(layer.vectors(), 1, thread, n_threads);
    for (int64_t v = mine.begin; v < mine.end; ++v) {
      Vec<T> squares{};
      for (int64_t i = 0; i < layer.in; ++i) squares += load(w.at(v, i)) * load(w.at(v, i));
      const Vec<T> factor = scale(squares);
      for (int64_t i = 0; i < layer.in; ++i) store(w.at(v, i), load(w.at(v, i)) * factor);
      if (!layer.transposed.data) continue;
      for (int64_t lane = 0; lane < kLanes<T>; ++lane)
        for (int64_t p = 0; p < panel_count<T>(layer.in); ++p) {
          T* place = layer.transposed.at(p, v * kLanes<T> + lane);
          store(place, load(place) * factor[lane]);
        }
    }
  }
}

/// The first unit of thread `thread`'s share of all layers' work.
template <class T>
int64_t first_unit(const Session<T>& s, int thread, int n_threads) {
  int64_t total = 0;
  for (int l = 0; l < s.all_layers; ++l) total += s.layers[l].work();
  int64_t before = total * thread / n_threads, unit = 0;  // work of the threads before
  for (int l = 0; l < s.all_layers; ++l) {
    const Layer<T>& layer = s.layers[l];
    const Groups groups = layer.groups();
    for (int64_t g = 0; g < groups.count(); ++g) {
      const int64_t one = groups.size(g) * layer.steps, work = layer.units_per_group() * one;
      if (before < work) return unit + before / one;
      before -= work;
      unit += layer.units_per_group();
    }
    if (before < layer.steps) return unit;
    before -= layer.steps;
    ++unit;
  }
  return unit;
}

/// A thread's share of the weights phase.
template <class T>
struct WeightsPhase {
  Session<T>& s;
  const Chunk<T>& chunk;
  int64_t begin, end;
  Columns<T> scratch;
  bool zeros;         // of a dense X are left out
  T gradient_factor;  // in the update from kept gradients

  template <class Change>
  void run(const Change& change) const {
    run_weights(s, chunk, change, begin, end, scratch, zeros);
  }
};

/// A step with a solver: on gradients as they are found, or as they were kept.
template <class T>
using Step = void (*)(const WeightsPhase<T>&, const SolverOptions&, SolverClock&, bool kept);

template <class T, class Solver>
void step(const WeightsPhase<T>& phase, const SolverOptions& options, SolverClock& clock,
          bool kept) {
  const Solver solver(options, clock);
  if (kept) {
    run_kept(phase.s, solver, phase.gradient_factor, phase.begin, phase.end);
  } else {
    phase.run(solver);
  }
}

template <class T, class... S>
Step<T> find_step(int index, List<S...>) {
  static constexpr Step<T> table[] = {step<T, S>...};
  return table[index];
}

}  // namespace
}  // namespace fastmlp
