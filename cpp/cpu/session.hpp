// What the CPU engine keeps of a network: its layers in panels, in one block of memory.
#pragma once

#include "../arena.hpp"
#include "../engine.hpp"
#include "../formulas/activations.hpp"
#include "../formulas/solvers.hpp"
#include "../threads.hpp"
#include "team.hpp"
#include "zeros.hpp"

namespace fastmlp {
namespace {

/// An arena of matrices in panels.
class PanelArena : public Arena {
 public:
  using Arena::Arena;

  template <class T>
  Panels<T> panels(int64_t rows, int64_t columns) {
    return {take<T>(panel_count<T>(columns) * panel_stride<T>(rows)), panel_stride<T>(rows)};
  }

  template <class T>
  Zeros<T> zeros(int64_t rows, int64_t columns) {
    using Z = Zeros<T>;
    const int64_t eights = ceil_div(rows, Z::kRows),
                  width = ceil_div(columns, Z::kStrip) * Z::kStrip;
    return {columns, width, take<uint8_t>(eights * Z::kRows / Z::kTile * width / 8),
            take<uint8_t>(eights * width / Z::kTile)};
  }
};

static_assert(kDiagnosed == 1 + kMaxSlots);

/// What a solver changes: parameters (slot 0), its own state (slots 1, ...), weights of the last
/// diagnosis (slot kDiagnosed), and the gradient where it has to be kept.
template <class T>
struct Trained {
  Panels<T> slot[1 + kDiagnosed];
  Panels<T> gradient;
};

/// A layer with the activation that follows it. z (batch rows, linear()) is what its weights give,
/// a (batch rows, out) what the activation makes of it. The pieces of a maxout layer lie side by
/// side in z, each in panels of its own.
///
/// A recurrent layer has a second one, its context, whose input is the first one's output one step
/// earlier. Rows are steps of sequences then, time-major: of n sequences, step t of sequence r is
/// row t * n + r. Of the first step no context is known: its row of the context's input is that of
/// the second step's delta.
template <class T>
struct Layer {
  int64_t in, out;
  int64_t pieces;        // of maxout and of a gru, else 1
  int64_t steps;         // rows of a sequence at most; 1: one, or no sequences
  bool context;          // of a recurrent layer
  bool narrow;           // weights are stored (out, in), not (in, out): see is_narrow
  Hidden hidden;         // unless the last layer, or a context
  Trained<T> weight;     // (rows(), vectors())
  Trained<T> bias;       // (1, linear()); an elman's context has none
  Trained<T> slopes;     // (1, out): where the activation learns them
  Panels<T> transposed;  // (linear(), in): a copy of the weights, unless narrow or the first layer
  Panels<T> input;       // (batch rows, in)
  Panels<T> delta;       // (batch rows, linear()): of the last layer, of maxout and a gru first z
  Panels<T> kept;        // (batch rows, out): what the activation keeps of z, see Keeps; of maxout
                         // the derivative by a
  Panels<T> by_output;   // (batch rows, out): of a recurrent layer the derivative by a; an elman's
                         // delta comes in its place

  bool has_bias() const { return bias.slot[0].data; }
  int64_t piece_vectors() const { return panel_count<T>(out); }
  int64_t linear() const { return pieces == 1 ? out : pieces * piece_vectors() * kLanes<T>; }
  int64_t rows() const { return narrow ? out : in; }
  int64_t vectors() const { return narrow ? panel_count<T>(in) : pieces * piece_vectors(); }
  Groups groups() const { return {vectors()}; }

