// What the engine keeps of a network on the device.
#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <vector>

#include "cublaslt.hpp"
#include "rows.hpp"
#include "weights.hpp"

namespace fastmlp {
namespace {

constexpr int kTurns = 32;  // that are launched together, in one graph
/// A layer whose weights take more is wide, unless it has few columns: each block of the rows phase
/// would read them all.
constexpr int64_t kNarrowBytes = 48 << 10;
/// The most for activations, unless the device has less than four times as much to give.
constexpr size_t kWorkBytes = size_t(256) << 20;
/// Multiply-adds between two moments at which a pass can be stopped: some 20 ms.
constexpr double kBurstWork = 1e11;
/// The most for cuBLASLt to work in, as NVIDIA recommends it for Hopper.
constexpr size_t kLibraryBytes = size_t(32) << 20;

/// Turns that are launched together, and what comes back of them.
struct Made {
  int64_t begin, end;  // of its batch
  double total;        // of the weights; 0: no turn
  bool last;
};

template <class T>
struct Burst {
  Turn<T>* turns;  // pinned: kTurns
  double* sums;    // pinned: (kTurns, 2)
  Memory rows;     // pinned: of X, where it is streamed
  Event done;
  std::vector<Made> made;
  int n = 0;               // of turns
  bool under_way = false;  // on the device
};

/// What a recorded graph is good for.
using GraphKey = std::tuple<int64_t, const void*, int, bool, double, double>;

}  // namespace

template <class T>
struct Session {
  Session(const Recipe& recipe, int64_t batch, bool sparse, bool keep_gradient, bool learns);

  std::vector<Layer<T>> layers;
  int n_layers, tail;  // layers from `tail` on are narrow
  bool sparse, learns;
  int64_t chunk_rows, total;  // of parameters
  double chunk_work;          // multiply-adds of a turn
  Stream stream;
  Memory arena, slots[1 + kDiagnosed], gradient, order, rows;
  Net<T> net{};
  Turn<T>* turns;                     // kTurns
  double *losses, *penalties, *sums;  // (kTurns, row_blocks()), (kTurns, units), (kTurns, 2)
  Memory pinned;                      // of the bursts
  Burst<T> bursts[2];
  std::unique_ptr<Products> products;  // by cuBLASLt, of the layers that are by_library
  Graph graph;
  GraphKey recorded{}, seen{};  // what the graph is good for, and what was launched last

