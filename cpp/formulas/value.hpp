// What a formula may do with its value type V, which is a SIMD vector (GCC/Clang vector extension)
// or a plain scalar: arithmetic by operators, and the few operations below.
#pragma once

#include <cstdint>

namespace fastmlp {
namespace {

/// The element type of V and the integer type of the same shape.
template <class V>
struct ValueTraits {
  using Scalar = decltype(V{}[0] + V{}[0]);
  using Bits = decltype(V{} < V{});
};
template <>
struct ValueTraits<float> {
  using Scalar = float;
  using Bits = int32_t;
};
template <>
struct ValueTraits<double> {
  using Scalar = double;
  using Bits = int64_t;
};
template <class V>
using Scalar = typename ValueTraits<V>::Scalar;
template <class V>
using Bits = typename ValueTraits<V>::Bits;

template <class V>
V splat(Scalar<V> x) {
  return x - V{};  // x - 0 is x for every x, negative zero included; the compiler drops it
}

template <class V>
Bits<V> as_bits(V x) {
  Bits<V> bits;
  __builtin_memcpy(&bits, &x, sizeof x);
  return bits;
}

template <class V>
V as_value(Bits<V> bits) {
  V x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

template <class Mask, class V>
V select(Mask mask, V yes, V no) {
  return mask ? yes : no;
}

template <class V>
V max(V a, V b) {
  return a < b ? b : a;
}

/// The same, but NaN where either is.
template <class V>
V max_or_nan(V a, V b) {
  return select(b != b, b, max(a, b));
}

template <class V>
V abs(V x) {
  return select(x < Scalar<V>(0), -x, x);
}

/// -1, 0 or 1; NaN stays NaN.
template <class V>
V sign(V x) {
  return select(x > Scalar<V>(0), splat<V>(1), select(x < Scalar<V>(0), splat<V>(-1), x));
}

/// x held within [low, high]; NaN stays NaN.
template <class V>
V clamp(V x, Scalar<V> low, Scalar<V> high) {
  const V lows = splat<V>(low), highs = splat<V>(high);
  x = x < lows ? lows : x;
  return x > highs ? highs : x;
}

template <class T>
constexpr T infinity() {
  return static_cast<T>(__builtin_inf());
}

/// A list of formulas. Names, options and dispatch tables are made from it.
template <class... Items>
struct List {};

}  // namespace
}  // namespace fastmlp
