// Prediction of dense networks: forward only, straight from the user's arrays.
#pragma once

#include "rows.hpp"

namespace fastmlp {
namespace {

/// Predicted together: their activations stay in cache. So few rows by themselves read the weights
/// once, from the user's matrices, for less than packing would take.
constexpr int64_t kPredictRows = kSparseRows;
/// From so many entries of a sparse X per feature on, packing the first layer's weights pays.
constexpr int64_t kPackEntries = 4;

template <class T>
struct Prediction {
  const Recipe& recipe;
  const T* const* blocks;
  const Data<T>& data;
  const Pass& pass;
  T* out;
  T* const* hidden;  // per hidden layer: its activations (n, out); null where they are not wanted
  Stopper stopper;
  int64_t row_entries;  // the most in a row of a sparse X, where it has few in all; else 0
  Panels<T>* packed;    // per layer: the vectors not read from the blocks, and the bias below them;
                        // of a narrow layer its weights (outputs, in)
  Panels<T>* slopes;    // per layer: (1, out), where they are learned
  double* loss;         // per kPredictRows rows
  char* scratch;        // per thread
  size_t scratch_bytes;

  bool has_targets() const { return data.targets || data.classes; }
  bool is_hidden(int l) const { return l < recipe.n_layers - 1 || recipe.loss < 0; }
  int64_t in(int l) const { return recipe.units[l]; }
  int64_t out_of(int l) const { return recipe.units[l + 1]; }
  int64_t pieces(int l) const { return is_hidden(l) ? recipe.hidden[l].pieces : 1; }
  bool narrow(int l) const {
    return is_narrow<T>(in(l), out_of(l)) && !(l == 0 && data.x.indptr) && pieces(l) == 1;
  }
  /// Whether of layer l's weights only those rows are read that the entries of X name.
  bool by_entries(int l) const { return l == 0 && row_entries > 0; }
  int64_t packed_rows(int l) const { return by_entries(l) ? 0 : in(l); }
  /// Vectors of layer l that are read straight from the user's matrix.
  int64_t direct(int l) const {
    return (pass.n <= kPredictRows || by_entries(l)) && pieces(l) == 1 ? out_of(l) / kLanes<T> : 0;
  }
  int64_t rest(int l) const { return pieces(l) * panel_count<T>(out_of(l)) - direct(l); }

