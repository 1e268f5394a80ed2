// The CPU engine. This file is compiled once per instruction set (FASTMLP_ISA names it,
// FASTMLP_VECTOR_BYTES and FASTMLP_TILE_ROWS shape it) and gives out one symbol, engine_<ISA>.
// Everything else has internal linkage, and nothing of the STL's run-time code is used here.
//
// A step over one batch has two phases with a barrier after each:
//   rows     each thread takes rows of the batch all the way: gather, forward, loss, deltas back
//   weights  each thread takes tiles of weights: their gradient over all rows, then the update
// No sum crosses threads, so results are the same bits for any number of them.
#include "../engine.hpp"
#include "../formulas/activations.hpp"
#include "../formulas/losses.hpp"
#include "../threads.hpp"
#include "gemm.hpp"
// after simd.hpp: the solvers use its sqrt
#include "../formulas/solvers.hpp"

namespace fastmlp {

namespace {

/// Memory handed out piece by piece from one block; without a block it only measures.
class Arena {
 public:
  explicit Arena(void* block) : block_(static_cast<char*>(block)) {}

  template <class U>
  U* take(int64_t count) {
    char* piece = block_ ? block_ + used_ : nullptr;
    used_ += size_t(ceil_div(count * int64_t(sizeof(U)), 64)) * 64;
    return reinterpret_cast<U*>(piece);
  }

  template <class T>
  Panels<T> panels(int64_t rows, int64_t columns) {
    return {take<T>(panel_count<T>(columns) * panel_stride<T>(rows)), panel_stride<T>(rows)};
  }

  size_t used() const { return used_; }

 private:
  char* block_;
  size_t used_ = 0;
};

/// What a solver changes: parameters (slot 0), its own state (slots 1, ...), and the gradient where
/// it has to be kept.
template <class T>
struct Trained {
  Panels<T> slot[1 + kMaxSlots];
  Panels<T> gradient;
};

template <class T>
struct Layer {
  int64_t in, out;
  bool narrow;           // weights are stored (out, in), not (in, out): see is_narrow
  Trained<T> weight;     // (rows(), columns())
  Trained<T> bias;       // (1, out)
  Panels<T> transposed;  // (out, in): a copy of the weights, unless narrow or the first layer
  Panels<T> input;       // (batch rows, in)
  Panels<T> delta;       // (batch rows, out): of the last layer first z, then the loss's delta

  int64_t rows() const { return narrow ? out : in; }
  int64_t columns() const { return narrow ? in : out; }
  Groups groups() const { return {panel_count<T>(columns())}; }

  Affine<T> forward() const {
    return {{weight.slot[0].data, kLanes<T>, weight.slot[0].stride},
            bias.slot[0].data,
            kLanes<T>,
            panel_count<T>(out)};
  }
  Affine<T> backward() const {
    const Panels<T>& by_outputs = narrow ? weight.slot[0] : transposed;
    return {{by_outputs.data, kLanes<T>, by_outputs.stride}, nullptr, 0, panel_count<T>(in)};
  }
  /// The weights phase deals in units: one tile's height of weight rows by one group of vectors,
  /// group by group, and last the bias. Work is counted in vectors of tiles.
  int64_t units_per_group() const { return ceil_div(rows(), kTileRows<T>); }
  int64_t units() const { return units_per_group() * groups().count() + 1; }
  int64_t work() const { return units_per_group() * groups().vectors + 1; }
};

/// A stretch of a batch: all of it, unless the batch is too large for the work space.
template <class T>
struct Chunk {
  const Data<T>& data;
  const int64_t* order;  // null: consecutive rows
  int64_t start, rows;   // positions start .. start + rows of the order
  bool first, last;      // of its batch
  T scale;               // 1 / sum of the batch's weights
  T delta_scale;         // on every delta, 1 but in an exact gradient

  int64_t row(int64_t r) const { return order ? order[start + r] : start + r; }
  T weight(int64_t r) const { return data.weights ? data.weights[row(r)] : T(1); }
};

template <class T>
using RowsFunction = void (*)(Session<T>&, const Chunk<T>&, int64_t begin, int64_t end);

/// Below this work (multiply-adds, and as many again per weight for its update) a second thread
/// costs more in barriers than it takes off.
constexpr double kWorkPerThread = 4e5;

/// The leader's watch over its team, from pass to pass: on a busy machine, or where a step is too
/// small, a team can be slower than the leader alone, sometimes a hundredfold. So the first steps
/// are made alone, for comparison; a team found slower is given up for a while, for twice as long
/// the next time, and then tried again.
class Watch {
 public:
  /// `work` of a step, in multiply-adds. Where one step takes long, the team begins at once and is
  /// not given up: its barriers weigh nothing.
  Watch(double work = 0)
      : alone_(work > kLargeStep ? infinity<double>() : 0),
        rests_(work > kLargeStep ? 0 : kFirst) {}

  bool team_rests() const { return rests_ > 0; }

  void step_begins() { began_ = seconds(); }

  /// Judges a step over `rows` rows by a team, or by the leader alone while the team rests. True if
  /// it is time for the other way.
  bool step_ends(bool by_team, int64_t rows) {
    const double time = seconds() - began_;
    time_ += time;
    rows_ += double(rows);
    if (!by_team) {
      rests_ -= time;
      if (team_rests()) return false;
      alone_ = time_ / rows_;
      time_ = rows_ = 0;
      return true;
    }
    if (time_ < kWindow) return false;
    const bool slower = time_ / rows_ > alone_;
    last_rest_ = !slower ? 0 : last_rest_ == 0 ? kShortest : 2 * last_rest_;
    if (last_rest_ > kLongest) last_rest_ = kLongest;
    rests_ = last_rest_;
    time_ = rows_ = 0;
    return slower;
  }