  Affine<T> forward() const {
    return {{weight.slot[0].data, kLanes<T>, weight.slot[0].stride},
            bias.slot[0].data,
            kLanes<T>,
            pieces * piece_vectors()};
  }
  /// The weights (linear(), in).
  Panels<T> by_outputs() const { return narrow ? weight.slot[0] : transposed; }
  Affine<T> backward() const {
    return {{by_outputs().data, kLanes<T>, by_outputs().stride}, nullptr, 0, panel_count<T>(in)};
  }
  /// The weights phase deals in units: one tile's height of weight rows by one group of vectors,
  /// group by group, and last the bias with the slopes. Work is counted in vectors of tiles, times
  /// the rows of a sequence.
  int64_t units_per_group() const { return ceil_div(rows(), kTileRows<T>); }
  int64_t units() const { return units_per_group() * groups().count() + 1; }
  int64_t work() const { return (units_per_group() * groups().vectors + 1) * steps; }
};

/// Beside a step's gradient: the sum of its losses, and of its sample weights.
constexpr int64_t kBesideGradient = 2;

/// What the weights phase sums up over one unit.
struct UnitSums {
  double penalty, squared_gradient;
};

}  // namespace

template <class T>
struct Held {
  Data<T> data;
};

template <class T>
struct Session {
  int n_layers;    // the last of them gives the outputs
  int all_layers;  // with the contexts of the hidden layers behind them, in their order
  Layer<T>* layers;
  Cell cell;
  bool per_step;
  int loss;
  double loss_parameter, label_smoothing, input_dropout, alpha, l1;
  int64_t chunk_rows, piece_rows;
  Panels<T> target;    // (chunk_rows, outputs), with outputs at every step chunk_rows * steps rows
  double* row_loss;    // as many rows
  Panels<T> by_last;   // (chunk_rows, in of the last layer): derivative by sequences' last outputs
  T* gradient;         // all that is kept of it, in one piece; at its end stands
  T* beside_gradient;  // what is summed up over processes with it: (kBesideGradient,)
  UnitSums* sums;      // (units,)
  Zeros<T> zeros;      // of a dense X, unless the first layer is narrow
  int64_t units;       // of all layers
  Watch watch;
};

namespace {

template <class T>
Layer<T>& last_layer(const Session<T>& s) {
  return s.layers[s.n_layers - 1];
}

/// The context of hidden layer l.
template <class T>
Layer<T>& context_of(const Session<T>& s, int64_t l) {
  return s.layers[s.n_layers + l];
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

/// The same for the pieces of a layer, (rows, pieces * out); column = piece * out + neuron.
template <class T, class Use>
void each_piece(const Layer<T>& layer, const Panels<T>& panels, int64_t rows, Use use) {
  for (int64_t piece = 0; piece < layer.pieces; ++piece)
    each_element(Panels<T>{panels.at(piece * layer.piece_vectors(), 0), panels.stride}, rows,
                 layer.out,
                 [&](T& place, int64_t row, int64_t j) { use(place, row, piece * layer.out + j); });
}

/// Calls use(element in panels, element of the block) for all parameters, in whichever way they are
/// stored. `which` picks the panels out of a Trained.
template <class T, class U, class Which, class Use>
void each_parameter(const Session<T>& s, Which which, U* const* blocks, Use use) {
  U* const* slopes = blocks + 2 * s.n_layers;  // of which a recurrent network has none
  for (int64_t l = 0; l < s.all_layers; ++l) {
    const Layer<T>& layer = s.layers[l];
    U* weight = *blocks++;
    if (layer.narrow) {
      each_element(which(layer.weight), layer.out, layer.in,
                   [&](T& place, int64_t j, int64_t i) { use(place, weight[i * layer.out + j]); });
    } else {
      each_piece(layer, which(layer.weight), layer.in, [&](T& place, int64_t i, int64_t column) {
        use(place, weight[i * layer.pieces * layer.out + column]);
      });
    }
    if (layer.has_bias()) {
      U* bias = *blocks++;
      each_piece(layer, which(layer.bias), 1,
                 [&](T& place, int64_t, int64_t column) { use(place, bias[column]); });
    }
    if (!layer.hidden.learned) continue;
    U* slope = *slopes++;
    each_element(which(layer.slopes), 1, layer.out,
                 [&](T& place, int64_t, int64_t j) { use(place, slope[j]); });
  }
}

template <class T>
void write(Session<T>* s, int slot, const T* const* blocks) {
  each_parameter(
      *s, [&](const Trained<T>& trained) { return trained.slot[slot]; }, blocks,
      [](T& place, const T& value) { place = value; });
  if (slot > 0) return;
  for (int l = 0; l < s->all_layers; ++l) {
    const Layer<T>& layer = s->layers[l];
    if (!layer.transposed.data) continue;
    each_element(layer.transposed, layer.linear(), layer.in, [&](T& place, int64_t j, int64_t i) {
      place = layer.weight.slot[0].at(j / kLanes<T>, i)[j % kLanes<T>];
    });
  }
}

template <class T, class Which>
void read_all(const Session<T>* s, Which which, T* const* blocks) {
  each_parameter(*s, which, blocks, [](T& place, T& value) { value = place; });
}

template <class T>
void read(const Session<T>* s, int slot, T* const* blocks) {
  read_all(s, [&](const Trained<T>& trained) { return trained.slot[slot]; }, blocks);
}

/// Multiply-adds of each of a step's three products, for one row.
double row_work(const Recipe& recipe, bool sparse) {
  double work = 0;
  for (int l = sparse; l < recipe.n_layers; ++l) {
    const bool hidden = l < recipe.n_layers - 1;
    const int64_t in = recipe.units[l] + (hidden && recipe.recurrent() ? recipe.units[l + 1] : 0);
    work += double(in) * double(recipe.units[l + 1]) * (hidden ? recipe.pieces(l) : 1);
  }
  return work;
}

/// How many rows, in 64s, make up to `most` of what a row makes `per_row`; at least `least`.
int64_t rows_within(double most, double per_row, int64_t least) {
  const double rows = most / (per_row + 1);
  return rows < double(least) ? least : rows > 1e15 ? int64_t(1e15) : int64_t(rows) / 64 * 64;
}

// An interrupt is seen between pieces of the rows phase and after the weights phase: neither is to
// take more than a tenth of a second or two on a slow core.
constexpr double kPieceWork = 2e9, kChunkWork = 6e9;

/// Bytes of activations that the caches are expected to hold, and the most that they may take where
/// rows are so wide that a thousand of them are more than that.
constexpr int64_t kCachedBytes = 2 << 20, kMostBytes = 64 << 20;

/// So many sequences are worked on at once however long they are: with fewer, tiles would be small.
constexpr int64_t kCachedSequences = 64, kLeastSequences = 8;

/// Rows of a batch worked on at once: all, unless their activations take too much memory, or the
/// weights phase too long.
int64_t chunk_rows_for(const Recipe& recipe, int64_t batch, bool sparse, size_t element) {
  int64_t widths = sparse ? 0 : recipe.units[0];
  for (int l = 1; l <= recipe.n_layers; ++l)
    widths += recipe.units[l] * (l < recipe.n_layers ? 1 + recipe.pieces(l - 1) : 2);
  const double bytes = double(widths) * double(element), work = row_work(recipe, sparse);
  const int64_t most[] = {rows_within(kCachedBytes, bytes, 1024),
                          rows_within(kMostBytes, bytes, 256), rows_within(kChunkWork, work, 256)};
  int64_t rows = batch;
  for (int i = 0; i < 3; ++i) {
    int64_t here = most[i];
    if (recipe.recurrent()) {
      const int64_t least = i == 0 ? kCachedSequences : kLeastSequences;
      here = here / recipe.steps < least ? least : here / recipe.steps;
    }
    if (here < rows) rows = here;
  }
  return rows;
}

template <class T>
Trained<T> trained(PanelArena& arena, PanelArena* gradients, int64_t rows, int64_t columns) {
  Trained<T> result;
  for (auto& slot : result.slot) slot = arena.panels<T>(rows, columns);
  if (gradients) result.gradient = gradients->panels<T>(rows, columns);
  return result;
}

/// Layer l of a network, contexts among them: its sizes, without memory.
template <class T>
Layer<T> layer_of(const Recipe& recipe, int l, bool sparse) {
  Layer<T> layer{};
  const int n_hidden = recipe.n_layers - (recipe.loss >= 0);
  layer.context = l >= recipe.n_layers;
  const int below = layer.context ? l - recipe.n_layers + 1 : l;
  const int hidden = layer.context ? below - 1 : l;
  layer.in = recipe.units[below];
  layer.out = recipe.units[hidden + 1];
  layer.pieces = hidden < n_hidden ? recipe.pieces(hidden) : 1;
  layer.steps = hidden < n_hidden || recipe.per_step ? recipe.steps : 1;
  if (l < n_hidden) layer.hidden = recipe.hidden[l];
  layer.narrow = is_narrow<T>(layer.in, layer.out) && !(l == 0 && sparse) && layer.pieces == 1;
  return layer;
}

/// Layers with the contexts.
int count_layers(const Recipe& recipe) {
  return recipe.n_layers + (recipe.recurrent() ? recipe.n_layers - (recipe.loss >= 0) : 0);
}

/// Whether what a recurrent layer gives at all steps is not what the layer above is given: that is
/// its last outputs, or some are dropped.
bool keeps_states(const Recipe& recipe, int l) {
  return recipe.hidden[l].dropout > 0 || (l == recipe.n_layers - 2 && !recipe.per_step);
}

/// Lays the session out in the arena, and the gradient that it may have to keep in one of its own.
template <class T>
Session<T>* lay_out(PanelArena& arena, PanelArena& gradients, const Recipe& recipe, int64_t batch,
                    bool sparse, bool keep_gradient, bool real) {
  const int64_t rows = chunk_rows_for(recipe, batch, sparse, sizeof(T));
  const int all = count_layers(recipe), last = recipe.n_layers - 1;
  PanelArena* keep = keep_gradient || rows < batch ? &gradients : nullptr;
  Session<T>* memory = arena.take<Session<T>>(1);
  Layer<T>* layers = arena.take<Layer<T>>(all);
  int64_t units = 0;
  for (int l = 0; l < all; ++l) {
    Layer<T> layer = layer_of<T>(recipe, l, sparse);
    const int64_t all_rows = rows * layer.steps;
    if (l < last) {
      if (layer.hidden.learned) layer.slopes = trained<T>(arena, keep, 1, layer.out);
      if (keeps_of(layer.hidden.activation, Activations{}) != Keeps::nothing)
        layer.kept = arena.panels<T>(all_rows, layer.out);
    }
    layer.weight = trained<T>(arena, keep, layer.rows(), layer.vectors() * kLanes<T>);
    if (!layer.context || recipe.cell == Cell::gru)
      layer.bias = trained<T>(arena, keep, 1, layer.linear());
    if (l > 0 && !layer.narrow)  // all lanes of the last panel are copied: rows for them too
      layer.transposed = arena.panels<T>(layer.vectors() * kLanes<T>, layer.in);
    if (layer.context) {
      const int own = l - recipe.n_layers;
      if (keeps_states(recipe, own)) {
        layer.input = arena.panels<T>(all_rows, layer.in);
      } else if (real) {
        layer.input = layers[own + 1].input;
      }
      if (recipe.cell == Cell::gru) {
        layer.delta = arena.panels<T>(all_rows, layer.linear());
      } else if (real) {
        layer.delta = layers[own].delta;
      }
    } else {
      if (l > 0 || !sparse) layer.input = arena.panels<T>(all_rows, layer.in);
      layer.delta = arena.panels<T>(all_rows, layer.linear());
      if (recipe.recurrent() && l < last)
        layer.by_output =
            recipe.cell == Cell::gru ? arena.panels<T>(all_rows, layer.out) : layer.delta;
    }
    units += layer.units();
    if (real) layers[l] = layer;
  }
  const int64_t output_rows = rows * (recipe.per_step ? recipe.steps : 1);
  Session<T> session = {};
  session.target = arena.panels<T>(output_rows, recipe.units[recipe.n_layers]);
  session.row_loss = arena.take<double>(output_rows);
  if (recipe.recurrent() && !recipe.per_step)
    session.by_last = arena.panels<T>(rows, recipe.units[last]);
  session.beside_gradient = gradients.take<T>(kBesideGradient);
  session.sums = arena.take<UnitSums>(units);
  if (!sparse && !recipe.recurrent() && !layer_of<T>(recipe, 0, sparse).narrow)
    session.zeros = arena.zeros<T>(rows, recipe.units[0]);
  if (!real) return nullptr;
  session.n_layers = recipe.n_layers;
  session.all_layers = all;
  session.layers = layers;
  session.cell = recipe.cell;
  session.per_step = recipe.per_step;
  session.loss = recipe.loss;
  session.loss_parameter = recipe.loss_parameter;
  session.label_smoothing = recipe.label_smoothing;
  session.input_dropout = recipe.input_dropout;
  session.alpha = recipe.alpha;
  session.l1 = recipe.l1;
  session.chunk_rows = rows;
  session.piece_rows = rows_within(kPieceWork, 2 * row_work(recipe, sparse), 64);
  session.units = units;
  session.watch = Watch(step_work(layers, all, rows));
  *memory = session;
  return memory;
}

template <class T>
Session<T>* open(const Recipe& recipe, int64_t batch, bool sparse, bool keep_gradient) {
  PanelArena measure(nullptr), gradients(nullptr);
  lay_out<T>(measure, gradients, recipe, batch, sparse, keep_gradient, false);
  char* block = static_cast<char*>(allocate(measure.used() + gradients.used(), "a network"));
  PanelArena arena(block), kept(block + measure.used());
  Session<T>* session = lay_out<T>(arena, kept, recipe, batch, sparse, keep_gradient, true);
  session->gradient = reinterpret_cast<T*>(block + measure.used());
  return session;
}

template <class T>
void close(Session<T>* s) {
  release(s);  // the session is the first thing in its arena
}

}  // namespace
}  // namespace fastmlp
