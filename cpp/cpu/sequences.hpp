// The rows phase of a step over sequences: back-propagation through time (Werbos, Proceedings of
// the IEEE 78, 1990). A thread takes its sequences through all steps of a layer and then through
// the layer above; on the way back through the layers from the last, and through each from its last
// step to the first. No sum crosses sequences, so no thread waits for another.
#pragma once

#include "cells.hpp"
#include "rows.hpp"

namespace fastmlp {
namespace {

/// Steps lie so far apart in the numbers that dropout goes by: more sequences are in no pass.
constexpr int64_t kMaskStep = int64_t(1) << 40;

/// Row `to` of some panels: a copy of another's row, or zeros.
template <class T>
void copy_row(Panels<T> to, int64_t row, Panels<T> from, int64_t from_row, int64_t vectors) {
  for (int64_t v = 0; v < vectors; ++v) store(to.at(v, row), load(from.at(v, from_row)));
}
template <class T>
void clear_row(Panels<T> to, int64_t row, int64_t vectors) {
  for (int64_t v = 0; v < vectors; ++v) store(to.at(v, row), Vec<T>{});
}

/// The steps of the longest sequence at positions [start, end) of a pass.
template <class T>
int64_t most_steps(const Data<T>& data, const Pass& pass, int64_t start, int64_t end) {
  if (!data.lengths) return data.steps;
  int64_t most = 1;
  for (int64_t i = start; i < end; ++i) {
    const int64_t length = data.length(pass.order ? pass.order[i] : i);
    most = length > most ? length : most;
  }
  return most;
}

/// Step t of sequences `source(r)`, r in [begin, end): their features, 0 where they have ended.
template <class T>
void gather_step(const Data<T>& data, int64_t features, int64_t t, Panels<T> to, int64_t begin,
                 int64_t end, Positions source) {
  Rows<T> x = data.x;
  x.dense += t * x.step_stride;
  gather(x, features, to, begin, end, source);
  for (int64_t r = begin; data.lengths && r < end; ++r)
    if (data.length(source(r)) <= t) clear_row(to, r, panel_count<T>(features));
}

/// Sequences [begin, end) of a chunk.
template <class T>
struct Sequences {
  Session<T>& s;
  const Chunk<T>& chunk;
  int64_t begin, end;
  Stopper& stopper;
  bool leads;  // asks whether to stop

  /// Whether to give up, asked before each step t of a layer.
  bool stops(int64_t t) const {
    const int64_t every = s.piece_rows / (end - begin + 1) + 1;
    if (leads && t % every == every - 1) stopper.ask(true);
    return stopper.answered(true);
  }
  bool ended(int64_t r, int64_t t) const { return chunk.length(r) <= t; }
  /// Whether the layer above is given the last state of hidden layer l only.
  bool passes_last(int l) const { return !s.per_step && l == s.n_layers - 2; }
  /// Drops some of `to`, what layer `layer` gives at step t.
  void drop(double rate, int layer, int64_t t, const Panels<T>& to, int64_t vectors) const {
    Mask<T> mask = chunk.mask(rate, layer);
    mask.ahead = t * kMaskStep;
    mask.apply(to, chunk.start, begin, end, vectors);
  }
  Panels<T> at(const Panels<T>& panels, int64_t t) const { return panels.from(t * chunk.rows); }

  /// Hidden layer l at step t.
  CellStep<T> step(int64_t l, int64_t t) const {
    const Layer<T>&layer = s.layers[l], &context = context_of(s, l);
    CellStep<T> step{t == 0,
                     at(layer.input, t),
                     {},
                     at(context.input, t),
                     at(layer.delta, t),
                     at(context.delta, t),
                     {}};
    if (t > 0) step.before = at(context.input, t - 1);
    if (layer.kept.data) step.kept = at(layer.kept, t);
    return step;
  }

  /// The input, and what the loss goes by.
  void take() const {
    const Layer<T>& layer = s.layers[0];
    for (int64_t t = 0; t < chunk.steps; ++t) {
      const Panels<T> input = at(layer.input, t);
      gather_step(chunk.data, layer.in, t, input, begin, end, chunk.positions());
      drop(s.input_dropout, 0, t, input, panel_count<T>(layer.in));
    }
  }