 private:
  static constexpr double kLargeStep = 1e8;
  static constexpr double kWindow = 2e-3;                                   // seconds judged
  static constexpr double kFirst = 1e-3, kShortest = 8e-3, kLongest = 1.0;  // seconds of rest
  double began_ = 0;
  double time_ = 0, rows_ = 0;  // of this way, so far
  double alone_;                // seconds per row
  double rests_, last_rest_ = 0;
};

}  // namespace

template <class T>
struct Session {
  int n_layers;
  Layer<T>* layers;
  int activation, loss;
  double alpha;
  int64_t chunk_rows;
  Panels<T> target;  // (chunk_rows, outputs)
  double* row_loss;  // (chunk_rows,)
  double* penalty;   // sum of squared weights, per unit
  int64_t units;     // of all layers
  Watch watch;
};

namespace {

template <class T>
Layer<T>& last_layer(const Session<T>& s) {
  return s.layers[s.n_layers - 1];
}

// --- tables made from the lists of formulas ------------------------------------------------------

template <class T, class Activation>
void activate(T* z, int64_t z_panel, const T*, int64_t, int rows, int vectors) {
  for (int c = 0; c < vectors; ++c)
    for (int r = 0; r < rows; ++r) {
      T* place = z + c * z_panel + r * kLanes<T>;
      store(place, Activation::value(load(place)));
    }
}

template <class T, class Activation>
void times_slope(T* delta, int64_t delta_panel, const T* a, int64_t a_panel, int rows,
                 int vectors) {
  for (int c = 0; c < vectors; ++c)
    for (int r = 0; r < rows; ++r) {
      T* place = delta + c * delta_panel + r * kLanes<T>;
      store(place, load(place) * Activation::slope(load(a + c * a_panel + r * kLanes<T>)));
    }
}

template <class T, class... A>
Epilogue<T> find_activate(int index, List<A...>) {
  static constexpr Epilogue<T> table[] = {activate<T, A>...};
  return table[index];
}

template <class T, class... A>
Epilogue<T> find_times_slope(int index, List<A...>) {
  static constexpr Epilogue<T> table[] = {times_slope<T, A>...};
  return table[index];
}

/// Softmax of one row of z in place; with the row's targets y, which sum to 1, also returns its
/// log likelihood, sum of y log p.
template <class T>
T softmax(Panels<T> z, int64_t outputs, int64_t row, const Panels<T>* y) {
  using V = Vec<T>;
  const int64_t panels = panel_count<T>(outputs);
  const auto valid = first_lanes<T>(outputs - (panels - 1) * kLanes<T>);
  const auto at = [&](int64_t p) {  // lanes past the last output take no part
    const V v = load(z.at(p, row));
    return p == panels - 1 ? select(valid, v, splat<V>(-infinity<T>())) : v;
  };
  V highest = at(0);
  for (int64_t p = 1; p < panels; ++p) highest = max(highest, at(p));
  const T top = max<T>(highest);
  V total{}, likelihood{};
  for (int64_t p = 0; p < panels; ++p) {
    const V e = exp(at(p) - top);
    total += e;
    if (y) likelihood += load(y->at(p, row)) * (load(z.at(p, row)) - top);
    store(z.at(p, row), e);
  }
  const T sum_exp = sum<T>(total);
  for (int64_t p = 0; p < panels; ++p) store(z.at(p, row), load(z.at(p, row)) / sum_exp);
  return y ? sum<T>(likelihood) - log(splat<V>(sum_exp))[0] : T(0);
}

/// The same for a row in each lane, `outputs` vectors of z, and of y unless null.
template <class T>
Vec<T> softmax_lanes(T (*z)[kLanes<T>], const T (*y)[kLanes<T>], int64_t outputs) {
  using V = Vec<T>;
  V top = load(z[0]);
  for (int64_t j = 1; j < outputs; ++j) top = max(top, load(z[j]));
  V total{}, likelihood{};
  for (int64_t j = 0; j < outputs; ++j) {
    const V shifted = load(z[j]) - top, e = exp(shifted);
    total += e;
    if (y) likelihood += load(y[j]) * shifted;
    store(z[j], e);
  }
  for (int64_t j = 0; j < outputs; ++j) store(z[j], load(z[j]) / total);
  return likelihood - log(total);
}

/// Up to kLanes rows of one panel, turned: lane r of vector j is row r, column j.
template <class T>
struct Turned {
  alignas(64) T values[kLanes<T>][kLanes<T>];

  void take(const Panels<T>& from, int64_t panel, int64_t row, int64_t rows, int64_t columns) {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t j = 0; j < columns; ++j) values[j][r] = from.at(panel, row + r)[j];
    for (int64_t j = 0; j < columns; ++j)  // rows that are not there: harmless values
      for (int64_t r = rows; r < kLanes<T>; ++r) values[j][r] = T(0);
  }
  void put(const Panels<T>& to, int64_t panel, int64_t row, int64_t rows, int64_t columns) const {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t j = 0; j < columns; ++j) to.at(panel, row + r)[j] = values[j][r];
  }
};