  /// Packs row i of layer l's weights, or below them its bias, as row `row`.
  void pack(int l, int64_t i, Panels<T> to, int64_t row) const {
    const int64_t first = direct(l) * kLanes<T>, panels = panel_count<T>(out_of(l));
    const T* from = i < in(l) ? blocks[2 * l] + i * pieces(l) * out_of(l) : blocks[2 * l + 1];
    for (int64_t piece = 0; piece < pieces(l); ++piece)
      set_row(Panels<T>{to.at(piece * panels, 0), to.stride}, row, from + piece * out_of(l) + first,
              out_of(l) - first);
  }
};

template <class T>
struct PredictScratch {
  Panels<T> even, odd;  // what layers 0, 2, ... read and what layers 1, 3, ... read
  Panels<T> z;          // of maxout, and of the outputs whose loss is taken
  Panels<T> target;     // (rows, outputs)
  Zeros<T> zeros;       // of a dense X
  Panels<T> named;      // the first layer's weights that the entries of a row name
  double* row_loss;     // (rows,)
};

template <class T>
PredictScratch<T> place_predict_scratch(PanelArena& arena, const Prediction<T>& p) {
  int64_t widest[2] = {1, 1}, z_vectors = 0;
  for (int l = 0; l <= p.recipe.n_layers; ++l)
    if (!(l == 0 && p.data.x.indptr) && p.recipe.units[l] > widest[l % 2])
      widest[l % 2] = p.recipe.units[l];
  for (int l = 0; l < p.recipe.n_layers; ++l)
    if (p.pieces(l) > 1 && p.rest(l) > z_vectors) z_vectors = p.rest(l);
  const int64_t rows = p.pass.n < kPredictRows ? p.pass.n : kPredictRows;
  const int64_t outputs = p.has_targets() ? p.out_of(p.recipe.n_layers - 1) : 0;
  if (panel_count<T>(outputs) > z_vectors) z_vectors = panel_count<T>(outputs);
  PredictScratch<T> scratch;
  scratch.even = arena.panels<T>(rows, widest[0]);
  scratch.odd = arena.panels<T>(rows, widest[1]);
  scratch.z = arena.panels<T>(rows, z_vectors * kLanes<T>);
  scratch.target = arena.panels<T>(rows, outputs);
  if (!p.data.x.indptr) scratch.zeros = arena.zeros<T>(rows, p.in(0));
  scratch.named = arena.panels<T>(p.row_entries, p.by_entries(0) ? p.rest(0) * kLanes<T> : 0);
  scratch.row_loss = arena.take<double>(outputs > 0 ? rows : 0);
  return scratch;
}

template <class T>
void pack_weights(PanelArena& arena, Prediction<T>& p, bool real) {
  p.packed = arena.take<Panels<T>>(p.recipe.n_layers);
  p.slopes = arena.take<Panels<T>>(p.recipe.n_layers);
  p.loss = arena.take<double>(p.has_targets() ? ceil_div(p.pass.n, kPredictRows) : 0);
  const T* const* learned = p.blocks + 2 * p.recipe.n_layers;
  for (int l = 0; l < p.recipe.n_layers; ++l) {
    const int64_t rows = p.packed_rows(l), width = p.out_of(l) - p.direct(l) * kLanes<T>;
    const Panels<T> to = p.narrow(l) ? arena.panels<T>(p.out_of(l), p.in(l))
                                     : arena.panels<T>(rows + 1, p.rest(l) * kLanes<T>);
    Panels<T> slopes;
    const bool learns = p.is_hidden(l) && p.recipe.hidden[l].learned;
    if (learns) slopes = arena.panels<T>(1, p.out_of(l));
    if (!real) continue;
    p.packed[l] = to;
    p.slopes[l] = slopes;
    const auto zero_last = [](const Panels<T>& panels, int64_t rows, int64_t columns) {
      const int64_t last = panel_count<T>(columns) - 1;
      if (columns % kLanes<T> != 0)
        __builtin_memset(panels.at(last, 0), 0, size_t(rows * kLanes<T>) * sizeof(T));
    };
    if (learns) {
      zero_last(slopes, 1, p.out_of(l));
      set_row(slopes, 0, *learned++, p.out_of(l));
    }
    if (p.narrow(l)) {
      zero_last(to, p.out_of(l), p.in(l));
      each_element(to, p.out_of(l), p.in(l), [&](T& place, int64_t j, int64_t i) {
        place = p.blocks[2 * l][i * p.out_of(l) + j];
      });
      continue;
    }
    for (int64_t piece = 0; piece < p.pieces(l); ++piece)
      zero_last({to.at(piece * panel_count<T>(p.out_of(l)), 0), to.stride}, rows + 1, width);
    for (int64_t row = 0; row < rows; ++row) p.pack(l, row, to, row);
    p.pack(l, p.in(l), to, rows);
  }
}

/// `multiply_sparse` into rows [0, rows) by what is packed, row by row, of the weights named: into
/// `named`, while `by` has the bias.
template <class T>
void multiply_named(const Prediction<T>& p, const Entries<T>* entries, Affine<T> by,
                    Panels<T> named, Panels<T> out, int64_t rows, const Epilogue<T>& epilogue,
                    int64_t first) {
  by.weight = {named.data, kLanes<T>, named.stride};
  for (int64_t r = 0; r < rows; ++r) {
    const Entries<T>& row = entries[r];
    for (int64_t e = 0; e < row.count; ++e) p.pack(0, row.places[e], named, e);
    const Panels<T> values{const_cast<T*>(row.values), kLanes<T>};  // (1, row.count)
    multiply(values, row.count, by, Panels<T>{out.at(0, r), out.stride}, 0, 1, epilogue, first);
  }
}

/// Copies a layer's outputs out of its panels.
template <class T>
void give(const Panels<T>& from, int64_t rows, int64_t columns, T* out) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < columns; ++j)
      out[r * columns + j] = from.at(j / kLanes<T>, r)[j % kLanes<T>];
}

