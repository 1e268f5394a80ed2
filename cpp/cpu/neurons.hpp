// What a hidden layer's neurons do to the tiles of the products: activation and dropout forward,
// slope and dropout backward.
#pragma once

#include "../formulas/activations.hpp"
#include "dropout.hpp"
#include "gemm.hpp"

namespace fastmlp {
namespace {

/// The neurons of one hidden layer in one step.
template <class T>
struct Neurons {
  T parameter;        // of the activation
  const T* slopes;    // each neuron's own instead, in vectors; or null
  Mask<T> mask;       // what the step drops
  int64_t first_row;  // the mask's number of row 0

  Vec<T> parameters(int64_t vector) const {
    return slopes ? load(slopes + vector * kLanes<T>) : splat<Vec<T>>(parameter);
  }
};

/// z replaced by a; `kept` takes what the backward pass needs, unless null.
template <class T, class A, bool drops>
void activate(const Neurons<T>& neurons, T* z, int64_t z_panel, T* kept, int64_t kept_panel,
              int64_t row, int64_t vector, int rows, int vectors) {
  for (int c = 0; c < vectors; ++c) {
    const Vec<T> parameter = neurons.parameters(vector + c);
    Factors<T> factors(neurons.mask, neurons.first_row + row, vector + c);
    for (int r = 0; r < rows; ++r) {
      T* place = z + c * z_panel + r * kLanes<T>;
      const Vec<T> input = load(place);
      Vec<T> slope{};
      Vec<T> a = A::value(input, parameter, slope);
      if (drops) a *= factors.next();
      store(place, a);
      if (A::kKeeps != Keeps::nothing && kept)
        store(kept + c * kept_panel + r * kLanes<T>, A::kKeeps == Keeps::slope ? slope : input);
    }
  }
}

/// The derivative by z of some neurons, from that by a and from what is at `from`: a, or what was
/// kept; where the parameter is learned, the derivative by it takes its place.
template <class T, class A, bool drops>
Vec<T> by_input(const Neurons<T>& neurons, Vec<T> by_output, T* from, Vec<T> parameter,
                Factors<T>& factors) {
  const Vec<T> kept = load(from);
  if (drops) by_output *= factors.next();
  if constexpr (A::kLearned) store(from, select(kept < T(0), by_output * kept, Vec<T>{}));
  if constexpr (A::kKeeps == Keeps::slope) {
    return by_output * kept;
  } else if constexpr (A::kKeeps == Keeps::input) {
    return by_output * A::slope(kept, parameter);
  } else {  // a as it was before dropout scaled it; what was dropped has a derivative of 0
    const Vec<T> a = drops ? kept * neurons.mask.keeps : kept;
    return by_output * A::slope(a, parameter);
  }
}

/// The derivative by a, in a tile of a product, replaced by that by z.
template <class T, class A, bool drops>
void times_slope(const Neurons<T>& neurons, T* delta, int64_t delta_panel, T* from,
                 int64_t from_panel, int64_t row, int64_t vector, int rows, int vectors) {
  for (int c = 0; c < vectors; ++c) {
    const Vec<T> parameter = neurons.parameters(vector + c);
    Factors<T> factors(neurons.mask, neurons.first_row + row, vector + c);
    for (int r = 0; r < rows; ++r) {
      T* place = delta + c * delta_panel + r * kLanes<T>;
      store(place,
            by_input<T, A, drops>(neurons, load(place), from + c * from_panel + r * kLanes<T>,
                                  parameter, factors));
    }
  }
}

/// The same without dropout, for rows [begin, end) under a layer of one output, whose delta's
/// product with the weights (1, neurons) is made on the way.
template <class T>
using OuterFunction = void (*)(const Neurons<T>&, Panels<T> above, Panels<T> weight,
                               int64_t vectors, Panels<T> from, Panels<T> delta, int64_t begin,
                               int64_t end);

template <class T, class A>
void outer_times_slope(const Neurons<T>& neurons, Panels<T> above, Panels<T> weight,
                       int64_t vectors, Panels<T> from, Panels<T> delta, int64_t begin,
                       int64_t end) {
  for (int64_t v = 0; v < vectors; ++v) {
    const Vec<T> parameter = neurons.parameters(v), w = load(weight.at(v, 0));
    Factors<T> none(neurons.mask, neurons.first_row + begin, v);
    for (int64_t r = begin; r < end; ++r) {
      const Vec<T> by_output = Vec<T>{} + *above.at(0, r) * w;  // as a tile sums it
      store(delta.at(v, r),
            by_input<T, A, false>(neurons, by_output, from.at(v, r), parameter, none));
    }
  }
}

template <class T, class... A>
typename Epilogue<T>::Function find_activate(int index, bool drops, List<A...>) {
  static constexpr typename Epilogue<T>::Function table[][sizeof...(A)] = {
      {activate<T, A, false>...}, {activate<T, A, true>...}};
  return table[drops][index];
}

template <class T, class... A>
typename Epilogue<T>::Function find_times_slope(int index, bool drops, List<A...>) {
  static constexpr typename Epilogue<T>::Function table[][sizeof...(A)] = {
      {times_slope<T, A, false>...}, {times_slope<T, A, true>...}};
  return table[drops][index];
}

template <class T, class... A>
OuterFunction<T> find_outer(int index, List<A...>) {
  static constexpr OuterFunction<T> table[] = {outer_times_slope<T, A>...};
  return table[index];
}

/// Rows [begin, end) of a (rows, out): the largest of each neuron's pieces in z, then dropout.
/// `vectors`: of one piece.
template <class T>
void take_largest(const Neurons<T>& neurons, Panels<T> z, int64_t pieces, int64_t vectors,
                  Panels<T> a, int64_t begin, int64_t end) {
  for (int64_t v = 0; v < vectors; ++v)
    for (int64_t r = begin; r < end; ++r) {
      Vec<T> largest = load(z.at(v, r));
      for (int64_t p = 1; p < pieces; ++p)
        largest = max_or_nan(largest, load(z.at(p * vectors + v, r)));
      store(a.at(v, r), largest);
    }
  neurons.mask.apply(a, neurons.first_row, begin, end, vectors);
}

/// The way back: z replaced by its derivative, which is that of a for the first of the largest
/// pieces and 0 for the others.
template <class T>
void give_to_largest(const Neurons<T>& neurons, Panels<T> by_output, int64_t pieces,
                     int64_t vectors, Panels<T> z, int64_t begin, int64_t end) {
  neurons.mask.apply(by_output, neurons.first_row, begin, end, vectors);
  for (int64_t v = 0; v < vectors; ++v)
    for (int64_t r = begin; r < end; ++r) {
      Vec<T> largest = load(z.at(v, r));
      for (int64_t p = 1; p < pieces; ++p) largest = max(largest, load(z.at(p * vectors + v, r)));
      Vec<T> left = load(by_output.at(v, r));
      for (int64_t p = 0; p < pieces; ++p) {
        T* place = z.at(p * vectors + v, r);
        const auto wins = load(place) == largest;
        store(place, select(wins, left, Vec<T>{}));
        left = select(wins, Vec<T>{}, left);
      }
    }
}

}  // namespace
}  // namespace fastmlp