/// Losses of rows [begin, end), and z of the last layer replaced by its delta. Rows are worked on
/// side by side, a lane each, for most networks have few outputs; only a softmax that does not fit
/// into one panel goes row by row.
template <class T, class Loss>
void take_loss(Session<T>& s, const Chunk<T>& chunk, int64_t begin, int64_t end) {
  using V = Vec<T>;
  constexpr int64_t L = kLanes<T>;
  const Panels<T> z = last_layer(s).delta;
  const int64_t outputs = last_layer(s).out, panels = panel_count<T>(outputs);
  Turned<T> zs, ys;
  alignas(64) T per_row[L];
  for (int64_t row = begin; row < end; row += L) {
    const int64_t rows = row + L < end ? L : end - row;
    for (int64_t r = 0; r < rows; ++r) per_row[r] = chunk.weight(row + r);
    const V weight = load(per_row);
    V loss{};
    if (Loss::kRowwise && panels > 1) {
      for (int64_t r = 0; r < rows; ++r) {
        per_row[r] = softmax(z, outputs, row + r, &s.target);
        const T scale = chunk.weight(row + r) * chunk.delta_scale;
        for (int64_t p = 0; p < panels; ++p) {  // lanes past the last output have p = y = 0
          T* place = z.at(p, row + r);
          store(place, Loss::delta(load(place), load(s.target.at(p, row + r))) * scale);
        }
      }
      loss = Loss::value(load(per_row), splat<V>(1));
    } else {
      for (int64_t p = 0; p < panels; ++p) {
        const int64_t columns = outputs - p * L < L ? outputs - p * L : L;
        zs.take(z, p, row, rows, columns);
        ys.take(s.target, p, row, rows, columns);
        if constexpr (Loss::kRowwise)
          loss = Loss::value(softmax_lanes(zs.values, ys.values, columns), splat<V>(1));
        for (int64_t j = 0; j < columns; ++j) {
          const V v = load(zs.values[j]), y = load(ys.values[j]);
          if constexpr (!Loss::kRowwise) loss += Loss::value(v, y);
          store(zs.values[j], Loss::delta(v, y) * (weight * chunk.delta_scale));
        }
        zs.put(z, p, row, rows, columns);
      }
    }
    for (int64_t r = 0; r < rows; ++r) s.row_loss[row + r] = double(loss[r]) * double(weight[r]);
  }
}

/// z of rows [0, rows) replaced by the predictions.
template <class T, class Loss>
void apply_link(Panels<T> z, int64_t outputs, int64_t rows) {
  constexpr int64_t L = kLanes<T>;
  if constexpr (!Loss::kRowwise) {
    for (int64_t p = 0; p < panel_count<T>(outputs); ++p)
      for (int64_t r = 0; r < rows; ++r) store(z.at(p, r), Loss::link(load(z.at(p, r))));
  } else if (outputs > L || rows == 1) {
    for (int64_t r = 0; r < rows; ++r) softmax<T>(z, outputs, r, nullptr);
  } else {
    Turned<T> turned;
    for (int64_t row = 0; row < rows; row += L) {
      const int64_t count = row + L < rows ? L : rows - row;
      turned.take(z, 0, row, count, outputs);
      softmax_lanes<T>(turned.values, nullptr, outputs);
      turned.put(z, 0, row, count, outputs);
    }
  }
}

template <class T, class... L>
RowsFunction<T> find_take_loss(int index, List<L...>) {
  static constexpr RowsFunction<T> table[] = {take_loss<T, L>...};
  return table[index];
}

template <class T>
using Link = void (*)(Panels<T>, int64_t outputs, int64_t rows);

template <class T, class... L>
Link<T> find_link(int index, List<L...>) {
  static constexpr Link<T> table[] = {apply_link<T, L>...};
  return table[index];
}

template <class... L>
bool mean_over_outputs(int index, List<L...>) {
  static constexpr bool table[] = {L::kMeanOverOutputs...};
  return table[index];
}

// --- the rows phase ------------------------------------------------------------------------------

template <int N, class T>
void copy(T** to, const T** from) {
  __builtin_memcpy(*to, *from, N * sizeof(T));
  *to += N;
  *from += N;
}

/// Copies what is left of `width` contiguous values after all full vectors into a row's last panel.
/// Lanes past them are left alone: they are zero from the start.
template <class T>
void set_tail(Panels<T> to, int64_t row, const T* values, int64_t width) {
  constexpr int64_t L = kLanes<T>;
  const int64_t full = width / L, rest = width % L;
  T* place = to.at(full, row);
  values += full * L;
  if (L > 8 && rest & 8) copy<8>(&place, &values);
  if (L > 4 && rest & 4) copy<4>(&place, &values);
  if (L > 2 && rest & 2) copy<2>(&place, &values);
  if (rest & 1) *place = *values;
}

/// Copies `width` contiguous values into one row of panels.
template <class T>
void set_row(Panels<T> to, int64_t row, const T* values, int64_t width) {
  for (int64_t p = 0; p < width / kLanes<T>; ++p)
    store(to.at(p, row), load(values + p * kLanes<T>));
  set_tail(to, row, values, width);
}

/// IEEE half precision, as NumPy's float16 stores it.
struct Half {
  uint16_t bits;

  operator float() const {
    const uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = bits >> 10 & 31,
                   fraction = bits & 1023;
    if (exponent == 0) {  // zero and subnormals: fraction * 2^-24
      const float magnitude = float(fraction) * 5.9604644775390625e-8f;
      return sign ? -magnitude : magnitude;
    }
    const uint32_t biased = exponent == 31 ? 255 : exponent + 112;
    return as_value<float>(int32_t(sign | biased << 23 | fraction << 13));
  }
};

