// The activations of hidden layers: one struct each, and the list.
//
//   kKeeps                 what the forward pass keeps for the backward pass, besides the output a
//   value(z, p, slope)     the neuron's output a for its weighted input z; where kKeeps is slope,
//                          it also sets da/dz
//   slope(k, p)            da/dz from the output, or from z where kKeeps is input
//
// p is the activation's parameter, with kParameter its default (NaN: it has none). A new activation
// is a struct here and its name in the list; the dispatch, Python's options and the tests derive
// from the list (the oracle in tests/reference.py wants one line too).
#pragma once

#include "math.hpp"

namespace fastmlp {
namespace {

enum class Keeps { nothing, slope, input };

struct Activation {  // what most have in common
  static constexpr Keeps kKeeps = Keeps::nothing;
  static constexpr double kParameter = __builtin_nan("");
  static constexpr bool kLearned = false;  // p is each neuron's own and learned
  static constexpr bool kPieces = false;   // a neuron is the largest of several weighted inputs
  // Of a diagnosis: whether a neuron that is 0 for all rows cannot learn any more, and beyond which
  // outputs the slope is next to nothing: those within 3 % of the limits of a bounded range.
  static constexpr bool kDies = false;
  static constexpr double kLow = -__builtin_inf(), kHigh = __builtin_inf();
};

struct Identity : Activation {
  static constexpr const char* name = "identity";
  template <class V>
  static FASTMLP_HD V value(V z, V, V&) {
    return z;
  }
  template <class V>
  static FASTMLP_HD V slope(V, V) {
    return splat<V>(1);
  }
};

struct Logistic : Activation {
  static constexpr const char* name = "logistic";
  static constexpr double kLow = 0.015, kHigh = 0.985;
  template <class V>
  static FASTMLP_HD V value(V z, V, V&) {
    return sigmoid(z);
  }
  template <class V>
  static FASTMLP_HD V slope(V a, V) {
    return a * (Scalar<V>(1) - a);
  }
};

struct Tanh : Activation {
  static constexpr const char* name = "tanh";
  static constexpr double kLow = -0.97, kHigh = 0.97;
  template <class V>
  static FASTMLP_HD V value(V z, V, V&) {
    return tanh(z);
  }
  template <class V>
  static FASTMLP_HD V slope(V a, V) {
    return Scalar<V>(1) - a * a;
  }
};

struct Relu : Activation {
  static constexpr const char* name = "relu";
  static constexpr bool kDies = true;
  template <class V>
  static FASTMLP_HD V value(V z, V, V&) {
    return select(z < Scalar<V>(0), V{}, z);  // not `z > 0 ? z : 0`: that would swallow NaN
  }
  template <class V>
  static FASTMLP_HD V slope(V a, V) {
    return select(a == V{}, V{}, splat<V>(1));
  }
};

/// Maas, Hannun & Ng, ICML 2013. p: the slope of the negative side, 0 or more.
struct LeakyRelu : Activation {
  static constexpr const char* name = "leaky_relu";
  static constexpr double kParameter = 0.01;
  template <class V>
  static FASTMLP_HD V value(V z, V p, V&) {
    return select(z < Scalar<V>(0), p * z, z);
  }
  template <class V>
  static FASTMLP_HD V slope(V a, V p) {
    return select(a > Scalar<V>(0), splat<V>(1), p);
  }
};

/// He, Zhang, Ren & Sun, ICCV 2015. p: each neuron's own slope, learned.
struct PRelu : Activation {
  static constexpr const char* name = "prelu";
  static constexpr Keeps kKeeps = Keeps::input;
  static constexpr double kParameter = 0.25;  // to start from
  static constexpr bool kLearned = true;
  template <class V>
  static FASTMLP_HD V value(V z, V p, V&) {
    return select(z < Scalar<V>(0), p * z, z);
  }
  template <class V>
  static FASTMLP_HD V slope(V z, V p) {
    return select(z > Scalar<V>(0), splat<V>(1), p);
  }
};

/// Clevert, Unterthiner & Hochreiter, ICLR 2016. p: minus the limit at -infinity, 0 or more.
struct Elu : Activation {
  static constexpr const char* name = "elu";
  static constexpr double kParameter = 1;
  template <class V>
  static FASTMLP_HD V value(V z, V p, V&) {
    return select(z < Scalar<V>(0), p * expm1(z), z);
  }
  template <class V>
  static FASTMLP_HD V slope(V a, V p) {
    return select(a > Scalar<V>(0), splat<V>(1), a + p);
  }
};

/// Klambauer, Unterthiner, Mayr & Hochreiter, NIPS 2017: an ELU whose two constants keep
/// activations at mean 0 and variance 1.
struct Selu : Activation {
  static constexpr const char* name = "selu";
  static constexpr double kScale = 1.0507009873554804934, kAlpha = 1.6732632423543772848;
  template <class V>
  static FASTMLP_HD V value(V z, V, V&) {
    using T = Scalar<V>;
    return select(z < T(0), T(kScale * kAlpha) * expm1(z), T(kScale) * z);
  }
  template <class V>
  static FASTMLP_HD V slope(V a, V) {
    using T = Scalar<V>;
    return select(a > T(0), splat<V>(T(kScale)), a + T(kScale * kAlpha));
  }
};

/// z sigmoid(p z): Ramachandran, Zoph & Le, arXiv:1710.05941. With p = 1 also called SiLU.
struct Swish : Activation {
  static constexpr const char* name = "swish";
  static constexpr Keeps kKeeps = Keeps::slope;
  static constexpr double kParameter = 1;
  template <class V>
  static FASTMLP_HD V value(V z, V p, V& slope) {
    const V s = sigmoid(p * z), a = z * s;
    slope = s + p * a * (Scalar<V>(1) - s);
    return a;
  }
};

/// z times the normal distribution's cumulative probability: Hendrycks & Gimpel, arXiv:1606.08415.
struct Gelu : Activation {
  static constexpr const char* name = "gelu";
  static constexpr Keeps kKeeps = Keeps::slope;
  template <class V>
  static FASTMLP_HD V value(V z, V, V& slope) {
    const Normal<V> n = normal(z);
    slope = n.cumulative + z * n.density;
    return z * n.cumulative;
  }
};

/// z tanh(softplus(z)): Misra, BMVC 2020. With e = e^z and n = e (e + 2), tanh(softplus(z)) is
/// n / (n + 2).
struct Mish : Activation {
  static constexpr const char* name = "mish";
  static constexpr Keeps kKeeps = Keeps::slope;
  template <class V>
  static FASTMLP_HD V value(V z, V, V& slope) {
    using T = Scalar<V>;
    // Above, n + 2 is n and the slope 1; below, e is 0. The clamp changes no bit, and keeps n and
    // 4 z from overflowing.
    const V low = clamp(z, T(-1000), T(2) * Constants<T>::kTanhLimit), e = exp(low);
    const V n = e * (e + T(2)), share = T(1) / (n + T(2)), tanh_softplus = n * share;
    slope = tanh_softplus + low * T(4) * e * share * ((e + T(1)) * share);
    return z * tanh_softplus;
  }
};

/// log(1 + e^(p z)) / p: Dugas et al., NIPS 2000. p: the sharpness, above 0.
struct Softplus : Activation {
  static constexpr const char* name = "softplus";
  static constexpr Keeps kKeeps = Keeps::slope;
  static constexpr double kParameter = 1;
  template <class V>
  static FASTMLP_HD V value(V z, V p, V& slope) {
    using T = Scalar<V>;
    const V x = p * z, e = exp(-abs(x));
    slope = select(x < T(0), e, splat<V>(T(1))) / (e + T(1));
    return (log1p(e) + select(x < T(0), V{}, x)) / p;
  }
};

/// Goodfellow et al., ICML 2013. The largest is taken between layers; within a piece it is linear.
struct Maxout : Identity {
  static constexpr const char* name = "maxout";
  static constexpr bool kPieces = true;
};

using Activations = List<Identity, Logistic, Tanh, Relu, LeakyRelu, PRelu, Elu, Selu, Swish, Gelu,
                         Mish, Softplus, Maxout>;

/// What an activation keeps, per place in the list.
template <class... A>
Keeps keeps_of(int index, List<A...>) {
  constexpr Keeps table[] = {A::kPieces ? Keeps::slope : A::kKeeps...};
  return table[index];
}

}  // namespace
}  // namespace fastmlp
