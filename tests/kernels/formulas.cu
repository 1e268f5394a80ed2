// Kernels that take every formula of cpp/formulas, for tests/test_ptx.py. Thread i computes item k
// of a list into place k * n + i.
#include "formulas/activations.hpp"
#include "formulas/cells.hpp"
#include "formulas/losses.hpp"
#include "formulas/solvers.hpp"

namespace fastmlp {
namespace {

__device__ int thread() { return int(blockIdx.x * blockDim.x + threadIdx.x); }

template <class... Items, class Use>
__device__ void each(List<Items...>, const Use& use) {
  int place = 0;
  (use(Items{}, place++), ...);
}

/// a and da/dz.
template <class T>
__global__ void activations(const T* z, const T* parameters, T* a, T* slopes, int n) {
  const int i = thread();
  if (i >= n) return;
  each(Activations{}, [&](auto item, int k) {
    using A = decltype(item);
    T slope{};
    const T p = parameters[k], value = A::template value<T>(z[i], p, slope);
    if constexpr (A::kKeeps == Keeps::nothing) slope = A::template slope<T>(value, p);
    if constexpr (A::kKeeps == Keeps::input) slope = A::template slope<T>(z[i], p);
    a[k * n + i] = value, slopes[k * n + i] = slope;
  });
}

/// Prediction, loss and its derivative by z, of losses of single outputs.
template <class T>
__global__ void losses(const T* z, const T* y, const T* parameters, T* links, T* values, T* deltas,
                       int n) {
  const int i = thread();
  if (i >= n) return;
  each(Losses{}, [&](auto item, int k) {
    using L = decltype(item);
    if constexpr (!L::kRowwise) {
      const T p = parameters[k], target = y[k * n + i];
      links[k * n + i] = L::template link<T>(z[i]);
      values[k * n + i] = L::template value<T>(z[i], target, p);
      deltas[k * n + i] = L::template delta<T>(z[i], target, p);
    }
  });
}

/// One step of a solver: weights at even places, biases at odd ones.
template <class T, template <class> class Solver>
__global__ void step(T* w, const T* g, T* slots, int n, Solver<T> solver) {
  const int i = thread();
  if (i >= n) return;
  T of[Solver<T>::kSlots];
  for (int k = 0; k < Solver<T>::kSlots; ++k) of[k] = slots[k * n + i];
  T x = w[i];
  solver.template update<T>(x, g[i], of, i % 2 == 0);
  w[i] = x;
  for (int k = 0; k < Solver<T>::kSlots; ++k) slots[k * n + i] = of[k];
}

#define FASTMLP_OF(T)                                                                \
  template __global__ void activations<T>(const T*, const T*, T*, T*, int);          \
  template __global__ void losses<T>(const T*, const T*, const T*, T*, T*, T*, int); \
  template __global__ void step<T, Sgd>(T*, const T*, T*, int, Sgd<T>);              \
  template __global__ void step<T, Adam>(T*, const T*, T*, int, Adam<T>);            \
  template __global__ void step<T, AdamW>(T*, const T*, T*, int, AdamW<T>);          \
  template __global__ void step<T, NAdam>(T*, const T*, T*, int, NAdam<T>);          \
  template __global__ void step<T, AdaMax>(T*, const T*, T*, int, AdaMax<T>);        \
  template __global__ void step<T, AmsGrad>(T*, const T*, T*, int, AmsGrad<T>);      \
  template __global__ void step<T, RmsProp>(T*, const T*, T*, int, RmsProp<T>);      \
  template __global__ void step<T, AdaGrad>(T*, const T*, T*, int, AdaGrad<T>);      \
  template __global__ void step<T, AdaDelta>(T*, const T*, T*, int, AdaDelta<T>);
FASTMLP_OF(float)
FASTMLP_OF(double)

}  // namespace
}  // namespace fastmlp
