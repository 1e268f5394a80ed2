// Vectors by GCC/Clang vector extensions, of one width per instruction set (FASTMLP_VECTOR_BYTES),
// and matrices stored in panels one vector wide. Arithmetic, comparisons and `?:` on vectors are
// the compiler's own; what formulas need besides is in formulas/value.hpp.
#pragma once

#include <cstdint>

#include "../arena.hpp"
#include "../formulas/value.hpp"

namespace fastmlp {
namespace {

template <class T>
struct VectorOf {
  typedef T Type __attribute__((vector_size(FASTMLP_VECTOR_BYTES)));
};
template <class T>
using Vec = typename VectorOf<T>::Type;

/// Elements in a vector.
template <class T>
constexpr int64_t kLanes = FASTMLP_VECTOR_BYTES / sizeof(T);

template <class T>
struct WideOf {
  typedef double Type __attribute__((vector_size(kLanes<T> * sizeof(double))));
};
/// As many elements in double.
template <class T>
using Wide = typename WideOf<T>::Type;

template <class T>
inline Vec<T> load(const T* p) {  // any alignment
  Vec<T> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

template <class T>
inline void store(T* p, Vec<T> v) {
  __builtin_memcpy(p, &v, sizeof v);
}

template <class T>
inline T sum(Vec<T> v) {  // pairwise
  for (int64_t half = kLanes<T> / 2; half >= 1; half /= 2)
    for (int64_t lane = 0; lane < half; ++lane) v[lane] += v[lane + half];
  return v[0];
}

template <class T>
inline T max(Vec<T> v) {
  for (int64_t half = kLanes<T> / 2; half >= 1; half /= 2)
    for (int64_t lane = 0; lane < half; ++lane)
      v[lane] = v[lane] < v[lane + half] ? v[lane + half] : v[lane];
  return v[0];
}

/// Lane numbers below `count` select.
template <class T>
inline Bits<Vec<T>> first_lanes(int64_t count) {
  Bits<Vec<T>> lanes{};
  for (int64_t lane = 0; lane < kLanes<T>; ++lane) lanes[lane] = lane < count ? -1 : 0;
  return lanes;
}

/// A (rows, columns) matrix as [panel of columns][row][lane]. A panel's rows are contiguous; the
/// lanes past the last column are zero. Panels lie an odd number of vectors apart, since with a
/// power of two the panels that a tile reads together would fall into the same cache sets.
template <class T>
struct Panels {
  T* data = nullptr;
  int64_t stride = 0;  // elements from one panel to the next

  T* at(int64_t panel, int64_t row) const { return data + panel * stride + row * kLanes<T>; }
  /// The same from a row on.
  Panels from(int64_t row) const { return {data + row * kLanes<T>, stride}; }
};

template <class T>
inline int64_t panel_count(int64_t columns) {
  return ceil_div(columns, kLanes<T>);
}

template <class T>
inline int64_t panel_stride(int64_t rows) {
  return (rows | 1) * kLanes<T>;
}

}  // namespace
}  // namespace fastmlp
