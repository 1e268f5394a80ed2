// The first-order solvers: one struct each, and the list.
//
//   kSlots                        values remembered per weight
//   Solver(options, clock)        the constants of one step, which the clock tells
//   update(w, g, slots, weight)   moves w against its gradient g; `weight`: w is no bias
//
// All but sgd and adam take a step as PyTorch's solver of the same name does; where a solver of
// Ruder's overview (arXiv:1609.04747) has no further source here, its paper is named there.
#pragma once

#include "../engine.hpp"
#include "math.hpp"

namespace fastmlp {
namespace {

/// What a solver counts. NAdam's momentum rises from step to step, and the product of all so far
/// corrects its bias: NAdam keeps it here, up to the step `counted`.
struct SolverClock {
  int64_t step;  // the first is 1
  int64_t counted = 0;
  double momentum_product = 1;
};

inline double bias_correction(double beta, int64_t step) {
  return 1 - __builtin_pow(beta, double(step));
}

/// Epsilon as a T. As 0 it would make the step of a weight without gradient 0 / 0, and subnormal
/// numbers count as 0.
template <class T>
T epsilon_in(double epsilon) {
  constexpr T least = T(sizeof(T) == sizeof(double) ? __DBL_MIN__ : double(__FLT_MIN__));
  return max(T(epsilon), least);
}

/// Gradient descent with momentum, plain or Nesterov's. v <- mu v - rate g; w <- w + v, and
/// w <- w + mu v - rate g with the new v for Nesterov (Sutskever et al., ICML 2013).
template <class T>
struct Sgd {
  static constexpr const char* name = "sgd";
  static constexpr int kSlots = 1;
  T rate, momentum, velocity_share, gradient_share, bias_rate;

  Sgd(const SolverOptions& o, SolverClock&)
      : rate(T(o.rate)),
        momentum(T(o.momentum)),
        velocity_share(o.nesterov ? T(o.momentum) : T(1)),
        gradient_share(o.nesterov ? T(o.rate) : T(0)),
        bias_rate(T(o.bias_rate)) {}

  template <class V>
  FASTMLP_HD void update(V& w, V g, V* slots, bool weight) const {
    if (!weight) g = bias_rate * g;
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

  Adam(const SolverOptions& o, SolverClock& clock)
      : rate(T(o.rate * __builtin_sqrt(bias_correction(o.beta_2, clock.step)) /
               bias_correction(o.beta_1, clock.step))),
        beta_1(T(o.beta_1)),
        beta_2(T(o.beta_2)),
        rest_1(T(1 - o.beta_1)),
        rest_2(T(1 - o.beta_2)),
        epsilon(epsilon_in<T>(o.epsilon)) {}

  template <class V>
  FASTMLP_HD void update(V& w, V g, V* slots, bool) const {
    slots[0] = beta_1 * slots[0] + rest_1 * g;
    slots[1] = beta_2 * slots[1] + rest_2 * (g * g);
    w -= rate * slots[0] / (sqrt(slots[1]) + epsilon);
  }
};

/// Adam's formula with epsilon beside the corrected second moment, as its paper has it: the step
/// size and epsilon are scaled by the root of the correction.
template <class T>
struct CorrectedAdam : Adam<T> {
  CorrectedAdam(const SolverOptions& o, SolverClock& clock) : Adam<T>(o, clock) {
    this->epsilon =
        epsilon_in<T>(o.epsilon * __builtin_sqrt(bias_correction(o.beta_2, clock.step)));
  }
};

/// Loshchilov & Hutter, ICLR 2019: the decay is decoupled from the gradient. Biases do not decay.
template <class T>
struct AdamW : CorrectedAdam<T> {
  static constexpr const char* name = "adamw";
  T kept;

  AdamW(const SolverOptions& o, SolverClock& clock)
      : CorrectedAdam<T>(o, clock), kept(T(1 - o.rate * o.weight_decay)) {}

  template <class V>
  FASTMLP_HD void update(V& w, V g, V* slots, bool weight) const {
    if (weight) w *= kept;
    Adam<T>::update(w, g, slots, weight);
  }
};

/// Reddi, Kale & Kumar, ICLR 2018: the largest second moment so far is divided by.
template <class T>
struct AmsGrad : CorrectedAdam<T> {
  static constexpr const char* name = "amsgrad";
  static constexpr int kSlots = 3;
  using CorrectedAdam<T>::CorrectedAdam;

  template <class V>
  FASTMLP_HD void update(V& w, V g, V* slots, bool) const {
    slots[0] = this->beta_1 * slots[0] + this->rest_1 * g;
    slots[1] = this->beta_2 * slots[1] + this->rest_2 * (g * g);
    slots[2] = max_or_nan(slots[2], slots[1]);
    w -= this->rate * slots[0] / (sqrt(slots[2]) + this->epsilon);
  }
};

/// Dozat, ICLR workshop 2016: Adam with Nesterov's momentum.
template <class T>
struct NAdam : CorrectedAdam<T> {
  static constexpr const char* name = "nadam";
  T gradient_rate, moment_rate;