/// Copies rows of a dense matrix, row source(r) of it to row r, for r in [begin, end). Several rows
/// together, panel by panel: the places they go to are then neighbours.
template <class S, class T, class Source>
void gather_from(const Rows<T>& x, int64_t width, Panels<T> to, int64_t begin, int64_t end,
                 Source source) {
  constexpr int64_t L = kLanes<T>, kTogether = 8;
  constexpr bool same = __is_same(S, T);
  for (int64_t first = begin; first < end; first += kTogether) {
    const int64_t beyond = first + kTogether < end ? first + kTogether : end;
    const S* from[kTogether];
    for (int64_t r = first; r < beyond; ++r)
      from[r - first] = reinterpret_cast<const S*>(x.dense + source(r) * x.stride);
    for (int64_t p = 0; p < width / L; ++p)
      for (int64_t r = first; r < beyond; ++r) {
        const S* values = from[r - first] + p * L;
        if constexpr (same) {
          store(to.at(p, r), load(values));
        } else {
          for (int64_t lane = 0; lane < L; ++lane) to.at(p, r)[lane] = T(values[lane]);
        }
      }
    for (int64_t r = first; r < beyond; ++r) {
      if constexpr (same) {
        set_tail(to, r, from[r - first], width);
      } else {
        for (int64_t j = width / L * L; j < width; ++j)
          to.at(j / L, r)[j % L] = T(from[r - first][j]);
      }
    }
  }
}

template <class T, class Source>
void gather(const Rows<T>& x, int64_t width, Panels<T> to, int64_t begin, int64_t end,
            Source source) {
  switch (x.type) {
    case ElementType::f16:
      return gather_from<Half>(x, width, to, begin, end, source);
    case ElementType::f32:
      return gather_from<float>(x, width, to, begin, end, source);
    case ElementType::f64:
      return gather_from<double>(x, width, to, begin, end, source);
    case ElementType::i8:
      return gather_from<int8_t>(x, width, to, begin, end, source);
    case ElementType::i16:
      return gather_from<int16_t>(x, width, to, begin, end, source);
    case ElementType::i32:
      return gather_from<int32_t>(x, width, to, begin, end, source);
    case ElementType::i64:
      return gather_from<int64_t>(x, width, to, begin, end, source);
    case ElementType::u8:
      return gather_from<uint8_t>(x, width, to, begin, end, source);
    case ElementType::u16:
      return gather_from<uint16_t>(x, width, to, begin, end, source);
    case ElementType::u32:
      return gather_from<uint32_t>(x, width, to, begin, end, source);
    case ElementType::u64:
      return gather_from<uint64_t>(x, width, to, begin, end, source);
  }
}

template <class T>
void set_target(Session<T>& s, const Data<T>& data, int64_t r, int64_t source) {
  const int64_t outputs = last_layer(s).out;
  if (!data.classes) return set_row(s.target, r, data.targets + source * outputs, outputs);
  const int32_t label = data.classes[source];
  if (outputs == 1) {
    *s.target.at(0, r) = T(label);
  } else {
    for (int64_t p = 0; p < panel_count<T>(outputs); ++p) store(s.target.at(p, r), Vec<T>{});
    s.target.at(label / kLanes<T>, r)[label % kLanes<T>] = T(1);
  }
}

/// Rows [begin, end) of the chunk: forward through all layers, loss, deltas back to the first.
template <class T>
void run_rows(Session<T>& s, const Chunk<T>& chunk, int64_t begin, int64_t end) {
  const Epilogue<T> activation = find_activate<T>(s.activation, Activations{});
  const Epilogue<T> slope = find_times_slope<T>(s.activation, Activations{});
  const auto output = [&](int l) {  // where layer l puts what it computes
    return l + 1 < s.n_layers ? s.layers[l + 1].input : s.layers[l].delta;
  };
  const auto epilogue = [&](int l) { return l + 1 < s.n_layers ? activation : nullptr; };

  const Rows<T>& x = chunk.data.x;
  for (int64_t r = begin; r < end; ++r) {
    const int64_t source = chunk.row(r);
    set_target(s, chunk.data, r, source);
    if (x.indptr) {
      const int64_t e = x.indptr[source];
      multiply_sparse(x.values + e, x.columns + e, x.indptr[source + 1] - e, s.layers[0].forward(),
                      output(0).at(0, r), output(0).stride, epilogue(0));
    }
  }
  if (!x.indptr)
    gather(x, s.layers[0].in, s.layers[0].input, begin, end,
           [&](int64_t r) { return chunk.row(r); });
  for (int l = x.indptr ? 1 : 0; l < s.n_layers; ++l) {
    const Layer<T>& layer = s.layers[l];
    if (layer.narrow) {
      multiply_narrow(layer.input, layer.in, layer.weight.slot[0], layer.bias.slot[0].data,
                      layer.out, output(l), begin, end, epilogue(l));
    } else {
      multiply(layer.input, layer.in, layer.forward(), output(l), begin, end, epilogue(l));
    }
  }
  find_take_loss<T>(s.loss, Losses{})(s, chunk, begin, end);
  for (int l = s.n_layers - 1; l >= 1; --l) {
    const Layer<T>& layer = s.layers[l];
    multiply(layer.delta, layer.out, layer.backward(), s.layers[l - 1].delta, begin, end, slope,
             layer.input);
  }
}

// --- the weights phase ---------------------------------------------------------------------------

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

