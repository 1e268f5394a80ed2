// What a hidden layer's neurons do to what the products give: activation and dropout forward, slope
// and dropout backward.
#pragma once

#include "network.hpp"

namespace fastmlp {
namespace {

/// The neurons of one layer in one step.
template <class T>
struct Neurons {
  const Layer<T>& layer;
  const T* biases;      // (linear,)
  const T* slopes;      // each neuron's own parameter, or null
  DropoutRule<T> mask;  // what the step drops
  int64_t first;        // position of row 0

  __device__ Neurons(const Net<T>& net, const Turn<T>& turn, int l)
      : layer(net.layers[l]),
        biases(net.parameters(layer) + layer.in * layer.linear),
        slopes(layer.learned ? net.slots[0] + layer.slopes : nullptr),
        mask(net.mask(layer.dropout, turn, l + 1)),
        first(turn.start) {}

  __device__ T parameter(int64_t j) const { return slopes ? slopes[j] : layer.parameter; }
  __device__ T factor(int64_t row, int64_t j) const {
    return mask.active ? mask.factor(first + row, j) : T(1);
  }

  /// Makes of what the weights give neuron j its output, and keeps what the way back needs; of the
  /// output layer z is all, and maxout's pieces wait.
  __device__ void activate(int64_t row, int64_t j, T sum) const {
    const T z = sum + biases[j];
    if (!layer.hidden || layer.is_maxout()) {
      layer.delta[row * layer.linear + j] = z;
      return;
    }
    const int64_t place = row * layer.out + j;
    const T p = parameter(j);
    visit(layer.activation, Activations{}, [&](auto type) {
      using A = typename decltype(type)::Of;
      T slope{};
      layer.output[place] = A::value(z, p, slope) * factor(row, j);
      if (A::kKeeps != Keeps::nothing) layer.kept[place] = A::kKeeps == Keeps::slope ? slope : z;
    });
  }

  /// Makes of the derivative by neuron j's output that by its z, and of what was kept the
  /// derivative by a learned parameter; maxout's outputs wait.
  __device__ void times_slope(int64_t row, int64_t j, T by_output) const {
    const int64_t place = row * layer.out + j;
    if (layer.is_maxout()) {
      layer.kept[place] = by_output;
      return;
    }
    const T p = parameter(j);
    by_output *= factor(row, j);
    visit(layer.activation, Activations{}, [&](auto type) {
      using A = typename decltype(type)::Of;
      T slope;
      if constexpr (A::kKeeps == Keeps::slope) {
        slope = layer.kept[place];
      } else if constexpr (A::kKeeps == Keeps::input) {
        const T z = layer.kept[place];
        slope = A::slope(z, p);
        if (A::kLearned) layer.kept[place] = z < T(0) ? by_output * z : T(0);
      } else {  // a as it was before dropout scaled it; what was dropped has a derivative of 0
        const T a = layer.output[place];
        slope = A::slope(mask.active ? a * mask.keeps : a, p);
      }
      layer.delta[place] = by_output * slope;
    });
  }

  /// The largest of neuron j's pieces, then dropout.
  __device__ void take_largest(int64_t row, int64_t j) const {
    const T* z = layer.delta + row * layer.linear + j;
    T largest = z[0];
    for (int p = 1; p < layer.pieces; ++p) largest = max_or_nan(largest, z[p * layer.out]);
    layer.output[row * layer.out + j] = largest * factor(row, j);
  }

  /// The way back: the derivative goes to the first of the largest pieces, the others have none.
  __device__ void give_to_largest(int64_t row, int64_t j) const {
    T* z = layer.delta + row * layer.linear + j;
    T largest = z[0];
    for (int p = 1; p < layer.pieces; ++p) largest = max(largest, z[p * layer.out]);
    T left = layer.kept[row * layer.out + j] * factor(row, j);
    for (int p = 0; p < layer.pieces; ++p) {
      const bool wins = z[p * layer.out] == largest;
      z[p * layer.out] = wins ? left : T(0);
      if (wins) left = T(0);
    }
  }
};

}  // namespace
}  // namespace fastmlp
