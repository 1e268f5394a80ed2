// Dropout (Srivastava et al., JMLR 15, 2014), inverted: outputs that stay are scaled up, so that
// prediction needs no change. A mask is never stored. It is a function of the seed, the step, the
// layer, the row and the neuron (a counter-based generator, as Salmon et al., SC 2011, argue for),
// so the backward pass makes it again, and threads and tiles do not matter.
#pragma once

#include "simd.hpp"

namespace fastmlp {
namespace {

/// 32-bit words, as many as Vec<T> has lanes.
template <class T>
struct WordsOf {
  typedef uint32_t Type __attribute__((vector_size(kLanes<T> * 4)));
};
template <class T>
using Words = typename WordsOf<T>::Type;

/// The finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): every bit depends on all.
inline uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

/// Which outputs of one layer a step drops.
template <class T>
struct Mask {
  bool active = false;
  uint32_t dropped = 0;  // words below it drop
  T keeps = 1, scale = 1;
  uint64_t key = 0;

  Mask() = default;
  Mask(double rate, uint64_t seed, int64_t step, int layer)
      : active(rate > 0),
        dropped(uint32_t(rate * 4294967296.0)),
        keeps(T(1 - rate)),
        scale(T(1 / (1 - rate))),
        key(mix(mix(seed + uint64_t(step) * 0x9e3779b97f4a7c15u) + uint64_t(layer))) {}

  uint64_t row_key(int64_t row) const { return mix(key + uint64_t(row) * 0x9e3779b97f4a7c15u); }

  void row_keys(int64_t row, int rows, uint64_t* keys) const {
    for (int r = 0; r < rows; ++r) keys[r] = row_key(row + r);
  }

  /// Scale or 0 for the neurons of one vector in a row.
  Vec<T> factors(uint64_t row_key, int64_t vector) const {
    Words<T> x{};
    for (int64_t lane = 0; lane < kLanes<T>; ++lane) x[lane] = uint32_t(lane);  // a constant
    x += uint32_t(row_key) + uint32_t(vector * kLanes<T>);
    // two rounds of multiply and shift, by the constants of C. Wellons's search for low bias
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x ^= uint32_t(row_key >> 32);
    x *= 0x846ca68bu;
    x ^= x >> 16;
    const auto drops = __builtin_convertvector(x < dropped, Bits<Vec<T>>);
    return select(drops, Vec<T>{}, splat<Vec<T>>(scale));
  }

  /// The same for one neuron.
  T factor(int64_t row, int64_t neuron) const {
    return factors(row_key(row), neuron / kLanes<T>)[neuron % kLanes<T>];
  }

  /// Multiplies rows [begin, end) by their factors; `start` is the mask's number of row 0.
  void apply(Panels<T> to, int64_t start, int64_t begin, int64_t end, int64_t vectors) const {
    if (!active) return;
    for (int64_t v = 0; v < vectors; ++v)
      apply(to.at(v, begin), 0, start + begin, v, int(end - begin), 1);
  }

  /// Multiplies a tile by its factors; `row` and `vector` are those of its corner.
  void apply(T* tile, int64_t panel, int64_t row, int64_t vector, int rows, int vectors) const {
    if (!active) return;
    for (int r = 0; r < rows; ++r) {
      const uint64_t key = row_key(row + r);
      for (int c = 0; c < vectors; ++c) {
        T* place = tile + c * panel + r * kLanes<T>;
        store(place, load(place) * factors(key, vector + c));
      }
    }
  }
};

}  // namespace
}  // namespace fastmlp