// --- passes over the data ------------------------------------------------------------------------

/// What the threads of one pass share. With options the pass makes a step per batch; without, it
/// leaves the gradient over its one batch in the layers' `gradient`.
template <class T>
struct Job {
  Session<T>& s;
  const Data<T>& data;
  Pass pass;
  int64_t batch;
  const SolverOptions* options;
  double value_scale;
  int64_t entries;  // sparse rows: the most in a batch
  char* scratch;    // and `scratch_bytes` for each thread's Columns
  size_t scratch_bytes;
  int most_threads;
  Barrier barrier{};
  int64_t next = 0;    // position of the next batch
  int64_t steps = 0;   // made so far
  double loss = 0;     // summed so far
  bool leave = false;  // all threads are to return after the step at hand, says the leader
};

/// The sum of the weights of positions [start, end) of the pass.
template <class T>
double weight_sum(const Job<T>& job, int64_t start, int64_t end) {
  if (!job.data.weights) return double(end - start);
  double sum = 0;
  for (int64_t i = start; i < end; ++i)
    sum += double(job.data.weights[job.pass.order ? job.pass.order[i] : i]);
  return sum;
}

/// Share `thread` of `count` things split evenly, in whole multiples of `grain`.
struct Share {
  int64_t begin, end;
  Share(int64_t count, int64_t grain, int thread, int n_threads) {
    const int64_t grains = ceil_div(count, grain);
    begin = grains * thread / n_threads * grain;
    end = grains * (thread + 1) / n_threads * grain;
    if (begin > count) begin = count;
    if (end > count) end = count;
  }
};

/// Places a thread's Columns for up to `entries` entries; returns the bytes they take.
template <class T>
size_t place_columns(char* block, int64_t features, int64_t entries, Columns<T>* columns) {
  Arena arena(block);
  columns->starts = arena.take<int64_t>(features + 1);
  columns->rows = arena.take<int32_t>(entries);
  columns->values = arena.take<T>(entries);
  return arena.used();
}

/// The most entries in a batch of the pass.
template <class T>
int64_t most_entries(const Job<T>& job) {
  const Rows<T>& x = job.data.x;
  int64_t most = 0;
  for (int64_t start = 0; start < job.pass.n; start += job.batch) {
    const int64_t end = start + job.batch < job.pass.n ? start + job.batch : job.pass.n;
    int64_t entries = 0;
    for (int64_t i = start; i < end; ++i) {
      const int64_t row = job.pass.order ? job.pass.order[i] : i;
      entries += x.indptr[row + 1] - x.indptr[row];
    }
    most = entries > most ? entries : most;
  }
  return most;
}

/// Batches from job.next on, to the end of the pass or until the leader, thread 0, says otherwise.
template <class T>
void run_pass(void* context, int thread, int n_threads) {
  Job<T>& job = *static_cast<Job<T>*>(context);
  Session<T>& s = job.s;
  const bool leads = thread == 0, watches = leads && job.most_threads > 1;
  const int64_t n = job.pass.n;
  Columns<T> columns{};
  if (job.scratch)
    place_columns(job.scratch + size_t(thread) * job.scratch_bytes, s.layers[0].in, job.entries,
                  &columns);
  const int64_t first = first_unit(s, thread, n_threads);
  const int64_t beyond = first_unit(s, thread + 1, n_threads);
  int64_t start = job.next, steps = job.steps;
  Watch& watch = s.watch;
  for (bool leave = false; start < n && !leave; start += job.batch) {
    const int64_t end = start + job.batch < n ? start + job.batch : n;
    const double total = weight_sum(job, start, end);
    if (total == 0) continue;  // rows that count for nothing move nothing
    ++steps;
    double data_loss = 0;
    if (watches) watch.step_begins();
    for (int64_t row = start; row < end; row += s.chunk_rows) {
      const int64_t rows = row + s.chunk_rows < end ? s.chunk_rows : end - row;
      const bool last = row + rows == end;
      const Chunk<T> chunk{
          job.data,     job.pass.order, row,          rows,
          row == start, last,           T(1 / total), job.options ? T(1) : T(job.value_scale)};
      const Share mine(rows, kTileRows<T>, thread, n_threads);
      run_rows(s, chunk, mine.begin, mine.end);
      job.barrier.wait(n_threads);
      if (leads)
        for (int64_t r = 0; r < rows; ++r) data_loss += s.row_loss[r];
      const WeightsPhase<T> phase{s, chunk, first, beyond, columns};
      if (job.options && last) {
        find_solver<T>(job.options->solver, Solvers<T>{})(phase, *job.options,
                                                          job.options->steps + steps);
      } else {
        phase.run(KeepGradient<T>{});
      }
      if (watches && last) job.leave = watch.step_ends(!watch.team_rests(), end - start);
      job.barrier.wait(n_threads);
    }
    leave = job.leave;
    if (leads) {
      double squares = 0;
      for (int64_t u = 0; u < s.units; ++u) squares += s.penalty[u];
      job.loss +=
          (data_loss * job.value_scale + 0.5 * s.alpha * squares) / total * double(end - start);
    }
  }
  if (leads) {
    job.next = start;
    job.steps = steps;
  }
}

/// Multiply-adds of a step over `rows` rows, and about as much for each weight's update as a
/// score of them.
template <class T>
double step_work(const Layer<T>* layers, int n_layers, int64_t rows) {
  double work = 0;
  for (int l = 0; l < n_layers; ++l)
    work += double(layers[l].in + 1) * double(layers[l].out) * double(3 * rows + 20);
  return work;
}