/// The losses of `rows` rows of outputs z, which stay as they are; the target of row r is that
/// numbered target_of(r), or none where this is negative, and then its loss is of no use.
template <class T, class TargetOf>
void find_losses(const Recipe& recipe, const Data<T>& data, const Pass& pass, int64_t start,
                 int64_t rows, const Panels<T>& z, const Outputs<T>& outputs, TargetOf target_of) {
  for (int64_t v = 0; v < panel_count<T>(outputs.count); ++v)
    __builtin_memcpy(outputs.z.at(v, 0), z.at(v, 0), size_t(rows * kLanes<T>) * sizeof(T));
  const Targets<T> targets(data, outputs.count, recipe.label_smoothing);
  for (int64_t r = 0; r < rows; ++r)
    if (target_of(r) >= 0) targets.set(outputs.target, r, target_of(r));
  const Chunk<T> chunk{data, pass.order, start, rows, true, true, T(1), T(1), 0, 0};
  find_take_loss<T>(recipe.loss, Losses{})(outputs, chunk, 0, rows);
}

template <class T>
void predict_rows(void* context, int thread, int n_threads) {
  Prediction<T>& p = *static_cast<Prediction<T>*>(context);
  __builtin_memset(p.scratch + size_t(thread) * p.scratch_bytes, 0, p.scratch_bytes);
  PanelArena arena(p.scratch + size_t(thread) * p.scratch_bytes);
  const PredictScratch<T> scratch = place_predict_scratch(arena, p);
  const Rows<T>& x = p.data.x;
  const int last = p.recipe.n_layers - 1;
  const int64_t outputs = p.out_of(last);
  const Share mine(p.pass.n, kPredictRows, thread, n_threads);
  for (int64_t start = mine.begin; start < mine.end && !p.stopper.answered(true);
       start += kPredictRows) {
    if (thread == 0 && start > 0) p.stopper.ask(true);
    const int64_t rows = start + kPredictRows < mine.end ? kPredictRows : mine.end - start;
    const Positions source{p.pass.order, start};
    Entries<T> entries[kPredictRows];
    const Zeros<T>* zeros = nullptr;
    if (x.indptr) {
      take_entries(x, rows, source, Mask<T>(), 0, static_cast<T*>(nullptr), entries);
    } else {
      gather(x, p.in(0), scratch.even, 0, rows, source);
      if (rows >= kTileRows<T> && !p.narrow(0) && scratch.zeros.find(scratch.even, 0, rows))
        zeros = &scratch.zeros;
    }
    for (int l = 0; l <= last; ++l) {
      const Panels<T> from = l % 2 ? scratch.odd : scratch.even;
      const Panels<T> to = l % 2 ? scratch.even : scratch.odd;
      if (p.hidden && l > 0) give(from, rows, p.in(l), p.hidden[l - 1] + start * p.in(l));
      const bool largest = p.pieces(l) > 1;
      Neurons<T> neurons{};
      Epilogue<T> epilogue;
      if (p.is_hidden(l)) {
        const Hidden& hidden = p.recipe.hidden[l];
        neurons.parameter = T(hidden.parameter);
        neurons.slopes = p.slopes[l].data;
        if (!largest)
          epilogue = {find_activate<T>(hidden.activation, false, Activations{}), &neurons, {}};
      }
      if (p.narrow(l)) {
        multiply_narrow(from, p.in(l), p.packed[l], p.blocks[2 * l + 1], p.out_of(l), to, 0, rows,
                        epilogue);
        continue;
      }
      const int64_t direct = p.direct(l);
      const Affine<T> affine[2] = {
          {{p.blocks[2 * l], p.out_of(l), kLanes<T>}, p.blocks[2 * l + 1], kLanes<T>, direct},
          {{p.packed[l].data, kLanes<T>, p.packed[l].stride},
           p.packed[l].at(0, p.packed_rows(l)),
           p.packed[l].stride,
           p.rest(l)}};
      for (int part = 0; part < 2; ++part) {
        if (affine[part].vectors == 0) continue;
        const int64_t place = part * direct;
        const Panels<T> z = largest ? scratch.z : Panels<T>{to.at(place, 0), to.stride};
        if (l > 0 || !x.indptr) {
          multiply(from, p.in(l), affine[part], z, 0, rows, epilogue, place,
                   l == 0 ? zeros : nullptr);
        } else if (part == 1 && p.by_entries(l)) {
          multiply_named(p, entries, affine[part], scratch.named, z, rows, epilogue, place);
        } else {
          multiply_sparse(entries, affine[part], z, 0, rows, epilogue, place);
        }
      }
      if (largest)
        take_largest(neurons, scratch.z, p.pieces(l), panel_count<T>(p.out_of(l)), to, 0, rows);
    }
    const Panels<T> z = last % 2 ? scratch.even : scratch.odd;
    if (p.has_targets()) {
      find_losses(
          p.recipe, p.data, p.pass, start, rows, z,
          {scratch.z, scratch.target, outputs, scratch.row_loss, T(p.recipe.loss_parameter)},
          source);
      double sum = 0;
      for (int64_t r = 0; r < rows; ++r) sum += scratch.row_loss[r];
      p.loss[start / kPredictRows] = sum;
    }
    if (p.recipe.loss >= 0) find_link<T>(p.recipe.loss, Losses{})(z, outputs, rows);
    give(z, rows, outputs, p.out + start * outputs);
  }
}

