// The activations of hidden layers: one struct each, and the list.
//
//   value(z)   the neuron's output a for its weighted input z
//   slope(a)   da/dz, from the output
//
// A new activation is a struct here and its name in the list; the dispatch, Python's options and
// the tests derive from the list (the oracle in tests/reference.py wants one line too).
#pragma once

#include "math.hpp"

namespace fastmlp {
namespace {

struct Identity {
  static constexpr const char* name = "identity";
  template <class V>
  static V value(V z) {
    return z;
  }
  template <class V>
  static V slope(V) {
    return splat<V>(1);
  }
};

struct Logistic {
  static constexpr const char* name = "logistic";
  template <class V>
  static V value(V z) {
    return sigmoid(z);
  }
  template <class V>
  static V slope(V a) {
    return a * (Scalar<V>(1) - a);
  }
};

struct Tanh {
  static constexpr const char* name = "tanh";
  template <class V>
  static V value(V z) {
    return tanh(z);
  }
  template <class V>
  static V slope(V a) {
    return Scalar<V>(1) - a * a;
  }
};

struct Relu {
  static constexpr const char* name = "relu";
  template <class V>
  static V value(V z) {
    return select(z < Scalar<V>(0), V{}, z);  // not `z > 0 ? z : 0`: that would swallow NaN
  }
  template <class V>
  static V slope(V a) {
    return select(a == V{}, V{}, splat<V>(1));
  }
};

using Activations = List<Identity, Logistic, Tanh, Relu>;

}  // namespace
}  // namespace fastmlp
