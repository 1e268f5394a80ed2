// Dropout's masks on panels: a vector of neurons at a time.
#pragma once

#include "../formulas/dropout.hpp"
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

/// Which outputs of one layer a step drops, in which rows.
template <class T>
struct Mask : DropoutRule<T> {
  const int64_t* places = nullptr;  // of rows that are numbered otherwise
  int64_t ahead = 0;                // added to them, even

  using DropoutRule<T>::DropoutRule;

  int64_t place(int64_t row) const { return (places ? places[row] : row) + ahead; }

  /// Random words for the neurons of one vector in a row and the next; `row` is even.
  Words<T> vector_words(int64_t row, int64_t vector) const {
    Words<T> neurons{};
    for (int64_t lane = 0; lane < kLanes<T>; ++lane) neurons[lane] = uint32_t(lane);  // a constant
    return this->words(row, neurons + uint32_t(vector * kLanes<T>));
  }

  /// The factor of one neuron.
  T factor(int64_t row, int64_t neuron) const { return DropoutRule<T>::factor(place(row), neuron); }

  /// Multiplies rows [begin, end) by their factors; `start` is the mask's number of row 0.
  void apply(Panels<T> to, int64_t start, int64_t begin, int64_t end, int64_t vectors) const;
};

/// The factors of one vector of neurons, row by row.
template <class T>
class Factors {
 public:
  Factors(const Mask<T>& mask, int64_t row, int64_t vector)
      : mask_(mask), row_(row), vector_(vector) {}

  Vec<T> next() {
    const int64_t place = mask_.place(row_++), odd = place % 2;
    if (place - odd != pair_) words_ = mask_.vector_words(pair_ = place - odd, vector_);
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
void Mask<T>::apply(Panels<T> to, int64_t start, int64_t begin, int64_t end,
                    int64_t vectors) const {
  if (!this->active) return;
  for (int64_t v = 0; v < vectors; ++v) {
    Factors<T> factors(*this, start + begin, v);
    for (int64_t r = begin; r < end; ++r) store(to.at(v, r), load(to.at(v, r)) * factors.next());
  }
}

}  // namespace
}  // namespace fastmlp