template <class T>
double predict_dense(const Recipe& recipe, const T* const* blocks, const Data<T>& data,
                     const Pass& pass, T* out, T* const* hidden) {
  double work = 0;
  for (int l = 0; l < recipe.n_layers; ++l)
    work += double(recipe.units[l] + 1) * double(recipe.units[l + 1]) * double(pass.n);
  int n_threads = usable_threads(pass.n_threads);
  while (n_threads > 1 && (work < kWorkPerThread * n_threads || pass.n < kPredictRows * n_threads))
    --n_threads;

  Prediction<T> p{
      recipe, blocks,  data,    pass,    out,     hidden, Stopper(pass.stop, pass.context),
      0,      nullptr, nullptr, nullptr, nullptr, 0};
  if (data.x.indptr) {
    int64_t entries = 0, most = 1;
    for (int64_t i = 0; i < pass.n; ++i) {
      const int64_t row = pass.order ? pass.order[i] : i;
      const int64_t here = data.x.indptr[row + 1] - data.x.indptr[row];
      entries += here;
      most = here > most ? here : most;
    }
    if (entries < kPackEntries * recipe.units[0]) p.row_entries = most;
  }
  PanelArena per_thread(nullptr), measure(nullptr);
  place_predict_scratch(per_thread, p);
  pack_weights(measure, p, false);
  p.scratch_bytes = per_thread.used();
  char* block = static_cast<char*>(allocate(measure.used() + per_thread.used() * size_t(n_threads),
                                            "packed weights and activations", false));
  PanelArena arena(block);
  pack_weights(arena, p, true);
  p.scratch = block + arena.used();
  run_team(n_threads, predict_rows<T>, &p);
  double loss = 0;
  if (p.has_targets()) {
    for (int64_t b = 0; b < ceil_div(pass.n, kPredictRows); ++b) loss += p.loss[b];
    loss *= value_scale(recipe.loss, recipe.units[recipe.n_layers]) /
            weight_sum(data, pass, 0, pass.n, false);
  }
  release(block);
  return loss;
}

}  // namespace
}  // namespace fastmlp
