// What a diagnosis says of weights and activations.
#pragma once

#include "activations.hpp"

namespace fastmlp {
namespace {

/// What the spread of weights, and of what was added to them since the last diagnosis, goes by.
struct ChangeSums {
  double of[4] = {};  // of weights, their squares, changes, their squares
  double n = 0;

  double ratio() const {
    const auto variance = [&](int first) {
      const double mean = of[first] / n;
      return of[first + 1] / n - mean * mean;
    };
    return variance(0) > 0 && variance(2) > 0 ? __builtin_sqrt(variance(2) / variance(0)) : 0;
  }
};

/// Of an activation: see there.
struct Limits {
  bool dies;
  double low, high;
};

template <class... A>
Limits limits_of(int activation, List<A...>) {
  constexpr Limits table[] = {{A::kDies, A::kLow, A::kHigh}...};
  return table[activation];
}

}  // namespace
}  // namespace fastmlp
