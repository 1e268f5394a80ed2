// What came from Python, checked: arrays, rows, orders, targets.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "../engine.hpp"

namespace fastmlp {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, 0>;
using Order = std::optional<Array<int64_t>>;

inline void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

inline bool is_aligned(const py::array& array) {
  return array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_;
}

/// The data of a C-contiguous, aligned array of exactly this type and shape.
template <class T>
const T* contiguous(const py::object& object, const std::vector<int64_t>& shape, const char* what) {
  const bool fits = Array<T>::check_(object);
  const py::array array = fits ? py::array(object) : py::array();
  if (!fits || !(array.flags() & py::array::c_style) || !is_aligned(array) ||
      !std::equal(shape.begin(), shape.end(), array.shape(), array.shape() + array.ndim()))
    throw std::invalid_argument(std::string(what) + ": wrong dtype, shape or memory layout");
  return static_cast<const T*>(array.data());
}

inline ElementType element_type(const py::dtype& dtype) {
  const int64_t size = dtype.itemsize();
  const int power = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : size == 8 ? 3 : 4;
  constexpr ElementType floats[] = {ElementType::f16, ElementType::f32, ElementType::f64};
  constexpr ElementType integers[][4] = {
      {ElementType::i8, ElementType::i16, ElementType::i32, ElementType::i64},
      {ElementType::u8, ElementType::u16, ElementType::u32, ElementType::u64}};
  const char kind = dtype.kind();
  const bool native = dtype.byteorder() == '=' || dtype.byteorder() == '|';
  if (native && kind == 'f' && power >= 1 && power <= 3) return floats[power - 1];
  if (native && (kind == 'i' || kind == 'u') && power <= 3) return integers[kind == 'u'][power];
  if (kind == 'b') return ElementType::u8;
  throw std::invalid_argument("X: wrong dtype");
}

/// X as rows: an array of numbers with contiguous rows, or (data, indices, indptr) of a CSR matrix;
/// or as `sequences`: an array (n, steps, features) in which each sequence is contiguous, and their
/// lengths, or None.
template <class T>
struct RowsArgument {
  Rows<T> rows{};
  int64_t n = 0, steps = 1;
  const int64_t* lengths = nullptr;

  RowsArgument(const py::object& x, int64_t features, bool sequences = false,
               const py::object& ends = py::none()) {
    require(sequences || ends.is_none(), "lengths: rows that are no sequences have none");
    if (py::isinstance<py::tuple>(x)) {
      require(!sequences, "X: sequences must be an array");
      const auto parts = py::cast<py::tuple>(x);
      require(parts.size() == 3, "X: a CSR matrix is (data, indices, indptr)");
      const int64_t entries = int64_t(py::len(parts[0]));
      n = int64_t(py::len(parts[2])) - 1;
      rows.values = contiguous<T>(parts[0], {entries}, "X.data");
      rows.columns = contiguous<int32_t>(parts[1], {entries}, "X.indices");
      rows.indptr = contiguous<int64_t>(parts[2], {n + 1}, "X.indptr");
      require(n >= 0 && rows.indptr[0] >= 0 && rows.indptr[n] <= entries &&
                  std::is_sorted(rows.indptr, rows.indptr + n + 1),
              "X.indptr: must rise from 0 to the number of entries");
      require(std::all_of(rows.columns, rows.columns + entries,
                          [&](int32_t c) { return c >= 0 && c < features; }),
              "X.indices: a column outside of X");
    } else {
      require(py::isinstance<py::array>(x), "X: not an array, nor samples held in this dtype");
      const auto array = py::reinterpret_borrow<py::array>(x);
      const int last = sequences ? 2 : 1;
      require(array.ndim() == last + 1 && array.shape(last) == features, "X: wrong shape");
      require(is_aligned(array) && (features == 1 || array.strides(last) == array.itemsize()),
              "X: rows must be contiguous");
      n = array.shape(0);
      rows.dense = static_cast<const char*>(array.data());
      rows.stride = array.strides(0);
      rows.type = element_type(array.dtype());
      if (!sequences) return;
      steps = array.shape(1);
      rows.step_stride = array.strides(1);
      require(steps >= 1, "X: sequences of no steps");
      require(steps == 1 || rows.step_stride == features * array.itemsize(),
              "X: sequences must be contiguous");
      if (ends.is_none()) return;
      lengths = contiguous<int64_t>(ends, {n}, "lengths");
      require(std::all_of(lengths, lengths + n, [&](int64_t l) { return l >= 1 && l <= steps; }),
              "lengths: must be from 1 to the number of steps");
    }
  }

  /// The data without targets.
  Data<T> data() const { return {rows, nullptr, nullptr, nullptr, steps, lengths}; }
};

inline Pass pass_over(const Order& order, int64_t rows, int n_threads) {
  require(n_threads >= 1, "n_threads: must be at least 1");
  if (!order) return {nullptr, rows, n_threads};
  const int64_t n = order->size();
  const int64_t* numbers = contiguous<int64_t>(*order, {n}, "order");
  require(std::all_of(numbers, numbers + n, [&](int64_t r) { return r >= 0 && r < rows; }),
          "order: a row outside of X");
  return {numbers, n, n_threads};
}

/// X, targets and weights together. Targets: (n,) int32 classes, or (n, outputs) values; `per_step`
/// (n, steps) or (n, steps, outputs).
template <class T>
Data<T> training_data(const RowsArgument<T>& x, const py::object& targets,
                      const py::object& weights, int64_t outputs, bool per_step = false) {
  Data<T> data = x.data();
  std::vector<int64_t> shape{x.n};
  if (per_step) shape.push_back(x.steps);
  if (Array<int32_t>::check_(targets)) {
    data.classes = contiguous<int32_t>(targets, shape, "targets");
    const int64_t classes = std::max<int64_t>(outputs, 2), steps = per_step ? x.steps : 1;
    for (int64_t r = 0; r < x.n; ++r) {
      const int32_t* first = data.classes + r * steps;
      require(std::all_of(first, first + (per_step ? data.length(r) : 1),
                          [&](int32_t c) { return c >= 0 && c < classes; }),
              "targets: a class outside of the outputs");
    }
  } else {
    shape.push_back(outputs);
    data.targets = contiguous<T>(targets, shape, "targets");
  }
  if (!weights.is_none()) data.weights = contiguous<T>(weights, {x.n}, "weights");
  return data;
}

}  // namespace fastmlp
