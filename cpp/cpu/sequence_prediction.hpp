// Prediction of recurrent networks: forward only, all layers step by step, so that no more than two
// steps of the states are held.
#pragma once

#include "prediction.hpp"
#include "sequences.hpp"

namespace fastmlp {
namespace {

template <class T>
struct SequencePrediction {
  const Recipe& recipe;
  const Data<T>& data;
  const Pass& pass;
  T* out;                 // (n, outputs), or (n, steps, outputs)
  T* const* hidden;       // per hidden layer: its states (n, steps, out); null: not wanted
  const T* const* state;  // per hidden layer: its first state (n, out); null: 0
  Stopper stopper;
  Session<T> net;      // with layers of which no more is there than the weights
  int64_t block_rows;  // so many sequences go together
  double* losses;      // (n,): the sum of each sequence's
  char* scratch;       // per thread
  size_t scratch_bytes;

  bool has_targets() const { return data.targets || data.classes; }
  int hidden_layers() const { return recipe.n_layers - 1; }
};

/// What a thread works in: sequences that go together, at one step and the step before.
template <class T>
struct SequenceScratch {
  Panels<T> input;       // (rows, features)
  Panels<T>* states[2];  // per hidden layer: (rows, out), at odd steps, and at even ones
  Panels<T> z, own_z;    // of a gru
  Panels<T> last;        // (rows, in of the last layer)
  Panels<T> outputs;     // (rows, outputs)
  Outputs<T> losses;
};

template <class T>
SequenceScratch<T> place_scratch(PanelArena& arena, const SequencePrediction<T>& p, bool real) {
  const int64_t rows = p.block_rows;
  const int64_t* units = p.recipe.units;
  const int64_t outputs = units[p.recipe.n_layers];
  SequenceScratch<T> scratch;
  scratch.input = arena.panels<T>(rows, units[0]);
  for (auto& states : scratch.states) {
    states = arena.take<Panels<T>>(p.hidden_layers());
    for (int l = 0; l < p.hidden_layers(); ++l) {
      const Panels<T> panels = arena.panels<T>(rows, units[l + 1]);
      if (real) states[l] = panels;
    }
  }
  int64_t widest = 0;
  for (int l = 0; p.recipe.cell == Cell::gru && l < p.hidden_layers(); ++l) {
    const int64_t width = p.recipe.pieces(l) * panel_count<T>(units[l + 1]) * kLanes<T>;
    widest = width > widest ? width : widest;
  }
  scratch.z = arena.panels<T>(rows, widest);
  scratch.own_z = arena.panels<T>(rows, widest);
  scratch.last = arena.panels<T>(rows, units[p.hidden_layers()]);
  scratch.outputs = arena.panels<T>(rows, outputs);
  const int64_t loss_rows = p.has_targets() ? rows : 0;
  scratch.losses = {arena.panels<T>(loss_rows, outputs), arena.panels<T>(loss_rows, outputs),
                    outputs, arena.take<double>(loss_rows), T(p.recipe.loss_parameter)};
  return scratch;
}

/// Layers that have their weights and biases only, and where `blocks` are given, these in them.
template <class T>
void place_weights(PanelArena& arena, SequencePrediction<T>& p, const T* const* blocks) {
  const int all = count_layers(p.recipe);
  p.net.n_layers = p.recipe.n_layers;
  p.net.all_layers = all;
  p.net.layers = arena.take<Layer<T>>(all);
  p.losses = arena.take<double>(p.has_targets() ? p.pass.n : 0);
  for (int l = 0; l < all; ++l) {
    Layer<T> layer = layer_of<T>(p.recipe, l, false);
    layer.weight.slot[0] = arena.panels<T>(layer.rows(), layer.vectors() * kLanes<T>);
    if (!layer.context || p.recipe.cell == Cell::gru)
      layer.bias.slot[0] = arena.panels<T>(1, layer.linear());
    if (blocks) p.net.layers[l] = layer;
  }
  if (blocks) write(&p.net, 0, blocks);
}

/// Sequences [start, start + rows) of the pass.
template <class T>
void predict_block(SequencePrediction<T>& p, const SequenceScratch<T>& scratch, int64_t start,
                   int64_t rows, bool leads) {
  const Positions source{p.pass.order, start};
  const auto length = [&](int64_t r) { return p.data.length(source(r)); };
  const auto give_row = [](const Panels<T>& from, int64_t r, int64_t columns, T* to) {
    give(from.from(r), 1, columns, to);
  };
  const int n_hidden = p.hidden_layers();
  const int64_t* units = p.recipe.units;
  const int64_t outputs = units[p.recipe.n_layers], steps = p.data.steps;
  const Layer<T>& last = p.net.layers[n_hidden];
  const Link<T> link = find_link<T>(p.recipe.loss, Losses{});
  const auto take_losses = [&](auto target_of) {
    find_losses(p.recipe, p.data, p.pass, start, rows, scratch.outputs, scratch.losses, target_of);
    for (int64_t r = 0; r < rows; ++r)
      if (target_of(r) >= 0) p.losses[start + r] += scratch.losses.row_loss[r];
  };
  for (int l = 0; p.state && l < n_hidden; ++l)
    for (int64_t r = 0; r < rows; ++r)
      set_row(scratch.states[0][l], r, p.state[l] + source(r) * units[l + 1], units[l + 1]);
  const int64_t most = most_steps(p.data, p.pass, start, start + rows);
  for (int64_t t = 0; t < most; ++t) {
    if (leads) p.stopper.ask(true);
    if (p.stopper.answered(true)) return;
    gather_step(p.data, units[0], t, scratch.input, 0, rows, source);
    Panels<T> input = scratch.input;
    for (int l = 0; l < n_hidden; ++l) {
      const Layer<T>& layer = p.net.layers[l];
      const Panels<T> state = scratch.states[(t + 1) % 2][l];
      const CellStep<T> step{t == 0 && !p.state, input, scratch.states[t % 2][l], state, scratch.z,
                             scratch.own_z,      {}};
      step_forward(p.recipe.cell, layer, context_of(p.net, l), step, 0, rows);
      for (int64_t r = 0; r < rows; ++r) {
        if (t >= length(r)) clear_row(state, r, layer.piece_vectors());
        if (l == n_hidden - 1 && t == length(r) - 1)
          copy_row(scratch.last, r, state, r, layer.piece_vectors());
        if (p.hidden)
          give_row(state, r, layer.out, p.hidden[l] + ((start + r) * steps + t) * layer.out);
      }
      input = state;
    }
    if (!p.recipe.per_step) continue;
    apply(last, input, scratch.outputs, 0, rows);
    if (p.has_targets())
      take_losses([&](int64_t r) { return t < length(r) ? source(r) * steps + t : -1; });
    link(scratch.outputs, outputs, rows);
    for (int64_t r = 0; r < rows; ++r) {
      if (t >= length(r)) clear_row(scratch.outputs, r, panel_count<T>(outputs));
      give_row(scratch.outputs, r, outputs, p.out + ((start + r) * steps + t) * outputs);
    }
  }
  const auto clear_rest = [&](T* to, int64_t columns) {  // of steps that none of the block has
    for (int64_t r = start; r < start + rows; ++r)
      __builtin_memset(to + (r * steps + most) * columns, 0,
                       size_t((steps - most) * columns) * sizeof(T));
  };
  for (int l = 0; p.hidden && l < n_hidden; ++l) clear_rest(p.hidden[l], units[l + 1]);
  if (p.recipe.per_step) {
    clear_rest(p.out, outputs);
    return;
  }
  apply(last, scratch.last, scratch.outputs, 0, rows);
  if (p.has_targets()) take_losses(source);
  link(scratch.outputs, outputs, rows);
  give(scratch.outputs, rows, outputs, p.out + start * outputs);
}

template <class T>
void predict_share(void* context, int thread, int n_threads) {
  auto& p = *static_cast<SequencePrediction<T>*>(context);
  char* block = p.scratch + size_t(thread) * p.scratch_bytes;
  __builtin_memset(block, 0, p.scratch_bytes);
  PanelArena arena(block);
  const SequenceScratch<T> scratch = place_scratch(arena, p, true);
  const Share mine(p.pass.n, p.block_rows, thread, n_threads);
  for (int64_t start = mine.begin; start < mine.end; start += p.block_rows) {
    const int64_t rows = start + p.block_rows < mine.end ? p.block_rows : mine.end - start;
    predict_block(p, scratch, start, rows, thread == 0);
  }
}

template <class T>
double predict_sequences(const Recipe& recipe, const T* const* blocks, const Data<T>& data,
                         const Pass& pass, T* out, T* const* hidden, const T* const* state) {
  const double work = row_work(recipe, false) * double(data.steps) * double(pass.n);
  int n_threads = usable_threads(pass.n_threads);
  while (n_threads > 1 && (work < kWorkPerThread * n_threads || pass.n < kTileRows<T> * n_threads))
    --n_threads;
  const int64_t share = ceil_div(pass.n, n_threads);
  SequencePrediction<T> p{recipe,
                          data,
                          pass,
                          out,
                          hidden,
                          state,
                          Stopper(pass.stop, pass.context),
                          {},
                          share < kPredictRows ? share : kPredictRows,
                          nullptr,
                          nullptr,
                          0};
  PanelArena per_thread(nullptr), measure(nullptr);
  place_scratch(per_thread, p, false);
  place_weights<T>(measure, p, nullptr);
  p.scratch_bytes = per_thread.used();
  char* block = static_cast<char*>(allocate(measure.used() + per_thread.used() * size_t(n_threads),
                                            "packed weights and states"));
  PanelArena arena(block);
  place_weights(arena, p, blocks);
  p.scratch = block + arena.used();
  run_team(n_threads, predict_share<T>, &p);
  double loss = 0;
  if (p.has_targets()) {
    for (int64_t i = 0; i < pass.n; ++i) loss += p.losses[i];
    loss *= value_scale(recipe.loss, recipe.units[recipe.n_layers]) /
            weight_sum(data, pass, 0, pass.n, recipe.per_step);
  }
  release(block);
  return loss;
}

}  // namespace
}  // namespace fastmlp
