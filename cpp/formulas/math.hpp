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
  FASTMLP_HD static constexpr auto normal_tail() {
    return Series{0.9441064051f,   -0.1934069524f,    0.02799984239f,    0.05720056465f,
                  -0.06440244483f, 0.03587412202f,    -0.009975097873f,  -0.0005796477228f,
                  0.001329601807f, -0.0001719835124f, -0.0001160329419f, 2.617931005e-5f};
  }
};

template <>
struct Constants<double> {
  static constexpr int kMantissa = 52;
  static constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
  static constexpr double kExpLow = -707.7, kExpHigh = 709.8;
  static constexpr double kTanhLimit = 19.1;
  static constexpr int kExpTerms = 13, kLogTerms = 11;
  FASTMLP_HD static constexpr auto normal_tail() {
    return Series{0.944106413019689367,     -0.193406954653052166,    0.0279992694488489351,
                  0.0572007281071576103,    -0.064395674856056404,    0.0358721949576690299,
                  -0.0100047571848001936,   -0.000571246172803729025, 0.00138979424173021819,
                  -0.000188860684300994242, -0.000175706596350683205, 0.0000425009157216235507,
                  0.0000272547499174324864, -6.86680186483051684e-6,  -5.22872588462963997e-6,
                  8.13532854666697118e-7,   1.10952138997877237e-6,   -2.58391599716247893e-9,
                  -2.2878625734663371e-7,   -3.57874530397226566e-8,  4.04169378605280683e-8,
                  1.09187473972779827e-8,   -5.19912760454317237e-9,  -1.34732691420198933e-9,
                  3.51395746790763266e-10};
  }
};

FASTMLP_HD inline float sqrt(float x) { return __builtin_sqrtf(x); }
FASTMLP_HD inline double sqrt(double x) { return __builtin_sqrt(x); }

template <class V>
FASTMLP_HD V sqrt(V x) {  // the compiler makes one instruction of it
  for (unsigned lane = 0; lane < sizeof x / sizeof x[0]; ++lane) x[lane] = sqrt(x[lane]);
  return x;
}

/// x = n ln 2 + r with n whole and |r| <= ln 2 / 2; gives e^r - 1 and 2^(n-1).
template <class V>
struct ReducedExp {
  V expm1_r, half_power;
};

template <class V>
FASTMLP_HD ReducedExp<V> reduce_exp(V x) {
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
  return {r + r * r * p,
          as_value<V>(shifted_left(power, C::kMantissa) + as_bits(splat<V>(T(0.5))))};
}

/// e^x within about 1 ULP; overflows to infinity, and to 0 below e^kExpLow.
template <class V>
FASTMLP_HD V exp(V x) {
  using T = Scalar<V>;
  using C = Constants<T>;
  const V clamped = clamp(x, C::kExpLow, C::kExpHigh);
  const ReducedExp<V> e = reduce_exp(clamped);
  const V result = (e.half_power + e.half_power * e.expm1_r) * T(2);
  return select(x < C::kExpLow, splat<V>(T(0)), result);
}

/// e^x - 1, exact for tiny x too.
template <class V>
FASTMLP_HD V expm1(V x) {
  using T = Scalar<V>;
  using C = Constants<T>;
  const ReducedExp<V> e = reduce_exp(clamp(x, C::kExpLow, C::kExpHigh));
  return (e.half_power * e.expm1_r + (e.half_power - T(0.5))) * T(2);
}

/// tanh x within about 2 ULP, from t = e^(2|x|) - 1: tanh |x| = t / (t + 2).
template <class V>
FASTMLP_HD V tanh(V x) {
  using T = Scalar<V>;
  const V magnitude = clamp(abs(x), T(0), Constants<T>::kTanhLimit);
  const V t = expm1(magnitude + magnitude);
  const V result = t / (t + T(2));
  return select(x < T(0), -result, result);
}

/// log(1 + f) less f, for f between about -0.3 and 0.415: log(1 + f) = 2 atanh(s) with
/// s = f / (2 + f), whose leading term 2 s = f - s f keeps f exact.
template <class V>
FASTMLP_HD V log1p_rest(V f) {
  using T = Scalar<V>;
  using C = Constants<T>;
  const V s = f / (f + T(2)), s2 = s * s;
  V series = splat<V>(T(1.0 / (2 * C::kLogTerms + 1)));
  for (int k = C::kLogTerms - 1; k >= 1; --k) series = series * s2 + T(1.0 / (2 * k + 1));
  return s * (T(2) * s2 * series - f);
}

/// Natural logarithm of normal x > 0 within about 1 ULP: x = 2^e m with m between the roots of 1/2
/// and 2.
template <class V>
FASTMLP_HD V log(V x) {
  using T = Scalar<V>;
  using C = Constants<T>;
  const Bits<V> sqrt_half = as_bits(splat<V>(T(0.70710678118654752)));
  const Bits<V> exponent = (as_bits(x) - sqrt_half) >> C::kMantissa;
  const V f = as_value<V>(as_bits(x) - shifted_left(exponent, C::kMantissa)) - T(1);
  const V e = as_value<V>(exponent + as_bits(splat<V>(C::kRound))) - C::kRound;
  const V result = e * C::kLn2High + (e * C::kLn2Low + (f + log1p_rest(f)));
  return select(x < splat<V>(infinity<T>()), result, x);  // infinity and NaN as they came
}

/// log(1 + x) for x in [0, 1], exact for tiny x too; above the root of 2, 1 + x is halved.
template <class V>
FASTMLP_HD V log1p(V x) {
  using T = Scalar<V>;
  using C = Constants<T>;
  const auto large = x > T(0.41421356237309505);
  const V f = select(large, (x - T(1)) * T(0.5), x);
  const V result = f + log1p_rest(f);
  return result + select(large, splat<V>(C::kLn2High + C::kLn2Low), V{});
}

/// 1 / (1 + e^-z), the logistic sigmoid.
template <class V>
FASTMLP_HD V sigmoid(V z) {
  using T = Scalar<V>;
  return T(1) / (T(1) + exp(-z));
}

/// The standard normal distribution at z: its cumulative probability and its density.
template <class V>
struct Normal {
  V cumulative, density;
};

/// The tail beyond |z| is e^(-z^2 / 2) / (1 + |z|) times a smooth function, here its Chebyshev
/// expansion in (|z| - 4) / (|z| + 4) written as a polynomial (the method of Schonfelder,
/// Mathematics of Computation 32, 1978). Relative error 2e-7 (f32), 4e-16 (f64) of the tail.
template <class V>
FASTMLP_HD inline Normal<V> normal(V z) {
  using T = Scalar<V>;
  constexpr auto coefficients = Constants<T>::normal_tail();
  const V magnitude = clamp(abs(z), T(0), T(100));  // the tail is 0 there
  const V t = (magnitude - T(4)) / (magnitude + T(4));
  const V p = coefficients.at(t);
  const V bell = exp(magnitude * magnitude * T(-0.5));
  const V tail = T(0.5) * p * bell / (magnitude + T(1));
  return {select(z < T(0), tail, T(1) - tail), bell * T(0.39894228040143268)};
}

}  // namespace
}  // namespace fastmlp
