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
  uint32_t dropped = 0;  // of 65536: halves of words below it drop
  T keeps = 1, scale = 1;
  uint64_t key = 0;
  const int64_t* places = nullptr;  // of rows that are numbered otherwise
  int64_t ahead = 0;                // added to them, even

  Mask() = default;
  Mask(double rate, uint64_t seed, int64_t step, int layer)
      : active(rate > 0),
        dropped(rate < 65535.0 / 65536 ? uint32_t(rate * 65536 + 0.5) : 65535),
        keeps(T((65536.0 - dropped) / 65536)),  // the rate as it is, to the 16 bits it has
        scale(T(65536.0 / (65536.0 - dropped))),
        key(mix(mix(seed + uint64_t(step) * 0x9e3779b97f4a7c15u) + uint64_t(layer))) {}

  int64_t place(int64_t row) const { return (places ? places[row] : row) + ahead; }

  /// Random words for the neurons of one vector in a row and the next; `row` is even.
  Words<T> words(int64_t row, int64_t vector) const {
    const uint64_t row_key = mix(key + uint64_t(row) * 0x9e3779b97f4a7c15u);
    Words<T> x{};
    for (int64_t lane = 0; lane < kLanes<T>; ++lane) x[lane] = uint32_t(lane);  // a constant
    x += uint32_t(row_key) + uint32_t(vector * kLanes<T>);
    // two rounds of multiply and shift, by the constants of C. Wellons's search for low bias
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x ^= uint32_t(row_key >> 32);
    x *= 0x846ca68bu;
    return x ^ x >> 16;
  }

  /// The same for one neuron.
  T factor(int64_t row, int64_t neuron) const;

  /// Multiplies rows [begin, end) by their factors; `start` is the mask's number of row 0.
  void apply(Panels<T> to, int64_t start, int64_t begin, int64_t end, int64_t vectors) const;
};

/// The factors of one vector of neurons, row by row: scale or 0. An even row goes by the lower half
/// of its words, the row after it by the upper half.
template <class T>
class Factors {
 public:
  Factors(const Mask<T>& mask, int64_t row, int64_t vector)
      : mask_(mask), row_(row), vector_(vector) {}

  Vec<T> next() {
    const int64_t place = mask_.place(row_++), odd = place % 2;
    if (place - odd != pair_) words_ = mask_.words(pair_ = place - odd, vector_);
    const auto drops = (odd ? words_ >> 16 : words_ & 0xffffu) < mask_.dropped;
    return select(__builtin_convertvector(drops, Bits<Vec<T>>), Vec<T>{},
                  splat<Vec<T>>(mask_.scale));
  }

 private:
  const Mask<T>& mask_;
  int64_t row_, vector_;
  int64_t pair_ = -1;  // the even row that the words are of
  Words<T> words_{};
};

template <class T>
T Mask<T>::factor(int64_t row, int64_t neuron) const {
  return Factors<T>(*this, row, neuron / kLanes<T>).next()[neuron % kLanes<T>];
}

template <class T>
void Mask<T>::apply(Panels<T> to, int64_t start, int64_t begin, int64_t end,
                    int64_t vectors) const {
  if (!active) return;
  for (int64_t v = 0; v < vectors; ++v) {
    Factors<T> factors(*this, start + begin, v);
    for (int64_t r = begin; r < end; ++r) store(to.at(v, r), load(to.at(v, r)) * factors.next());
  }
}

}  // namespace
}  // namespace fastmlp
