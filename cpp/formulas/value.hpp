// What a formula may do with its value type V, which is a SIMD vector (GCC/Clang vector extension)
// or a plain scalar: arithmetic by operators, and the few operations below.
#pragma once

#include <cstdint>

// A formula is compiled for a device, too. It is not enough to make it constexpr: nvcc then drops
// calls of what turns out to be none, without a warning, and the result is NaN.
#ifdef __CUDACC__
#define FASTMLP_HD __host__ __device__
#else
#define FASTMLP_HD
#endif

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
FASTMLP_HD V splat(Scalar<V> x) {
  return x - V{};  // x - 0 is x for every x, negative zero included; the compiler drops it
}

template <class V>
FASTMLP_HD Bits<V> as_bits(V x) {
  Bits<V> bits;
  __builtin_memcpy(&bits, &x, sizeof x);
  return bits;
}

template <class V>
FASTMLP_HD V as_value(Bits<V> bits) {
  V x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

/// bits << n, negative ones too: of a scalar C++17 leaves that undefined.
template <class B>
FASTMLP_HD B shifted_left(B bits, int n) {
  return bits << n;
}
FASTMLP_HD inline int32_t shifted_left(int32_t bits, int n) { return int32_t(uint32_t(bits) << n); }
FASTMLP_HD inline int64_t shifted_left(int64_t bits, int n) { return int64_t(uint64_t(bits) << n); }

template <class Mask, class V>
FASTMLP_HD V select(Mask mask, V yes, V no) {
  return mask ? yes : no;
}

template <class V>
FASTMLP_HD V max(V a, V b) {
  return a < b ? b : a;
}

/// The same, but NaN where either is.
template <class V>
FASTMLP_HD V max_or_nan(V a, V b) {
  return select(b != b, b, max(a, b));
}

template <class V>
FASTMLP_HD V abs(V x) {
  return select(x < Scalar<V>(0), -x, x);
}

/// -1, 0 or 1; NaN stays NaN.
template <class V>
FASTMLP_HD V sign(V x) {
  return select(x > Scalar<V>(0), splat<V>(1), select(x < Scalar<V>(0), splat<V>(-1), x));
}

/// x held within [low, high]; NaN stays NaN.
template <class V>
FASTMLP_HD V clamp(V x, Scalar<V> low, Scalar<V> high) {
  const V lows = splat<V>(low), highs = splat<V>(high);
  x = x < lows ? lows : x;
  return x > highs ? highs : x;
}

template <class T>
FASTMLP_HD constexpr T infinity() {
  return static_cast<T>(__builtin_inf());
}

/// The coefficients of a polynomial, by value: a device cannot see a host's array.
template <class T, int n>
struct Series {
  T terms[n];

  /// The polynomial at x, Horner from the last term. Not a loop: GCC does not unroll one of so many
  /// turns, and makes an array of the terms in each call.
  template <int k = 0, class V>
  FASTMLP_HD V at(V x) const {
    if constexpr (k == n - 1)
      return splat<V>(terms[k]);
    else
      return at<k + 1>(x) * x + terms[k];
  }
};
template <class T, class... U>
Series(T, U...) -> Series<T, 1 + int(sizeof...(U))>;

/// A list of formulas. Names, options and dispatch tables are made from it.
template <class... Items>
struct List {};

}  // namespace
}  // namespace fastmlp
