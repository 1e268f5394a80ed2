// Dropout (Srivastava et al., JMLR 15, 2014), inverted: outputs that stay are scaled up, so that
// prediction needs no change. A mask is never stored. It is a function of the seed, the step, the
// layer, the row and the neuron (a counter-based generator, as Salmon et al., SC 2011, argue for),
// so the backward pass makes it again, and threads and tiles do not matter.
#pragma once

#include "value.hpp"

namespace fastmlp {
namespace {

/// The finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): every bit depends on all.
FASTMLP_HD inline uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

/// Which outputs of one layer a step drops.
template <class T>
struct DropoutRule {
  bool active = false;
  uint32_t dropped = 0;  // of 65536: halves of words below it drop
  T keeps = 1, scale = 1;
  uint64_t key = 0;

  DropoutRule() = default;
  explicit DropoutRule(double rate, uint64_t key = 0)
      : active(rate > 0),
        dropped(rate < 65535.0 / 65536 ? uint32_t(rate * 65536 + 0.5) : 65535),
        keeps(T((65536.0 - dropped) / 65536)),  // the rate as it is, to the 16 bits it has
        scale(T(65536.0 / (65536.0 - dropped))),
        key(key) {}

  /// What all keys of a step are made of, and of it the key of one layer's mask.
  static uint64_t step_key(uint64_t seed, int64_t step) {
    return mix(seed + uint64_t(step) * 0x9e3779b97f4a7c15u);
  }
  FASTMLP_HD static uint64_t key_of(uint64_t step_key, int layer) {
    return mix(step_key + uint64_t(layer));
  }

  /// Random words for some neurons (32-bit words, one or a vector of them) in a row and the next;
  /// `row` is even. It goes by their lower halves, the row after it by the upper ones.
  template <class W>
  FASTMLP_HD W words(int64_t row, W neurons) const {
    const uint64_t row_key = mix(key + uint64_t(row) * 0x9e3779b97f4a7c15u);
    W x = neurons + uint32_t(row_key);
    // two rounds of multiply and shift, by the constants of C. Wellons's search for low bias
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x ^= uint32_t(row_key >> 32);
    x *= 0x846ca68bu;
    return x ^ x >> 16;
  }

  /// What the output of one neuron is multiplied by: scale or 0.
  FASTMLP_HD T factor(int64_t row, int64_t neuron) const {
    const uint32_t both = words(row - row % 2, uint32_t(neuron));
    return (row % 2 ? both >> 16 : both & 0xffffu) < dropped ? T(0) : scale;
  }
};

}  // namespace
}  // namespace fastmlp