template <class T>
EpochResult run_job(Session<T>* s, const Data<T>& data, const Pass& pass, int64_t batch,
                    const SolverOptions* options) {
  const int64_t rows = s->chunk_rows < batch ? s->chunk_rows : batch;
  const double most = step_work(s->layers, s->n_layers, rows) / kWorkPerThread;
  int n_threads = usable_threads(pass.n_threads);
  if (n_threads > most) n_threads = most < 1 ? 1 : int(most);
  const bool mean = mean_over_outputs(s->loss, Losses{});
  const double value_scale = mean ? 1.0 / double(last_layer(*s).out) : 1.0;
  Job<T> job{*s, data, pass, batch, options, value_scale, 0, nullptr, 0, n_threads};
  if (data.x.indptr) {
    Columns<T> measure;
    job.entries = most_entries(job);
    job.scratch_bytes = place_columns<T>(nullptr, s->layers[0].in, job.entries, &measure);
    job.scratch = static_cast<char*>(allocate(job.scratch_bytes * size_t(n_threads)));
  }
  while (job.next < pass.n) {
    job.leave = false;
    run_team(s->watch.team_rests() ? 1 : n_threads, run_pass<T>, &job);
  }
  release(job.scratch);
  return {job.loss / double(pass.n), job.steps};
}

// --- the contract --------------------------------------------------------------------------------

template <class T>
EpochResult train(Session<T>* s, const Data<T>& data, const Pass& pass, int64_t batch,
                  const SolverOptions& options) {
  return run_job(s, data, pass, batch, &options);
}

/// Calls use(element in panels, row, column) for each element of a (rows, columns) matrix.
template <class T, class Use>
void each_element(const Panels<T>& panels, int64_t rows, int64_t columns, Use use) {
  for (int64_t first = 0; first < columns; first += kLanes<T>)
    for (int64_t row = 0; row < rows; ++row) {
      T* place = panels.at(first / kLanes<T>, row);
      const int64_t lanes = columns - first < kLanes<T> ? columns - first : kLanes<T>;
      for (int64_t lane = 0; lane < lanes; ++lane) use(place[lane], row, first + lane);
    }
}

/// Calls use(element in panels, element of the block) for a layer's weights, in whichever way they
/// are stored, and biases. `which` picks the panels out of a Trained.
template <class T, class U, class Which, class Use>
void each_parameter(const Layer<T>& layer, Which which, U* weight, U* bias, Use use) {
  const int64_t by_row = layer.narrow ? 1 : layer.out, by_column = layer.narrow ? layer.out : 1;
  each_element(which(layer.weight), layer.rows(), layer.columns(),
               [&](T& place, int64_t row, int64_t column) {
                 use(place, weight[row * by_row + column * by_column]);
               });
  each_element(which(layer.bias), 1, layer.out,
               [&](T& place, int64_t, int64_t column) { use(place, bias[column]); });
}

template <class T>
void write(Session<T>* s, int slot, const T* const* blocks) {
  const auto which = [&](const Trained<T>& trained) { return trained.slot[slot]; };
  for (int l = 0; l < s->n_layers; ++l) {
    const Layer<T>& layer = s->layers[l];
    const T* weight = blocks[2 * l];
    each_parameter(layer, which, weight, blocks[2 * l + 1],
                   [](T& place, const T& value) { place = value; });
    if (slot == 0 && layer.transposed.data)
      each_element(layer.transposed, layer.out, layer.in,
                   [&](T& place, int64_t j, int64_t i) { place = weight[i * layer.out + j]; });
  }
}

template <class T, class Which>
void read_all(const Session<T>* s, Which which, T* const* blocks) {
  for (int l = 0; l < s->n_layers; ++l)
    each_parameter(s->layers[l], which, blocks[2 * l], blocks[2 * l + 1],
                   [](T& place, T& value) { value = place; });
}

template <class T>
void read(const Session<T>* s, int slot, T* const* blocks) {
  read_all(s, [&](const Trained<T>& trained) { return trained.slot[slot]; }, blocks);
}

template <class T>
double gradient(Session<T>* s, const Data<T>& data, const Pass& pass, T* const* blocks) {
  const EpochResult result = run_job(s, data, pass, pass.n, static_cast<SolverOptions*>(nullptr));
  read_all(s, [](const Trained<T>& trained) { return trained.gradient; }, blocks);
  return result.loss;
}

/// Rows of a batch worked on at once: all, unless their activations would take more than 64 MiB.
int64_t chunk_rows_for(const Recipe& recipe, int64_t batch, bool sparse, size_t element) {
  int64_t widths = sparse ? 0 : recipe.units[0];
  for (int l = 1; l <= recipe.n_layers; ++l) widths += 2 * recipe.units[l];
  const int64_t most = (int64_t(64) << 20) / (widths * int64_t(element));
  const int64_t rows = most < 256 ? 256 : most / 64 * 64;
  return batch < rows ? batch : rows;
}

template <class T>
Trained<T> trained(Arena& arena, int64_t rows, int64_t columns, bool keep_gradient) {
  Trained<T> result;
  for (auto& slot : result.slot) slot = arena.panels<T>(rows, columns);
  if (keep_gradient) result.gradient = arena.panels<T>(rows, columns);
  return result;
}