  int64_t row_blocks() const { return ceil_div(chunk_rows, kRows); }
  /// Makes room for a slot, all zeros, unless there is.
  T* slot(int k);
  /// Calls use(where a block begins, how many numbers it has) in the blocks' order.
  template <class Use>
  void each_block(Use use) const {
    for (const Layer<T>& layer : layers) {
      use(layer.block, layer.in * layer.linear);
      use(layer.block + layer.in * layer.linear, layer.linear);
    }
    for (const Layer<T>& layer : layers)
      if (layer.learned) use(layer.slopes, layer.out);
  }
};

namespace {

/// The layers' sizes and where their parameters are; returns how many these are.
template <class T>
int64_t plan_layers(const Recipe& recipe, bool sparse, std::vector<Layer<T>>* layers) {
  const int n_hidden = recipe.n_layers - (recipe.loss >= 0);
  int64_t total = 0;
  for (int l = 0; l < recipe.n_layers; ++l) {
    Layer<T> layer{};
    layer.in = recipe.units[l];
    layer.out = recipe.units[l + 1];
    layer.hidden = l < n_hidden;
    layer.pieces = 1;
    if (layer.hidden) {
      const Hidden& hidden = recipe.hidden[l];
      layer.pieces = hidden.pieces;
      layer.activation = hidden.activation;
      layer.keeps = keeps_of(hidden.activation, Activations{});
      layer.learned = hidden.learned;
      layer.parameter = T(hidden.parameter);
      layer.dropout = DropoutRule<T>(hidden.dropout);
    }
    layer.linear = layer.pieces * layer.out;
    layer.wide = layer.in * layer.linear * int64_t(sizeof(T)) > kNarrowBytes &&
                 layer.linear > kWarp && !(l == 0 && sparse);
    layer.precision = layer.wide ? recipe.precision : Precision::float32;
    layer.tile = layer.wide ? tile_size(layer.in + 1, layer.linear, layer.precision) : kSmallTile;
    layer.tiles = tiles_of(layer.in + 1, layer.linear, layer.tile);
    layer.units = layer.tiles + (layer.learned ? ceil_div(layer.out, kThreads) : 0);
    layer.block = total;
    total += layer.parameters();
    layers->push_back(layer);
  }
  for (Layer<T>& layer : *layers) {
    layer.slopes = total;
    if (layer.learned) total += layer.out;
  }
  return total;
}

/// Rows of a batch worked on at once: all, unless their activations take too much memory, or their
/// products too long.
template <class T>
int64_t chunk_rows_for(const std::vector<Layer<T>>& layers, int64_t batch, size_t free) {
  double numbers = 0, work = 0;
  for (const Layer<T>& layer : layers) {
    numbers += double(layer.in + layer.linear + 2 * layer.out);
    work += 3 * double(layer.in) * double(layer.linear);
  }
  const double bytes = double(free / 4 < kWorkBytes ? free / 4 : kWorkBytes);
  const double most = std::min(bytes / (numbers * sizeof(T)), kBurstWork / (work + 1));
  const int64_t rows =
      most < kLargeTile ? kLargeTile : int64_t(std::min(most, 1e9)) / kLargeTile * kLargeTile;
  return rows < batch ? rows : batch;
}

/// Has the products of wide layers made by cuBLASLt in training, if it is asked for.
template <class T>
void take_library(Session<T>& s, Precision precision) {
  if (!s.learns || !std::is_same_v<T, float> || precision == Precision::float32) return;
  bool wide = false;
  for (const Layer<T>& layer : s.layers) wide = wide || layer.wide;
  const Cublaslt* library = wide ? cublaslt() : nullptr;
  if (!library) return;
  for (Layer<T>& layer : s.layers) layer.by_library = layer.wide;
  const size_t bytes = std::min(kLibraryBytes, free_memory() / 8);
  s.products = std::make_unique<Products>(*library, precision, bytes);
}

/// Lays a session's memory out in the arena.
template <class T>
void lay_out(Session<T>& s, Arena& arena) {
  const int64_t rows = s.chunk_rows;
  Net<T>& net = s.net;
  net.layers = arena.take<Layer<T>>(s.n_layers);
  for (int l = 0; l < s.n_layers; ++l) {
    Layer<T>& layer = s.layers[size_t(l)];
    layer.input = l == 0 && s.sparse ? nullptr : arena.take<T>(rows * layer.in);
    if (l > 0) s.layers[size_t(l) - 1].output = layer.input;
    layer.delta =
        arena.take<T>(s.learns || !layer.hidden || layer.is_maxout() ? rows * layer.linear : 0);
    if (layer.hidden && (layer.is_maxout() || layer.keeps != Keeps::nothing))
      layer.kept = arena.take<T>(rows * layer.out);
    const bool turned = l > 0 && s.learns && !layer.by_library;
    layer.transposed = turned ? arena.take<T>(layer.in * layer.linear) : nullptr;
  }
  Layer<T>& last = s.layers.back();
  if (last.hidden) last.output = arena.take<T>(rows * last.out);
  net.outputs = s.learns ? nullptr : arena.take<T>(rows * last.out);
  net.units = 0;
  for (const Layer<T>& layer : s.layers) net.units += s.learns ? layer.units : 0;
  net.squares = arena.take<double>(net.units);
  net.factor = arena.take<T>(1);
  s.turns = arena.take<Turn<T>>(kTurns);
  s.losses = arena.take<double>(kTurns * s.row_blocks());
  s.penalties = arena.take<double>(kTurns * net.units);
  s.sums = arena.take<double>(kTurns * 2);
}

}  // namespace

template <class T>
Session<T>::Session(const Recipe& recipe, int64_t batch, bool is_sparse, bool keep_gradient,
                    bool is_to_learn)
    : n_layers(recipe.n_layers), sparse(is_sparse), learns(is_to_learn) {
  if (recipe.recurrent())
    throw std::invalid_argument("device='cuda': recurrent networks are trained on the CPU only.");
  total = plan_layers(recipe, sparse, &layers);
  take_library(*this, recipe.precision);
  chunk_rows = chunk_rows_for(layers, batch, free_memory());
  tail = 0;
  chunk_work = 1;
  for (int l = 0; l < n_layers; ++l) {
    const Layer<T>& layer = layers[size_t(l)];
    if (layer.wide) tail = l + 1;
    chunk_work += 3 * double(layer.in) * double(layer.linear) * double(chunk_rows);
  }
  arena = in_one_piece("a network", false, [&](Arena& pieces) { lay_out(*this, pieces); });
  stream.upload(const_cast<Layer<T>*>(net.layers), layers.data(), n_layers);
  pinned = in_one_piece("the turns of a step", true, [&](Arena& pieces) {
    for (Burst<T>& burst : bursts) {
      burst.turns = pieces.take<Turn<T>>(kTurns);
      burst.sums = pieces.take<double>(kTurns * 2);
    }
  });
  net.n_layers = n_layers;
  net.loss = recipe.loss;
  net.loss_parameter = T(recipe.loss_parameter);
  const int64_t outputs = recipe.units[n_layers];
  net.kept_target = T(1 - recipe.label_smoothing);
  net.spread_target = T(recipe.label_smoothing / double(outputs > 1 ? outputs : 2));
  net.alpha = T(recipe.alpha);
  net.l1 = T(recipe.l1);
  net.input_dropout = DropoutRule<T>(recipe.input_dropout);
  if (learns && (keep_gradient || chunk_rows < batch || products))
    gradient = Memory(size_t(total) * sizeof(T), "a gradient");
  net.gradient = gradient.template as<T>();
  net.slots[0] = slot(0);
}

template <class T>
T* Session<T>::slot(int k) {
  if (!slots[k].template as<T>()) {
    slots[k] = Memory(size_t(total) * sizeof(T), "parameters, or a solver's state");
    stream.clear(slots[k].template as<T>(), total);
  }
  return slots[k].template as<T>();
}

namespace {

template <class T>
Session<T>* open(const Recipe& recipe, int64_t batch, bool sparse, bool keep_gradient) {
  const OnDevice device;
  auto session = std::make_unique<Session<T>>(recipe, batch, sparse, keep_gradient, true);
  session->stream.wait();
  return session.release();
}

template <class T>
void close(Session<T>* s) {
  forget(s);
}

template <class T>
void write_all(Session<T>& s, int slot, const T* const* blocks) {
  T* to = s.slot(slot);
  s.each_block(
      [&](int64_t place, int64_t count) { s.stream.upload(to + place, *blocks++, count); });
  if (slot > 0 || !s.learns) return;
  for (int l = 1; l < s.n_layers; ++l) {
    const Layer<T>& layer = s.layers[size_t(l)];
    if (layer.transposed)
      s.stream.launch(transpose<T>, ceil_div(layer.in * layer.linear, kThreads), 0, s.net, l);
  }
}

template <class T>
void write(Session<T>* s, int slot, const T* const* blocks) {
  const OnDevice device;
  write_all(*s, slot, blocks);
  s->stream.wait();
}

template <class T>
void read_all(const Session<T>& s, const T* from, T* const* blocks) {
  s.each_block([&](int64_t place, int64_t count) {
    T* to = *blocks++;
    if (from) {
      s.stream.download(to, from + place, count);
    } else {
      std::fill(to, to + count, T(0));
    }
  });
  s.stream.wait();
}

template <class T>
void read(const Session<T>* s, int slot, T* const* blocks) {
  const OnDevice device;
  read_all(*s, s->slots[slot].template as<T>(), blocks);
}

}  // namespace
}  // namespace fastmlp
