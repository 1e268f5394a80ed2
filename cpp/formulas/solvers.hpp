// The first-order solvers: one struct each, and the list.
//
//   kSlots                 values remembered per weight
//   Solver(options, step)  the constants of one step; `step` counts from 1
//   update(w, g, slots)    moves the weight w against its gradient g
#pragma once

#include "../engine.hpp"
#include "math.hpp"

namespace fastmlp {
namespace {

/// Gradient descent with momentum, plain or Nesterov's. v <- mu v - rate g; w <- w + v, and
/// w <- w + mu v - rate g with the new v for Nesterov (Sutskever et al., ICML 2013).
template <class T>
struct Sgd {
  static constexpr const char* name = "sgd";
  static constexpr int kSlots = 1;
  T rate, momentum, velocity_share, gradient_share;

  Sgd(const SolverOptions& o, int64_t)
      : rate(T(o.rate)),
        momentum(T(o.momentum)),
        velocity_share(o.nesterov ? T(o.momentum) : T(1)),
        gradient_share(o.nesterov ? T(o.rate) : T(0)) {}

  template <class V>
  void update(V& w, V g, V* slots) const {
    slots[0] = momentum * slots[0] - rate * g;
    w += velocity_share * slots[0] - gradient_share * g;
  }
};

/// Adam (Kingma & Ba, 2015, arXiv:1412.6980) as scikit-learn computes it: both bias corrections
/// are in the step size, and epsilon is added to the root of the uncorrected second moment.
template <class T>
struct Adam {
  static constexpr const char* name = "adam";
  static constexpr int kSlots = 2;
  T rate, beta_1, beta_2, rest_1, rest_2, epsilon;

  Adam(const SolverOptions& o, int64_t step)
      : rate(T(o.rate * __builtin_sqrt(1 - __builtin_pow(o.beta_2, double(step))) /
               (1 - __builtin_pow(o.beta_1, double(step))))),
        beta_1(T(o.beta_1)),
        beta_2(T(o.beta_2)),
        rest_1(T(1 - o.beta_1)),
        rest_2(T(1 - o.beta_2)),
        epsilon(T(o.epsilon)) {}

  template <class V>
  void update(V& w, V g, V* slots) const {
    slots[0] = beta_1 * slots[0] + rest_1 * g;
    slots[1] = beta_2 * slots[1] + rest_2 * (g * g);
    w -= rate * slots[0] / (sqrt(slots[1]) + epsilon);
  }
};

constexpr int kMaxSlots = 2;

template <class T>
using Solvers = List<Sgd<T>, Adam<T>>;

}  // namespace
}  // namespace fastmlp
