// The losses of the output layer: one struct each, and the list.
//
//   link(z)          the prediction for the output z (the output layer's activation)
//   value(z, y, p)   the loss of one output
//   delta(z, y, p)   its derivative with respect to z
//
// p is the loss's parameter, with kParameter its default (NaN: it has none). A loss with its
// canonical link has prediction minus target as delta; the others' deltas are by the chain rule.
// value is computed from z, never from a rounded prediction, and nothing is clipped. `kRowwise`
// marks a link over the whole row (softmax): value is then the cross entropy's minus log p, to
// which `kEntropy` adds the targets' own y log y, and delta takes p. `kMeanOverOutputs`: the
// reported loss is the mean over the outputs of a row, not their sum, as scikit-learn reports it.
#pragma once

#include "math.hpp"

namespace fastmlp {
namespace {

struct Loss {  // what most have in common
  static constexpr double kParameter = __builtin_nan("");
  static constexpr bool kRowwise = false, kEntropy = false, kMeanOverOutputs = false;
};

/// y log y, 0 at 0.
template <class V>
FASTMLP_HD V y_log_y(V y) {
  return select(y > Scalar<V>(0), y * log(y), V{});
}

/// Regression: the prediction is z itself.
struct Regression : Loss {
  static constexpr const char* link_name = "identity";
  static constexpr bool kMeanOverOutputs = true;
  template <class V>
  static FASTMLP_HD V link(V z) {
    return z;
  }
};

struct SquaredError : Regression {
  static constexpr const char* name = "squared_error";
  template <class V>
  static FASTMLP_HD V value(V z, V y, Scalar<V>) {
    return Scalar<V>(0.5) * (z - y) * (z - y);
  }
  template <class V>
  static FASTMLP_HD V delta(V z, V y, Scalar<V>) {
    return z - y;
  }
};

struct AbsoluteError : Regression {
  static constexpr const char* name = "absolute_error";
  template <class V>
  static FASTMLP_HD V value(V z, V y, Scalar<V>) {
    return abs(z - y);
  }
  template <class V>
  static FASTMLP_HD V delta(V z, V y, Scalar<V>) {
    return sign(z - y);
  }
};

/// Huber, Annals of Mathematical Statistics 35, 1964: squared up to an error of p, then linear.
struct Huber : Regression {
  static constexpr const char* name = "huber";
  static constexpr double kParameter = 1;
  template <class V>
  static FASTMLP_HD V value(V z, V y, Scalar<V> p) {
    const V e = abs(z - y);
    return select(e > p, p * (e - Scalar<V>(0.5) * p), Scalar<V>(0.5) * e * e);
  }
  template <class V>
  static FASTMLP_HD V delta(V z, V y, Scalar<V> p) {
    return clamp(z - y, -p, p);
  }
};

/// The pinball loss of the quantile p: Koenker & Bassett, Econometrica 46, 1978.
struct Quantile : Regression {
  static constexpr const char* name = "quantile";
  static constexpr double kParameter = 0.5;
  template <class V>
  static FASTMLP_HD V value(V z, V y, Scalar<V> p) {
    const V e = y - z;
    return select(e < Scalar<V>(0), (p - 1) * e, p * e);
  }
  template <class V>
  static FASTMLP_HD V delta(V z, V y, Scalar<V> p) {
    const V e = y - z;
    return select(e < Scalar<V>(0), splat<V>(1 - p), select(e > Scalar<V>(0), splat<V>(-p), e));
  }
};

/// Half the Poisson deviance with a log link.
struct Poisson : Loss {
  static constexpr const char* name = "poisson";
  static constexpr const char* link_name = "exp";
  template <class V>
  static FASTMLP_HD V link(V z) {
    return exp(z);
  }
  template <class V>
  static FASTMLP_HD V value(V z, V y, Scalar<V>) {
    return y_log_y(y) - y * z - y + exp(z);
  }
  template <class V>
  static FASTMLP_HD V delta(V z, V y, Scalar<V>) {
    return exp(z) - y;
  }
};

/// Half the gamma deviance with a log link.
struct Gamma : Loss {
  static constexpr const char* name = "gamma";
  static constexpr const char* link_name = "exp";
  static constexpr bool kMeanOverOutputs = true;
  template <class V>
  static FASTMLP_HD V link(V z) {
    return exp(z);
  }
  template <class V>
  static FASTMLP_HD V value(V z, V y, Scalar<V>) {
    return z - log(y) + y * exp(-z) - Scalar<V>(1);
  }
  template <class V>
  static FASTMLP_HD V delta(V z, V y, Scalar<V>) {
    return Scalar<V>(1) - y * exp(-z);
  }
};

/// Log loss of independent yes/no outputs: binary and multilabel classification.
struct BinaryLogLoss : Loss {
  static constexpr const char* name = "binary_log_loss";
  static constexpr const char* link_name = "logistic";
  template <class V>
  static FASTMLP_HD V link(V z) {
    return sigmoid(z);
  }
  template <class V>
  static FASTMLP_HD V value(V z, V y, Scalar<V>) {
    // -log p = softplus(-z) = softplus(z) - z and -log(1 - p) = softplus(z); one of the two is
    // taken whole for a hard target: nothing is then lost where softplus(z) is nearly z
    const V near = log1p(exp(-abs(z)));  // softplus(-|z|)
    const V yes = near + select(z < Scalar<V>(0), -z, V{});
    const V no = near + select(z < Scalar<V>(0), V{}, z);
    return y * yes + (Scalar<V>(1) - y) * no;
  }
  template <class V>
  static FASTMLP_HD V delta(V z, V y, Scalar<V>) {
    return sigmoid(z) - y;
  }
};

/// Half the squared error of sigmoid outputs: the classic network of Rumelhart, Hinton & Williams.
struct LogisticSquaredError : BinaryLogLoss {
  static constexpr const char* name = "logistic_squared_error";
  template <class V>
  static FASTMLP_HD V value(V z, V y, Scalar<V>) {
    const V e = sigmoid(z) - y;
    return Scalar<V>(0.5) * e * e;
  }
  template <class V>
  static FASTMLP_HD V delta(V z, V y, Scalar<V>) {
    const V s = sigmoid(z);
    return (s - y) * s * (Scalar<V>(1) - s);
  }
};

/// max(0, margin - t z) with t = -1 for y = 0 and 1 for y = 1. Where the loss has only just become
/// 0 its slope still counts, as in Rosenblatt's rule.
template <int margin>
struct Margin : Loss {
  static constexpr const char* link_name = "identity";
  template <class V>
  static FASTMLP_HD V link(V z) {
    return z;
  }
  template <class V>
  static FASTMLP_HD V value(V z, V y, Scalar<V>) {
    const V short_of = Scalar<V>(margin) - (y + y - Scalar<V>(1)) * z;
    return select(short_of < Scalar<V>(0), V{}, short_of);
  }
  template <class V>
  static FASTMLP_HD V delta(V z, V y, Scalar<V>) {
    const V t = y + y - Scalar<V>(1), reached = t * z;
    return select(reached > Scalar<V>(margin), V{}, select(reached != reached, reached, -t));
  }
};

struct Hinge : Margin<1> {
  static constexpr const char* name = "hinge";
};

/// Rosenblatt's criterion.
struct PerceptronLoss : Margin<0> {
  static constexpr const char* name = "perceptron";
};

/// Log loss of one class out of several, on softmax; targets that sum to 1.
struct LogLoss : Loss {
  static constexpr const char* name = "log_loss";
  static constexpr const char* link_name = "softmax";
  static constexpr bool kRowwise = true;
  template <class V>
  static FASTMLP_HD V delta(V p, V y, Scalar<V>) {
    return p - y;
  }
};

/// Kullback-Leibler divergence of softmax from the targets, probabilities that sum to 1.
struct KlDivergence : LogLoss {
  static constexpr const char* name = "kl_divergence";
  static constexpr bool kEntropy = true;
};

using Losses = List<SquaredError, AbsoluteError, Huber, Quantile, Poisson, Gamma, BinaryLogLoss,
                    LogisticSquaredError, Hinge, PerceptronLoss, LogLoss, KlDivergence>;

template <class... L>
bool mean_over_outputs(int index, List<L...>) {
  static constexpr bool table[] = {L::kMeanOverOutputs...};
  return table[index];
}

/// What the outputs' losses of a row are multiplied by for the reported loss.
inline double value_scale(int loss, int64_t outputs) {
  return mean_over_outputs(loss, Losses{}) ? 1.0 / double(outputs) : 1.0;
}

}  // namespace
}  // namespace fastmlp
