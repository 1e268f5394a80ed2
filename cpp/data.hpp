// What all engines read of the data in the same way.
#pragma once

#include "engine.hpp"
#include "formulas/value.hpp"

namespace fastmlp {
namespace {

/// IEEE half precision, as NumPy's float16 stores it.
struct Half {
  uint16_t bits;

  FASTMLP_HD operator float() const {
    const uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = bits >> 10 & 31,
                   fraction = bits & 1023;
    if (exponent == 0) {  // zero and subnormals: fraction * 2^-24
      const float magnitude = float(fraction) * 5.9604644775390625e-8f;
      return sign ? -magnitude : magnitude;
    }
    const uint32_t biased = exponent == 31 ? 255 : exponent + 112;
    return as_value<float>(int32_t(sign | biased << 23 | fraction << 13));
  }
};

/// The row numbers at positions start, start + 1, ... of an order; null: the positions themselves.
struct Positions {
  const int64_t* order;
  int64_t start;

  int64_t operator()(int64_t r) const { return order ? order[start + r] : start + r; }
};

/// The sum of the weights of positions [start, end) of a pass, with outputs at every step of
/// theirs.
template <class T>
double weight_sum(const Data<T>& data, const Pass& pass, int64_t start, int64_t end,
                  bool per_step) {
  if (!data.weights && !per_step) return double(end - start);
  double sum = 0;
  for (int64_t i = start; i < end; ++i) {
    const int64_t row = pass.order ? pass.order[i] : i;
    sum += (data.weights ? double(data.weights[row]) : 1.0) *
           (per_step ? double(data.length(row)) : 1.0);
  }
  return sum;
}

}  // namespace
}  // namespace fastmlp