/// Lays the session out in the arena.
template <class T>
Session<T>* lay_out(Arena& arena, const Recipe& recipe, int64_t batch, bool sparse,
                    bool keep_gradient, bool real) {
  const int64_t rows = chunk_rows_for(recipe, batch, sparse, sizeof(T));
  Session<T>* memory = arena.take<Session<T>>(1);
  Layer<T>* layers = arena.take<Layer<T>>(recipe.n_layers);
  int64_t units = 0;
  for (int l = 0; l < recipe.n_layers; ++l) {
    Layer<T> layer{};
    layer.in = recipe.units[l];
    layer.out = recipe.units[l + 1];
    layer.narrow = is_narrow<T>(layer.in, layer.out) && !(l == 0 && sparse);
    const bool keep = keep_gradient || rows < batch;
    layer.weight = trained<T>(arena, layer.rows(), layer.columns(), keep);
    layer.bias = trained<T>(arena, 1, layer.out, keep);
    if (l > 0 && !layer.narrow) layer.transposed = arena.panels<T>(layer.out, layer.in);
    if (l > 0 || !sparse) layer.input = arena.panels<T>(rows, layer.in);
    layer.delta = arena.panels<T>(rows, layer.out);
    units += layer.units();
    if (real) layers[l] = layer;
  }
  Session<T> session = {};
  session.target = arena.panels<T>(rows, recipe.units[recipe.n_layers]);
  session.row_loss = arena.take<double>(rows);
  session.penalty = arena.take<double>(units);
  if (!real) return nullptr;
  session.n_layers = recipe.n_layers;
  session.layers = layers;
  session.activation = recipe.activation;
  session.loss = recipe.loss;
  session.alpha = recipe.alpha;
  session.chunk_rows = rows;
  session.units = units;
  session.watch = Watch(step_work(layers, recipe.n_layers, rows));
  *memory = session;
  return memory;
}

template <class T>
Session<T>* open(const Recipe& recipe, int64_t batch, bool sparse, bool keep_gradient) {
  Arena measure(nullptr);
  lay_out<T>(measure, recipe, batch, sparse, keep_gradient, false);
  Arena arena(allocate(measure.used()));
  return lay_out<T>(arena, recipe, batch, sparse, keep_gradient, true);
}

template <class T>
void close(Session<T>* s) {
  release(s);  // the session is the first thing in its arena
}

// --- prediction ----------------------------------------------------------------------------------

constexpr int64_t kPredictRows = 64;  // predicted together: their activations stay in cache
constexpr int64_t kPackRows = 32;     // from so many rows on, packing the weights pays

template <class T>
struct Prediction {
  const Recipe& recipe;
  const T* const* blocks;
  const Rows<T>& x;
  const Pass& pass;
  T* out;
  Panels<T>* packed;  // per layer: the vectors not read from the blocks, and the bias below them;
                      // of a narrow layer its weights (outputs, in)
  char* scratch;      // per thread
  size_t scratch_bytes;

  int64_t in(int l) const { return recipe.units[l]; }
  int64_t out_of(int l) const { return recipe.units[l + 1]; }
  bool narrow(int l) const { return is_narrow<T>(in(l), out_of(l)) && !(l == 0 && x.indptr); }
  /// Vectors of layer l that are read straight from the user's matrix.
  int64_t direct(int l) const { return pass.n < kPackRows ? out_of(l) / kLanes<T> : 0; }
  int64_t rest(int l) const { return panel_count<T>(out_of(l)) - direct(l); }
};

template <class T>
struct PredictScratch {
  Panels<T> even, odd;  // what layers 0, 2, ... read and what layers 1, 3, ... read
};

template <class T>
PredictScratch<T> place_predict_scratch(Arena& arena, const Prediction<T>& p) {
  int64_t widest[2] = {1, 1};
  for (int l = 0; l <= p.recipe.n_layers; ++l)
    if (!(l == 0 && p.x.indptr) && p.recipe.units[l] > widest[l % 2])
      widest[l % 2] = p.recipe.units[l];
  const int64_t rows = p.pass.n < kPredictRows ? p.pass.n : kPredictRows;
  PredictScratch<T> scratch;
  scratch.even = arena.panels<T>(rows, widest[0]);
  scratch.odd = arena.panels<T>(rows, widest[1]);
  return scratch;
}

template <class T>
void pack_weights(Arena& arena, Prediction<T>& p, bool real) {
  p.packed = arena.take<Panels<T>>(p.recipe.n_layers);
  for (int l = 0; l < p.recipe.n_layers; ++l) {
    const int64_t first = p.direct(l) * kLanes<T>, width = p.out_of(l) - first;
    const Panels<T> to =
        p.narrow(l) ? arena.panels<T>(p.out_of(l), p.in(l)) : arena.panels<T>(p.in(l) + 1, width);
    if (!real) continue;
    p.packed[l] = to;
    if (p.narrow(l)) {
      each_element(to, p.out_of(l), p.in(l), [&](T& place, int64_t j, int64_t i) {
        place = p.blocks[2 * l][i * p.out_of(l) + j];
      });
      continue;
    }
    for (int64_t row = 0; row <= p.in(l); ++row)
      set_row(to, row,
              (row < p.in(l) ? p.blocks[2 * l] + row * p.out_of(l) : p.blocks[2 * l + 1]) + first,
              width);
  }
}

