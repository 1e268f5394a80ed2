// The rows phase of a step: a thread takes rows of the batch through gather, forward pass, loss and
// the chain of deltas back to the first layer.
#pragma once

#include "../data.hpp"
#include "../formulas/losses.hpp"
#include "neurons.hpp"
#include "session.hpp"

namespace fastmlp {
namespace {

/// A stretch of a batch: all of it, unless the batch is too large for the work space.
template <class T>
struct Chunk {
  const Data<T>& data;
  const int64_t* order;  // null: consecutive rows
  int64_t start, rows;   // positions start .. start + rows of the order
  bool first, last;      // of its batch
  T scale;               // 1 / sum of the batch's weights
  T delta_scale;         // on every delta, 1 but in an exact gradient
  int64_t step;          // of dropout, 0: nothing is dropped
  uint64_t seed;
  int64_t steps = 1;                // of the longest of its sequences
  const int64_t* places = nullptr;  // of dropout: of each position, where it is not its own

  Positions positions() const { return {order, start}; }
  int64_t row(int64_t r) const { return positions()(r); }
  int64_t length(int64_t r) const { return data.length(row(r)); }
  T weight(int64_t r) const { return data.weights ? data.weights[row(r)] : T(1); }
  Mask<T> mask(double rate, int layer) const {
    Mask<T> mask;
    using Rule = DropoutRule<T>;
    if (rate > 0 && step > 0) mask = Mask<T>(rate, Rule::key_of(Rule::step_key(seed, step), layer));
    mask.places = places;
    return mask;
  }
};

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

/// What a loss is taken of, and where it goes.
template <class T>
struct Outputs {
  Panels<T> z, target;  // (rows, count)
  int64_t count;
  double* row_loss;  // (rows,)
  T parameter;       // of the loss
};

template <class T>
using RowsFunction = void (*)(const Outputs<T>&, const Chunk<T>&, int64_t begin, int64_t end);

/// Losses of rows [begin, end), and z replaced by its delta. Rows are worked on side by side, a
/// lane each, for most networks have few outputs; only a softmax that does not fit into one panel
/// goes row by row.
template <class T, class Loss>
void take_loss(const Outputs<T>& outputs, const Chunk<T>& chunk, int64_t begin, int64_t end) {
  using V = Vec<T>;
  constexpr int64_t L = kLanes<T>;
  const Panels<T> z = outputs.z, target = outputs.target;
  const T parameter = outputs.parameter;
  const int64_t panels = panel_count<T>(outputs.count);
  Turned<T> zs, ys;
  alignas(64) T per_row[L] = {};
  for (int64_t row = begin; row < end; row += L) {
    const int64_t rows = row + L < end ? L : end - row;
    for (int64_t r = 0; r < rows; ++r) per_row[r] = chunk.weight(row + r);
    const V weight = load(per_row);
    V loss{};
    if (Loss::kRowwise && panels > 1) {
      for (int64_t r = 0; r < rows; ++r) {
        per_row[r] = -softmax(z, outputs.count, row + r, &target);
        const T scale = chunk.weight(row + r) * chunk.delta_scale;
        V entropy{};
        for (int64_t p = 0; p < panels; ++p) {  // lanes past the last output have p = y = 0
          T* place = z.at(p, row + r);
          const V y = load(target.at(p, row + r));
          if (Loss::kEntropy) entropy += y_log_y(y);
          store(place, Loss::delta(load(place), y, parameter) * scale);
        }
        per_row[r] += sum<T>(entropy);
      }
      loss = load(per_row);
    } else {
      for (int64_t p = 0; p < panels; ++p) {
        const int64_t columns = outputs.count - p * L < L ? outputs.count - p * L : L;
        zs.take(z, p, row, rows, columns);
        ys.take(target, p, row, rows, columns);
        if constexpr (Loss::kRowwise) loss = -softmax_lanes(zs.values, ys.values, columns);
        for (int64_t j = 0; j < columns; ++j) {
          const V v = load(zs.values[j]), y = load(ys.values[j]);
          if constexpr (Loss::kEntropy) loss += y_log_y(y);
          if constexpr (!Loss::kRowwise) loss += Loss::value(v, y, parameter);
          store(zs.values[j], Loss::delta(v, y, parameter) * (weight * chunk.delta_scale));
        }
        zs.put(z, p, row, rows, columns);
      }
    }
    for (int64_t r = 0; r < rows; ++r)
      outputs.row_loss[row + r] = double(loss[r]) * double(weight[r]);
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

/// Fetches the beginning of a row of so many bytes, which may lie anywhere. Of a long one the
/// hardware foresees the rest.
__attribute__((noinline)) void fetch_ahead(const char* row, int64_t bytes) {
  for (int64_t at = 0; at < bytes && at < 256; at += 64) __builtin_prefetch(row + at);
}

/// Copies rows of a dense matrix, row source(r) of it to row r, for r in [begin, end). Several rows
/// together, panel by panel: the places they go to are then neighbours.
template <class S, class T>
void gather_from(const Rows<T>& x, int64_t width, Panels<T> to, int64_t begin, int64_t end,
                 Positions source) {
  constexpr int64_t L = kLanes<T>, kTogether = 8;
  constexpr bool same = __is_same(S, T);
  for (int64_t first = begin; first < end; first += kTogether) {
    const int64_t beyond = first + kTogether < end ? first + kTogether : end;
    const S* from[kTogether];
    for (int64_t r = first; r < beyond; ++r)
      from[r - first] = reinterpret_cast<const S*>(x.dense + source(r) * x.stride);
    for (int64_t r = beyond; r < end && r < beyond + kTogether; ++r)
      fetch_ahead(x.dense + source(r) * x.stride, width * int64_t(sizeof(S)));
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

template <class T>
__attribute__((noinline)) void gather(const Rows<T>& x, int64_t width, Panels<T> to, int64_t begin,
                                      int64_t end, Positions source) {
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

constexpr int64_t kSparseRows = 64;  // multiplied together: each group of weights is read for all

/// The entries of `n` rows of a sparse matrix, row source(r) of it as rows[r], times the mask's
/// factors, whose row 0 is `start`. Products with them go to `scratch`.
template <class T>
void take_entries(const Rows<T>& x, int64_t n, Positions source, const Mask<T>& mask, int64_t start,
                  T* scratch, Entries<T>* rows) {
  for (int64_t r = 0; r < n; ++r) {
    const int64_t first = x.indptr[source(r)];
    Entries<T>& row = rows[r];
    row = {x.values + first, x.columns + first, x.indptr[source(r) + 1] - first};
    if (!mask.active) continue;
    for (int64_t e = 0; e < row.count; ++e)
      scratch[e] = row.values[e] * mask.factor(start + r, row.places[e]);
    row.values = scratch;
    scratch += row.count;
  }
}

/// Puts rows of targets into panels. A share of each class's target is spread over all classes, of
/// which one output has two (Szegedy et al., CVPR 2016); without it they are 0 and 1.
template <class T>
struct Targets {
  const Data<T>& data;
  int64_t outputs;
  T kept, spread;

  Targets(const Data<T>& data, int64_t outputs, double smoothing)
      : data(data),
        outputs(outputs),
        kept(T(1 - smoothing)),
        spread(T(smoothing / double(outputs > 1 ? outputs : 2))) {}

  void set(Panels<T> to, int64_t r, int64_t source) const {
    if (!data.classes) return set_row(to, r, data.targets + source * outputs, outputs);
    const int32_t label = data.classes[source];
    if (outputs == 1) {
      *to.at(0, r) = T(label) * kept + spread;
      return;
    }
    const Vec<T> others = splat<Vec<T>>(spread);
    const int64_t last = panel_count<T>(outputs) - 1;
    for (int64_t p = 0; p < last; ++p) store(to.at(p, r), others);
    const auto valid = first_lanes<T>(outputs - last * kLanes<T>);
    store(to.at(last, r), select(valid, others, Vec<T>{}));
    to.at(label / kLanes<T>, r)[label % kLanes<T>] += kept;
  }
};

/// Rows [begin, end) of the chunk: forward through all layers, loss, deltas back to the first.
/// `scratch` has room for the entries of these rows, where X is sparse. Returns whether a dense X
/// has so many zeros that it pays to leave them out.
template <class T>
bool run_rows(Session<T>& s, const Chunk<T>& chunk, int64_t begin, int64_t end, T* scratch) {
  const int last = s.n_layers - 1;
  const auto neurons = [&](int l) {
    const Layer<T>& layer = s.layers[l];
    return Neurons<T>{T(layer.hidden.parameter), layer.slopes.slot[0].data,
                      chunk.mask(layer.hidden.dropout, l + 1), chunk.start};
  };
  const auto z_of = [&](int l) {  // where layer l puts what its weights give
    return l == last || s.layers[l].pieces > 1 ? s.layers[l].delta : s.layers[l + 1].input;
  };
  const Rows<T>& x = chunk.data.x;
  const Mask<T> input_mask = chunk.mask(s.input_dropout, 0);
  const Targets<T> targets(chunk.data, last_layer(s).out, s.label_smoothing);
  for (int64_t r = begin; r < end; ++r) targets.set(s.target, r, chunk.row(r));
  const Zeros<T>* zeros = nullptr;
  if (!x.indptr) {
    const Layer<T>& layer = s.layers[0];
    gather(x, layer.in, layer.input, begin, end, chunk.positions());
    input_mask.apply(layer.input, chunk.start, begin, end, panel_count<T>(layer.in));
    if (s.zeros && s.zeros.find(layer.input, begin, end)) zeros = &s.zeros;
  }
  for (int l = 0; l <= last; ++l) {
    const Layer<T>& layer = s.layers[l];
    const Neurons<T> here = neurons(l);
    Epilogue<T> epilogue;
    if (l < last && layer.pieces == 1)
      epilogue = {find_activate<T>(layer.hidden.activation, here.mask.active, Activations{}), &here,
                  layer.kept};
    if (l == 0 && x.indptr) {
      Entries<T> entries[kSparseRows];
      for (int64_t r = begin; r < end; r += kSparseRows) {
        const int64_t n = end - r < kSparseRows ? end - r : kSparseRows;
        take_entries(x, n, {chunk.order, chunk.start + r}, input_mask, chunk.start + r, scratch,
                     entries);
        multiply_sparse(entries, layer.forward(), z_of(l), r, r + n, epilogue);
      }
    } else if (layer.narrow) {
      multiply_narrow(layer.input, layer.in, layer.weight.slot[0], layer.bias.slot[0].data,
                      layer.out, z_of(l), begin, end, epilogue);
    } else {
      multiply(layer.input, layer.in, layer.forward(), z_of(l), begin, end, epilogue, 0,
               l == 0 ? zeros : nullptr);
    }
    if (layer.pieces > 1)
      take_largest(here, layer.delta, layer.pieces, layer.piece_vectors(), s.layers[l + 1].input,
                   begin, end);
  }
  const Outputs<T> outputs{last_layer(s).delta, s.target, last_layer(s).out, s.row_loss,
                           T(s.loss_parameter)};
  find_take_loss<T>(s.loss, Losses{})(outputs, chunk, begin, end);
  for (int l = last; l >= 1; --l) {
    const Layer<T>&layer = s.layers[l], &below = s.layers[l - 1];
    const Neurons<T> here = neurons(l - 1);
    if (below.pieces > 1) {
      multiply(layer.delta, layer.linear(), layer.backward(), below.kept, begin, end, {});
      give_to_largest(here, below.kept, below.pieces, below.piece_vectors(), below.delta, begin,
                      end);
      continue;
    }
    const Panels<T> from = below.kept.data ? below.kept : layer.input;
    const int activation = below.hidden.activation;
    if (layer.linear() == 1 && !here.mask.active) {
      find_outer<T>(activation, Activations{})(here, layer.delta, layer.by_outputs(),
                                               panel_count<T>(layer.in), from, below.delta, begin,
                                               end);
    } else {
      const Epilogue<T> epilogue{find_times_slope<T>(activation, here.mask.active, Activations{}),
                                 &here, from};
      multiply(layer.delta, layer.linear(), layer.backward(), below.delta, begin, end, epilogue);
    }
  }
  return zeros;
}

}  // namespace
}  // namespace fastmlp