  /// Of a layer whose states are kept apart: what the layer above is given, some of it dropped.
  void pass_on(int l) const {
    const Layer<T>&context = context_of(s, l), &above = s.layers[l + 1];
    if (context.input.data == above.input.data) return;
    const int64_t vectors = panel_count<T>(above.in);
    const bool last = passes_last(l);
    for (int64_t t = 0; t < (last ? 1 : chunk.steps); ++t) {
      const Panels<T> to = at(above.input, t);
      for (int64_t r = begin; r < end; ++r)
        copy_row(to, r, at(context.input, last ? chunk.length(r) - 1 : t), r, vectors);
      drop(s.layers[l].hidden.dropout, l + 1, t, to, vectors);
    }
  }

  bool forward() const {
    for (int l = 0; l < s.n_layers - 1; ++l) {
      const Layer<T>&layer = s.layers[l], &context = context_of(s, l);
      for (int64_t t = 0; t < chunk.steps; ++t) {
        if (stops(t)) return false;
        step_forward(s.cell, layer, context, step(l, t), begin, end);
        // states past the end of a sequence could grow without bound
        for (int64_t r = begin; chunk.data.lengths && r < end; ++r)
          if (ended(r, t)) clear_row(at(context.input, t), r, layer.piece_vectors());
      }
      pass_on(l);
    }
    return true;
  }

  /// The outputs, their losses and deltas.
  void take_losses() const {
    const Layer<T>& layer = last_layer(s);
    const Targets<T> targets(chunk.data, layer.out, s.label_smoothing);
    const auto loss = find_take_loss<T>(s.loss, Losses{});
    for (int64_t t = 0; t < (s.per_step ? chunk.steps : 1); ++t) {
      const Outputs<T> outputs{at(layer.delta, t), at(s.target, t), layer.out,
                               s.row_loss + t * chunk.rows, T(s.loss_parameter)};
      const auto counts = [&](int64_t r) { return !s.per_step || !ended(r, t); };
      for (int64_t r = begin; r < end; ++r)
        if (counts(r))
          targets.set(outputs.target, r,
                      s.per_step ? chunk.row(r) * chunk.data.steps + t : chunk.row(r));
      apply(layer, at(layer.input, t), outputs.z, begin, end);
      loss(outputs, chunk, begin, end);
      for (int64_t r = begin; r < end; ++r) {
        if (counts(r)) continue;
        outputs.row_loss[r] = 0;
        clear_row(outputs.z, r, panel_count<T>(layer.out));
      }
    }
  }

  /// The derivative by the outputs of hidden layer l, from the delta of the layer above.
  void pass_back(int l) const {
    const Layer<T>&layer = s.layers[l], &above = s.layers[l + 1];
    const int64_t vectors = panel_count<T>(layer.out);
    const bool last = passes_last(l);
    for (int64_t t = 0; t < (last ? 1 : chunk.steps); ++t) {
      const Panels<T> to = last ? s.by_last : at(layer.by_output, t);
      multiply(at(above.delta, t), above.linear(), above.backward(), to, begin, end, {});
      drop(s.layers[l].hidden.dropout, l + 1, t, to, vectors);
    }
    if (!last) return;
    for (int64_t t = 0; t < chunk.steps; ++t)
      for (int64_t r = begin; r < end; ++r) {
        if (t == chunk.length(r) - 1) {
          copy_row(at(layer.by_output, t), r, s.by_last, r, vectors);
        } else {
          clear_row(at(layer.by_output, t), r, vectors);
        }
      }
  }

  bool backward() const {
    for (int l = s.n_layers - 2; l >= 0; --l) {
      const Layer<T>&layer = s.layers[l], &context = context_of(s, l);
      const Neurons<T> neurons{T(layer.hidden.parameter), nullptr, Mask<T>(), 0};
      const int activation = layer.hidden.activation;
      pass_back(l);
      for (int64_t t = chunk.steps - 1; t >= 0; --t) {
        if (stops(t)) return false;
        const CellStep<T> here = step(l, t);
        const Panels<T> by_state = at(layer.by_output, t);
        const bool last = t == chunk.steps - 1;
        Epilogue<T> epilogue;
        if (s.cell == Cell::elman)
          epilogue = {find_times_slope<T>(activation, false, Activations{}), &neurons,
                      here.kept.data ? here.kept : here.state};
        multiply<T, true>(last ? here.own_z : at(context.delta, t + 1), last ? 0 : context.linear(),
                          context.backward(), by_state, begin, end, epilogue);
        if (s.cell == Cell::gru)
          find_close_gates<T>(activation, Activations{})(
              neurons, here, by_state, here.begins ? by_state : at(layer.by_output, t - 1),
              layer.piece_vectors(), begin, end);
      }
    }
    return true;
  }

  /// All of it, unless it was given up.
  void run() const {
    take();
    if (!forward()) return;
    take_losses();
    backward();
  }
};

}  // namespace
}  // namespace fastmlp
