// The losses of the output layer: one struct each, and the list.
//
//   link(z)       the prediction for the output z (the output layer's activation)
//   value(z, y)   the loss of one output
//   delta(z, y)   its derivative with respect to z
//
// Each pairs a loss with its canonical link, so delta is prediction minus target, and value is
// computed from z, never from a rounded prediction. `kRowwise` marks a link over the whole row
// (softmax); its formulas take log p = z - log sum exp z and p. `kMeanOverOutputs`: the reported
// loss is the mean over the outputs of a row, not their sum, as scikit-learn reports it.
#pragma once

#include "math.hpp"

namespace fastmlp {
namespace {

/// scikit-learn clips a probability to [eps, 1 - eps] of float64 before taking its logarithm; a
/// single loss is therefore never above -log eps. The delta is not touched by it.
template <class V>
V capped(V loss) {
  constexpr Scalar<V> limit = Scalar<V>(36.04365338911715);
  return select(loss > limit, splat<V>(limit), loss);
}

struct SquaredError {
  static constexpr const char* name = "squared_error";
  static constexpr const char* link_name = "identity";
  static constexpr bool kRowwise = false, kMeanOverOutputs = true;
  template <class V>
  static V link(V z) {
    return z;
  }
  template <class V>
  static V value(V z, V y) {
    return Scalar<V>(0.5) * (z - y) * (z - y);
  }
  template <class V>
  static V delta(V z, V y) {
    return z - y;
  }
};

/// Half the Poisson deviance with a log link.
struct Poisson {
  static constexpr const char* name = "poisson";
  static constexpr const char* link_name = "exp";
  static constexpr bool kRowwise = false, kMeanOverOutputs = false;
  template <class V>
  static V link(V z) {
    return exp(z);
  }
  template <class V>
  static V value(V z, V y) {
    const V y_log_y = select(y > Scalar<V>(0), y * log(y), V{});
    return y_log_y - y * z - y + exp(z);
  }
  template <class V>
  static V delta(V z, V y) {
    return exp(z) - y;
  }
};

/// Log loss of independent yes/no outputs: binary and multilabel classification.
struct BinaryLogLoss {
  static constexpr const char* name = "binary_log_loss";
  static constexpr const char* link_name = "logistic";
  static constexpr bool kRowwise = false, kMeanOverOutputs = false;
  template <class V>
  static V link(V z) {
    return sigmoid(z);
  }
  template <class V>
  static V value(V z, V y) {
    // -log p = softplus(-z) and -log(1 - p) = softplus(z) = softplus(-z) + z
    const V no = softplus(z);
    return y * capped(no - z) + (Scalar<V>(1) - y) * capped(no);
  }
  template <class V>
  static V delta(V z, V y) {
    return sigmoid(z) - y;
  }
};

/// Log loss of one class out of several, on softmax.
struct LogLoss {
  static constexpr const char* name = "log_loss";
  static constexpr const char* link_name = "softmax";
  static constexpr bool kRowwise = true, kMeanOverOutputs = false;
  template <class V>
  static V value(V log_p, V y) {
    return y * capped(-log_p);
  }
  template <class V>
  static V delta(V p, V y) {
    return p - y;
  }
};

using Losses = List<SquaredError, Poisson, BinaryLogLoss, LogLoss>;

}  // namespace
}  // namespace fastmlp
