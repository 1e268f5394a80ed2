// exp, expm1, log and their kin, written once over a value type V: a SIMD vector or a scalar.
//
// Sources: Cody & Waite, "Software Manual for the Elementary Functions" (1980): range reduction by
// a split ln 2; the polynomials are the plain Taylor and atanh series, long enough for each type.
// Comparisons are written so that NaN passes through: a diverged network must be seen.
//
// Everything here has internal linkage. A kernel file is compiled for one instruction set, and a
// shared inline function could otherwise be taken from it by code that runs on an older machine.
#pragma once

#include "value.hpp"

namespace fastmlp {
namespace {

template <class T>
struct Constants;

template <>
struct Constants<float> {
  static constexpr int kMantissa = 23;
  static constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  static constexpr float kExpLow = -86.9f, kExpHigh = 88.8f;
  static constexpr float kTanhLimit = 9.2f;  // tanh is 1 to the last bit beyond
  static constexpr int kExpTerms = 7, kLogTerms = 5;
};

template <>
struct Constants<double> {
  static constexpr int kMantissa = 52;
  static constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
  static constexpr double kExpLow = -707.7, kExpHigh = 709.8;
  static constexpr double kTanhLimit = 19.1;
  static constexpr int kExpTerms = 13, kLogTerms = 11;
};

inline float sqrt(float x) { return __builtin_sqrtf(x); }
inline double sqrt(double x) { return __builtin_sqrt(x); }

template <class V>
V sqrt(V x) {  // the compiler makes one instruction of it
  for (unsigned lane = 0; lane < sizeof x / sizeof x[0]; ++lane) x[lane] = sqrt(x[lane]);
  return x;
}

/// x = n ln 2 + r with n whole and |r| <= ln 2 / 2; gives e^r - 1 and 2^(n-1).
template <class V>
struct ReducedExp {
  V expm1_r, half_power;
};

template <class V>
ReducedExp<V> reduce_exp(V x) {
  using T = Scalar<V>;
  using C = Constants<T>;
  const V shifted = x * T(1.4426950408889634) + C::kRound;
  const V n = shifted - C::kRound;
  const V r = (x - n * C::kLn2High) - n * C::kLn2Low;
  // e^r - 1 = r + r^2 (1/2! + r (1/3! + ...)), Horner from the last term.
  constexpr T reciprocal_factorial[] = {T(1.0),
                                        T(1.0),
                                        T(1.0 / 2),
                                        T(1.0 / 6),
                                        T(1.0 / 24),
                                        T(1.0 / 120),
                                        T(1.0 / 720),
                                        T(1.0 / 5040),
                                        T(1.0 / 40320),
                                        T(1.0 / 362880),
                                        T(1.0 / 3628800),
                                        T(1.0 / 39916800),
                                        T(1.0 / 479001600),
                                        T(1.0 / 6227020800.0)};
  V p = splat<V>(reciprocal_factorial[C::kExpTerms]);
  for (int term = C::kExpTerms - 1; term >= 2; --term) p = p * r + reciprocal_factorial[term];
  // `shifted` holds n in its low mantissa bits; one less, so that n = 128 (1024) still fits.
  const Bits<V> power = as_bits(shifted) - as_bits(splat<V>(C::kRound));
  return {r + r * r * p, as_value<V>((power << C::kMantissa) + as_bits(splat<V>(T(0.5))))};
}

/// e^x within about 1 ULP; overflows to infinity, and to 0 below e^kExpLow.
template <class V>
V exp(V x) {
  using T = Scalar<V>;
  using C = Constants<T>;
  const V clamped = clamp(x, C::kExpLow, C::kExpHigh);
  const ReducedExp<V> e = reduce_exp(clamped);
  const V result = (e.half_power + e.half_power * e.expm1_r) * T(2);
  return select(x < C::kExpLow, splat<V>(T(0)), result);
}

/// tanh x within about 2 ULP, from t = e^(2|x|) - 1: tanh |x| = t / (t + 2).
template <class V>
V tanh(V x) {
  using T = Scalar<V>;
  using C = Constants<T>;
  const V magnitude = clamp(select(x < T(0), -x, x), T(0), C::kTanhLimit);
  const ReducedExp<V> e = reduce_exp(magnitude + magnitude);
  const V t = (e.half_power * e.expm1_r + (e.half_power - T(0.5))) * T(2);
  const V result = t / (t + T(2));
  return select(x < T(0), -result, result);
}

/// Natural logarithm of x > 0 within about 1 ULP: x = 2^e m, log m = 2 atanh((m - 1) / (m + 1)).
template <class V>
V log(V x) {
  using T = Scalar<V>;
  using C = Constants<T>;
  const Bits<V> sqrt_half = as_bits(splat<V>(T(0.70710678118654752)));
  const Bits<V> exponent = (as_bits(x) - sqrt_half) >> C::kMantissa;
  const V m = as_value<V>(as_bits(x) - (exponent << C::kMantissa));
  const V e = as_value<V>(exponent + as_bits(splat<V>(C::kRound))) - C::kRound;
  const V f = m - T(1), s = f / (m + T(1)), s2 = s * s;
  V series = splat<V>(T(1.0 / (2 * C::kLogTerms + 1)));
  for (int k = C::kLogTerms - 1; k >= 1; --k) series = series * s2 + T(1.0 / (2 * k + 1));
  // log m = 2 s (1 + s^2 series), and 2 s = f - s f keeps the leading term exact.
  const V result = e * C::kLn2High + (e * C::kLn2Low + (f - s * (f - T(2) * s2 * series)));
  return select(x < splat<V>(infinity<T>()), result, x);  // infinity and NaN as they came
}

/// log(1 + x) for x in [0, 1], exact for tiny x too (Kahan's correction of the rounding of 1 + x).
template <class V>
V log1p(V x) {
  using T = Scalar<V>;
  const V u = x + T(1);
  return log(u) - ((u - T(1)) - x) / u;
}

/// 1 / (1 + e^-z), the logistic sigmoid.
template <class V>
V sigmoid(V z) {
  using T = Scalar<V>;
  return T(1) / (T(1) + exp(-z));
}

/// log(1 + e^z) without overflow.
template <class V>
V softplus(V z) {
  using T = Scalar<V>;
  const V magnitude = select(z < T(0), -z, z);
  return log1p(exp(-magnitude)) + select(z < T(0), splat<V>(T(0)), z);
}

}  // namespace
}  // namespace fastmlp
