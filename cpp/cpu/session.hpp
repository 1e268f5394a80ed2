// What the CPU engine keeps of a network: its layers in panels, in one block of memory.
#pragma once

#include "../engine.hpp"
#include "../formulas/solvers.hpp"
#include "../threads.hpp"
#include "gemm.hpp"
#include "team.hpp"

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

}  // namespace
}  // namespace fastmlp