template <class T>
void predict_rows(void* context, int thread, int n_threads) {
  const Prediction<T>& p = *static_cast<Prediction<T>*>(context);
  Arena arena(p.scratch + size_t(thread) * p.scratch_bytes);
  const PredictScratch<T> scratch = place_predict_scratch(arena, p);
  const Epilogue<T> activation = find_activate<T>(p.recipe.activation, Activations{});
  const int last = p.recipe.n_layers - 1;
  const int64_t outputs = p.out_of(last);
  const Share mine(p.pass.n, kPredictRows, thread, n_threads);
  for (int64_t start = mine.begin; start < mine.end; start += kPredictRows) {
    const int64_t rows = start + kPredictRows < mine.end ? kPredictRows : mine.end - start;
    const auto source = [&](int64_t r) {
      return p.pass.order ? p.pass.order[start + r] : start + r;
    };
    if (!p.x.indptr) gather(p.x, p.in(0), scratch.even, 0, rows, source);
    for (int l = 0; l <= last; ++l) {
      const Panels<T> from = l % 2 ? scratch.odd : scratch.even;
      const Panels<T> to = l % 2 ? scratch.even : scratch.odd;
      const Epilogue<T> epilogue = l < last ? activation : nullptr;
      if (p.narrow(l)) {
        multiply_narrow(from, p.in(l), p.packed[l], p.blocks[2 * l + 1], p.out_of(l), to, 0, rows,
                        epilogue);
        continue;
      }
      const int64_t direct = p.direct(l);
      const Affine<T> affine[2] = {
          {{p.blocks[2 * l], p.out_of(l), kLanes<T>}, p.blocks[2 * l + 1], kLanes<T>, direct},
          {{p.packed[l].data, kLanes<T>, p.packed[l].stride},
           p.packed[l].at(0, p.in(l)),
           p.packed[l].stride,
           p.rest(l)}};
      for (int part = 0; part < 2; ++part) {
        if (affine[part].vectors == 0) continue;
        const Panels<T> place{to.at(part * direct, 0), to.stride};
        if (l > 0 || !p.x.indptr) {
          multiply(from, p.in(l), affine[part], place, 0, rows, epilogue);
        } else {
          for (int64_t r = 0; r < rows; ++r) {
            const int64_t e = p.x.indptr[source(r)];
            multiply_sparse(p.x.values + e, p.x.columns + e, p.x.indptr[source(r) + 1] - e,
                            affine[part], place.at(0, r), place.stride, epilogue);
          }
        }
      }
    }
    const Panels<T> z = last % 2 ? scratch.even : scratch.odd;
    find_link<T>(p.recipe.loss, Losses{})(z, outputs, rows);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t j = 0; j < outputs; ++j)
        p.out[(start + r) * outputs + j] = z.at(j / kLanes<T>, r)[j % kLanes<T>];
  }
}

template <class T>
void predict(const Recipe& recipe, const T* const* blocks, const Rows<T>& x, const Pass& pass,
             T* out) {
  double work = 0;
  for (int l = 0; l < recipe.n_layers; ++l)
    work += double(recipe.units[l] + 1) * double(recipe.units[l + 1]) * double(pass.n);
  int n_threads = usable_threads(pass.n_threads);
  while (n_threads > 1 && (work < kWorkPerThread * n_threads || pass.n < kPredictRows * n_threads))
    --n_threads;

  Prediction<T> p{recipe, blocks, x, pass, out, nullptr, nullptr, 0};
  Arena per_thread(nullptr), measure(nullptr);
  place_predict_scratch(per_thread, p);
  pack_weights(measure, p, false);
  p.scratch_bytes = per_thread.used();
  char* block =
      static_cast<char*>(allocate(measure.used() + per_thread.used() * size_t(n_threads)));
  Arena arena(block);
  pack_weights(arena, p, true);
  p.scratch = block + arena.used();
  run_team(n_threads, predict_rows<T>, &p);
  release(block);
}

/// Chains of multiply-adds, as many as hide their latency, best of many short runs.
template <class T>
__attribute__((noinline)) double peak() {
  constexpr int kChains = 10, kTurns = 20000, kRuns = 50;
  Vec<T> sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = splat<Vec<T>>(T(c));
  const Vec<T> factor = splat<Vec<T>>(T(0.5)), term = splat<Vec<T>>(T(0.25));
  double best = 1e9;
  Vec<T> total{};
  for (int run = 0; run < kRuns; ++run) {
    const double began = seconds();
    for (int turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 16
      for (int c = 0; c < kChains; ++c) sums[c] = sums[c] * factor + term;
    }
    for (int c = 0; c < kChains; ++c) total += sums[c];
    const double time = seconds() - began;
    best = time < best ? time : best;
  }
  const double operations = 2.0 * kChains * kTurns * double(kLanes<T>);
  return total[0] == total[0] ? operations / best : 0;  // the sums must be used
}

bool available() {
#if defined(__AVX512F__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
#elif defined(__AVX2__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

template <class T>
constexpr Operations<T> operations{open<T>,  close<T>,    write<T>,   read<T>,
                                   train<T>, gradient<T>, predict<T>, peak<T>};

}  // namespace

#define FASTMLP_JOIN(a, b) a##b
#define FASTMLP_ENGINE_NAME(isa) FASTMLP_JOIN(engine_, isa)
#define FASTMLP_QUOTE(x) #x
#define FASTMLP_TEXT(x) FASTMLP_QUOTE(x)

extern const Engine FASTMLP_ENGINE_NAME(FASTMLP_ISA);
const Engine FASTMLP_ENGINE_NAME(FASTMLP_ISA) = {FASTMLP_TEXT(FASTMLP_ISA), available,
                                                 operations<float>, operations<double>};

}  // namespace fastmlp
