// What a gated recurrent unit makes of its weighted inputs: Cho et al., EMNLP 2014, in the form
// that has one product with the state h of the step before (reset after it), as PyTorch and Keras
// do.
//
//   r = sigmoid(x W_r + b_r + h U_r + c_r)           the reset gate
//   z = sigmoid(x W_z + b_z + h U_z + c_z)           the update gate
//   n = activation(x W_n + b_n + r (h U_n + c_n))    the candidate
//   new state = (1 - z) n + z h
#pragma once

#include "math.hpp"

namespace fastmlp {
namespace {

template <class V>
struct Gru {
  V reset, update, candidate;

  FASTMLP_HD V state(V before) const { return candidate + update * (before - candidate); }
};

/// The derivatives of a loss by what the gates and the candidate were made of: by the candidate's
/// two parts apart. What the state before has by way of the update gate is by_state * update.
template <class V>
struct GruDerivatives {
  V reset, update, input, context;

  /// From that by the new state, the candidate's slope, its part h U_n + c_n, and the state before.
  FASTMLP_HD GruDerivatives(const Gru<V>& unit, V by_state, V slope, V own, V before) {
    using T = Scalar<V>;
    update = by_state * (before - unit.candidate) * (unit.update * (T(1) - unit.update));
    input = by_state * (T(1) - unit.update) * slope;
    context = input * unit.reset;
    reset = input * own * (unit.reset * (T(1) - unit.reset));
  }
};

}  // namespace
}  // namespace fastmlp
