// A recurrent layer at one step of its sequences, there and back.
#pragma once

#include "../formulas/cells.hpp"
#include "neurons.hpp"
#include "session.hpp"

namespace fastmlp {
namespace {

/// A recurrent layer's panels at one step: row r is sequence r's.
template <class T>
struct CellStep {
  bool begins;         // there is no state before
  Panels<T> input;     // (rows, in)
  Panels<T> before;    // (rows, out): the state one step earlier
  Panels<T> state;     // (rows, out)
  Panels<T> z, own_z;  // of a gru (rows, linear()): what input and context give
  Panels<T> kept;      // as in Layer
};

/// Rows [begin, end) of what a layer's weights give.
template <class T>
void apply(const Layer<T>& layer, Panels<T> input, Panels<T> out, int64_t begin, int64_t end) {
  if (layer.narrow) {
    multiply_narrow(input, layer.in, layer.weight.slot[0], layer.bias.slot[0].data, layer.out, out,
                    begin, end, {});
  } else {
    multiply(input, layer.in, layer.forward(), out, begin, end, {});
  }
}

/// Rows [begin, end) of a gru's new state. z is left as reset gate, update gate and candidate.
template <class T, class A>
void open_gates(const Neurons<T>& neurons, const CellStep<T>& step, int64_t vectors, int64_t begin,
                int64_t end) {
  using V = Vec<T>;
  for (int64_t v = 0; v < vectors; ++v) {
    const auto part = [&](const Panels<T>& z, int piece, int64_t r) {
      return z.at(piece * vectors + v, r);
    };
    const V parameter = neurons.parameters(v);
    for (int64_t r = begin; r < end; ++r) {
      const auto sum = [&](int piece) {
        return load(part(step.z, piece, r)) + load(part(step.own_z, piece, r));
      };
      V slope{};
      Gru<V> unit;
      unit.reset = sigmoid(sum(0));
      unit.update = sigmoid(sum(1));
      unit.candidate = A::value(
          load(part(step.z, 2, r)) + unit.reset * load(part(step.own_z, 2, r)), parameter, slope);
      store(part(step.z, 0, r), unit.reset);
      store(part(step.z, 1, r), unit.update);
      store(part(step.z, 2, r), unit.candidate);
      if (A::kKeeps == Keeps::slope && step.kept.data) store(step.kept.at(v, r), slope);
      store(step.state.at(v, r), unit.state(step.begins ? V{} : load(step.before.at(v, r))));
    }
  }
}

/// The way back: z and own_z replaced by their derivatives, from that by the state; the state
/// before is given its share of it, by way of the update gate.
template <class T, class A>
void close_gates(const Neurons<T>& neurons, const CellStep<T>& step, Panels<T> by_state,
                 Panels<T> by_before, int64_t vectors, int64_t begin, int64_t end) {
  using V = Vec<T>;
  for (int64_t v = 0; v < vectors; ++v) {
    const auto part = [&](const Panels<T>& z, int piece, int64_t r) {
      return z.at(piece * vectors + v, r);
    };
    const V parameter = neurons.parameters(v);
    for (int64_t r = begin; r < end; ++r) {
      const Gru<V> unit{load(part(step.z, 0, r)), load(part(step.z, 1, r)),
                        load(part(step.z, 2, r))};
      V slope{};
      if constexpr (A::kKeeps == Keeps::slope) {
        slope = load(step.kept.at(v, r));
      } else {
        slope = A::slope(unit.candidate, parameter);
      }
      const V by = load(by_state.at(v, r));
      const GruDerivatives<V> found(unit, by, slope, load(part(step.own_z, 2, r)),
                                    step.begins ? V{} : load(step.before.at(v, r)));
      store(part(step.z, 0, r), found.reset);
      store(part(step.z, 1, r), found.update);
      store(part(step.z, 2, r), found.input);
      store(part(step.own_z, 0, r), found.reset);
      store(part(step.own_z, 1, r), found.update);
      store(part(step.own_z, 2, r), found.context);
      if (!step.begins) store(by_before.at(v, r), load(by_before.at(v, r)) + by * unit.update);
    }
  }
}

template <class T, class... A>
auto find_open_gates(int index, List<A...>) {
  static constexpr decltype(&open_gates<T, Identity>) table[] = {open_gates<T, A>...};
  return table[index];
}

template <class T, class... A>
auto find_close_gates(int index, List<A...>) {
  static constexpr decltype(&close_gates<T, Identity>) table[] = {close_gates<T, A>...};
  return table[index];
}

/// Rows [begin, end) of a recurrent layer's state, from its input and from the state before.
template <class T>
void step_forward(Cell cell, const Layer<T>& layer, const Layer<T>& context,
                  const CellStep<T>& step, int64_t begin, int64_t end) {
  const Neurons<T> neurons{T(layer.hidden.parameter), nullptr, Mask<T>(), 0};
  const int activation = layer.hidden.activation;
  const int64_t count = step.begins ? 0 : context.in;
  const Panels<T> before = step.begins ? step.state : step.before;  // of a count of 0 none is read
  if (cell == Cell::elman) {
    const Epilogue<T> epilogue{find_activate<T>(activation, false, Activations{}), &neurons,
                               step.kept};
    apply(layer, step.input, step.state, begin, end);
    multiply<T, true>(before, count, context.forward(), step.state, begin, end, epilogue);
  } else {
    apply(layer, step.input, step.z, begin, end);
    multiply(before, count, context.forward(), step.own_z, begin, end, {});
    find_open_gates<T>(activation, Activations{})(neurons, step, layer.piece_vectors(), begin, end);
  }
}

}  // namespace
}  // namespace fastmlp