  NAdam(const SolverOptions& o, SolverClock& clock) : CorrectedAdam<T>(o, clock) {
    while (clock.counted < clock.step && clock.momentum_product > 1e-30)  // then it is nothing
      clock.momentum_product *= momentum(o, ++clock.counted);
    const double product = clock.momentum_product, next = momentum(o, clock.step + 1);
    const double rate = o.rate * __builtin_sqrt(bias_correction(o.beta_2, clock.step));
    gradient_rate = T(rate * (1 - momentum(o, clock.step)) / (1 - product));
    moment_rate = T(rate * next / (1 - product * next));
  }

  static double momentum(const SolverOptions& o, int64_t step) {
    return o.beta_1 * (1 - 0.5 * __builtin_pow(0.96, 0.004 * double(step)));
  }

  template <class V>
  FASTMLP_HD void update(V& w, V g, V* slots, bool) const {
    slots[0] = this->beta_1 * slots[0] + this->rest_1 * g;
    slots[1] = this->beta_2 * slots[1] + this->rest_2 * (g * g);
    w -= (gradient_rate * g + moment_rate * slots[0]) / (sqrt(slots[1]) + this->epsilon);
  }
};

/// Adam on the infinity norm, from Adam's paper.
template <class T>
struct AdaMax {
  static constexpr const char* name = "adamax";
  static constexpr int kSlots = 2;
  T rate, beta_1, beta_2, rest_1, epsilon;

  AdaMax(const SolverOptions& o, SolverClock& clock)
      : rate(T(o.rate / bias_correction(o.beta_1, clock.step))),
        beta_1(T(o.beta_1)),
        beta_2(T(o.beta_2)),
        rest_1(T(1 - o.beta_1)),
        epsilon(epsilon_in<T>(o.epsilon)) {}

  template <class V>
  FASTMLP_HD void update(V& w, V g, V* slots, bool) const {
    slots[0] = beta_1 * slots[0] + rest_1 * g;
    slots[1] = max_or_nan(beta_2 * slots[1], abs(g) + epsilon);
    w -= rate * slots[0] / slots[1];
  }
};

/// Duchi, Hazan & Singer, JMLR 12, 2011.
template <class T>
struct AdaGrad {
  static constexpr const char* name = "adagrad";
  static constexpr int kSlots = 1;
  T rate, epsilon;

  AdaGrad(const SolverOptions& o, SolverClock&)
      : rate(T(o.rate)), epsilon(epsilon_in<T>(o.epsilon)) {}

  template <class V>
  FASTMLP_HD void update(V& w, V g, V* slots, bool) const {
    slots[0] += g * g;
    w -= rate * g / (sqrt(slots[0]) + epsilon);
  }
};

/// Hinton's lecture 6e, 2012.
template <class T>
struct RmsProp {
  static constexpr const char* name = "rmsprop";
  static constexpr int kSlots = 1;
  T rate, rho, rest, epsilon;

  RmsProp(const SolverOptions& o, SolverClock&)
      : rate(T(o.rate)), rho(T(o.rho)), rest(T(1 - o.rho)), epsilon(epsilon_in<T>(o.epsilon)) {}

  template <class V>
  FASTMLP_HD void update(V& w, V g, V* slots, bool) const {
    slots[0] = rho * slots[0] + rest * (g * g);
    w -= rate * g / (sqrt(slots[0]) + epsilon);
  }
};

/// Zeiler, arXiv:1212.5701. The slots are the mean squares of gradients and of changes.
template <class T>
struct AdaDelta {
  static constexpr const char* name = "adadelta";
  static constexpr int kSlots = 2;
  T rate, rho, rest, epsilon;

  AdaDelta(const SolverOptions& o, SolverClock&)
      : rate(T(o.rate)), rho(T(o.rho)), rest(T(1 - o.rho)), epsilon(epsilon_in<T>(o.epsilon)) {}

  template <class V>
  FASTMLP_HD void update(V& w, V g, V* slots, bool) const {
    slots[0] = rho * slots[0] + rest * (g * g);
    const V change = sqrt((slots[1] + epsilon) / (slots[0] + epsilon)) * g;
    slots[1] = rho * slots[1] + rest * (change * change);
    w -= rate * change;
  }
};

constexpr int kMaxSlots = 3;

template <class T>
using Solvers = List<Sgd<T>, Adam<T>, AdamW<T>, NAdam<T>, AdaMax<T>, AmsGrad<T>, RmsProp<T>,
                     AdaGrad<T>, AdaDelta<T>>;

}  // namespace
}  // namespace fastmlp
