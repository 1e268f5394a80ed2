// Python's view of the core. Each function has four beats: check what came, prepare the output,
// release the GIL and call, return. Arrays are checked here to the point where no call can read or
// write outside them; what they mean is checked in Python, with messages for users.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "network.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace py = pybind11;
using namespace py::literals;

namespace fastmlp {
namespace {

template <class T>
using Array = py::array_t<T, 0>;
using Order = std::optional<Array<int64_t>>;

void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

bool is_aligned(const py::array& array) {
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

/// [weight (in, out), bias (out,), ...] of all layers.
template <class T>
std::vector<const T*> weight_blocks(const py::list& arrays, const std::vector<int64_t>& units) {
  require(arrays.size() == 2 * (units.size() - 1), "blocks: wrong number of arrays");
  std::vector<const T*> blocks;
  for (size_t l = 0; l + 1 < units.size(); ++l) {
    blocks.push_back(contiguous<T>(arrays[2 * l], {units[l], units[l + 1]}, "weight"));
    blocks.push_back(contiguous<T>(arrays[2 * l + 1], {units[l + 1]}, "bias"));
  }
  return blocks;
}

template <class T>
py::list new_blocks(const std::vector<int64_t>& units, std::vector<T*>* pointers) {
  py::list arrays;
  for (size_t l = 0; l + 1 < units.size(); ++l) {
    const Array<T> weight({units[l], units[l + 1]}), bias({units[l + 1]});
    pointers->push_back(const_cast<T*>(weight.data()));
    pointers->push_back(const_cast<T*>(bias.data()));
    arrays.append(weight);
    arrays.append(bias);
  }
  return arrays;
}

ElementType element_type(const py::dtype& dtype) {
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

/// X as rows: an array of numbers with contiguous rows, or (data, indices, indptr) of a CSR matrix.
template <class T>
struct RowsArgument {
  Rows<T> rows{};
  int64_t n = 0;

  RowsArgument(const py::object& x, int64_t features) {
    if (py::isinstance<py::tuple>(x)) {
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
      require(py::isinstance<py::array>(x), "X: not an array");
      const auto array = py::reinterpret_borrow<py::array>(x);
      require(array.ndim() == 2 && array.shape(1) == features, "X: wrong shape");
      require(is_aligned(array) && (features == 1 || array.strides(1) == array.itemsize()),
              "X: rows must be contiguous");
      n = array.shape(0);
      rows.dense = static_cast<const char*>(array.data());
      rows.stride = array.strides(0);
      rows.type = element_type(array.dtype());
    }
  }
};

Pass pass_over(const Order& order, int64_t rows, int n_threads) {
  require(n_threads >= 1, "n_threads: must be at least 1");
  if (!order) return {nullptr, rows, n_threads};
  const int64_t n = order->size();
  const int64_t* numbers = contiguous<int64_t>(*order, {n}, "order");
  require(std::all_of(numbers, numbers + n, [&](int64_t r) { return r >= 0 && r < rows; }),
          "order: a row outside of X");
  return {numbers, n, n_threads};
}

/// X, targets and weights together. Targets: (n,) int32 classes, or (n, outputs) values.
template <class T>
Data<T> training_data(const RowsArgument<T>& x, const py::object& targets,
                      const py::object& weights, int64_t outputs) {
  Data<T> data{x.rows, nullptr, nullptr, nullptr};
  if (Array<int32_t>::check_(targets)) {
    data.classes = contiguous<int32_t>(targets, {x.n}, "targets");
    const int64_t classes = std::max<int64_t>(outputs, 2);
    require(std::all_of(data.classes, data.classes + x.n,
                        [&](int32_t c) { return c >= 0 && c < classes; }),
            "targets: a class outside of the outputs");
  } else {
    data.targets = contiguous<T>(targets, {x.n, outputs}, "targets");
  }
  if (!weights.is_none()) data.weights = contiguous<T>(weights, {x.n}, "weights");
  return data;
}

template <class T>
void bind_network(py::module_& m, const char* name) {
  using Net = Network<T>;
  py::class_<Net>(m, name)
      .def(py::init([](const std::vector<int64_t>& units, const std::string& activation,
                       const std::string& loss, double alpha, int64_t batch, bool sparse,
                       bool keep_gradient, const std::string& engine) {
             require(units.size() >= 2, "units: at least features and outputs");
             require(*std::min_element(units.begin(), units.end()) >= 1, "units: must be positive");
             require(batch >= 1, "batch: must be positive");
             return std::make_unique<Net>(find_engine(engine.c_str()), units,
                                          find_name("activation", activation_names(), activation),
                                          find_name("loss", loss_names(), loss), alpha, batch,
                                          sparse, keep_gradient);
           }),
           "units"_a, "activation"_a, "loss"_a, py::kw_only(), "alpha"_a, "batch"_a,
           "sparse"_a = false, "keep_gradient"_a = false, "engine"_a = "")
      .def(
          "write",
          [](Net& net, int slot, const py::list& arrays) {
            require(slot >= 0 && slot <= 2, "slot: must be 0, 1 or 2");
            const auto blocks = weight_blocks<T>(arrays, net.units());
            py::gil_scoped_release release;
            net.write(slot, blocks.data());
          },
          "slot"_a, "blocks"_a, "Sets the parameters (slot 0) or a solver's state (1, 2).")
      .def(
          "read",
          [](const Net& net, int slot) {
            require(slot >= 0 && slot <= 2, "slot: must be 0, 1 or 2");
            std::vector<T*> blocks;
            const py::list arrays = new_blocks(net.units(), &blocks);
            {
              py::gil_scoped_release release;
              net.read(slot, blocks.data());
            }
            return arrays;
          },
          "slot"_a, "New arrays [weight, bias, ...] of a slot.")
      .def(
          "train",
          [](Net& net, const py::object& x, const py::object& targets, const py::object& weights,
             const Order& order, const std::string& solver, int64_t steps, double rate,
             double momentum, bool nesterov, double beta_1, double beta_2, double epsilon,
             int n_threads) {
            const RowsArgument<T> rows(x, net.units().front());
            require((rows.rows.indptr != nullptr) == net.sparse(), "X: sparse and dense mixed");
            const Data<T> data = training_data(rows, targets, weights, net.units().back());
            const Pass pass = pass_over(order, rows.n, n_threads);
            require(pass.n >= 1, "X: no rows");
            const SolverOptions options{find_name("solver", solver_names(), solver),
                                        steps,
                                        rate,
                                        momentum,
                                        beta_1,
                                        beta_2,
                                        epsilon,
                                        nesterov};
            EpochResult result;
            {
              py::gil_scoped_release release;
              result = net.train(data, pass, net.batch(), options);
            }
            return py::make_tuple(result.loss, result.steps);
          },
          "x"_a, "targets"_a, "weights"_a, "order"_a, py::kw_only(), "solver"_a, "steps"_a,
          "rate"_a, "momentum"_a, "nesterov"_a, "beta_1"_a, "beta_2"_a, "epsilon"_a, "n_threads"_a,
          "One epoch over the rows in `order`. Returns the mean loss and the steps made.")
      .def(
          "gradient",
          [](Net& net, const py::object& x, const py::object& targets, const py::object& weights,
             const Order& order, int n_threads) {
            require(net.keeps_gradient(), "keep_gradient: the network was made without");
            const RowsArgument<T> rows(x, net.units().front());
            require((rows.rows.indptr != nullptr) == net.sparse(), "X: sparse and dense mixed");
            const Data<T> data = training_data(rows, targets, weights, net.units().back());
            const Pass pass = pass_over(order, rows.n, n_threads);
            require(pass.n >= 1 && pass.n <= net.batch(), "X: no rows, or more than `batch`");
            std::vector<T*> blocks;
            const py::list arrays = new_blocks(net.units(), &blocks);
            double loss;
            {
              py::gil_scoped_release release;
              loss = net.gradient(data, pass, blocks.data());
            }
            return py::make_tuple(loss, arrays);
          },
          "x"_a, "targets"_a, "weights"_a, "order"_a, py::kw_only(), "n_threads"_a,
          "The loss over the rows in `order`, and its gradient as [weight, bias, ...].");
}

/// The sizes of a network from the shapes of its weights.
std::vector<int64_t> units_of(const py::list& arrays) {
  require(arrays.size() >= 2 && arrays.size() % 2 == 0, "blocks: wrong number of arrays");
  std::vector<int64_t> units;
  for (size_t i = 0; i < arrays.size(); i += 2) {
    require(py::isinstance<py::array>(arrays[i]), "weight: not an array");
    const auto weight = py::cast<py::array>(arrays[i]);
    require(weight.ndim() == 2 && weight.shape(0) >= 1 && weight.shape(1) >= 1,
            "weight: wrong shape");
    if (units.empty()) units.push_back(weight.shape(0));
    units.push_back(weight.shape(1));
  }
  return units;
}

template <class T>
py::array predict(const py::list& arrays, const std::string& activation, const std::string& loss,
                  const py::object& x, const Order& order, int n_threads,
                  const std::string& engine) {
  const auto units = units_of(arrays);
  const auto blocks = weight_blocks<T>(arrays, units);
  const Recipe recipe{units.data(), int(units.size()) - 1,
                      find_name("activation", activation_names(), activation),
                      find_name("loss", loss_names(), loss), 0.0};
  const Engine& chosen = find_engine(engine.c_str());
  const RowsArgument<T> rows(x, units.front());
  const Pass pass = pass_over(order, rows.n, n_threads);
  Array<T> out({pass.n, units.back()});
  if (pass.n > 0) {
    T* values = out.mutable_data();
    py::gil_scoped_release release;
    operations<T>(chosen).predict(recipe, blocks.data(), rows.rows, pass, values);
  }
  return out;
}

py::array predict_any(const py::list& arrays, const std::string& activation,
                      const std::string& loss, const py::object& x, const Order& order,
                      int n_threads, const std::string& engine) {
  const bool single = arrays.size() > 0 && Array<float>::check_(arrays[0]);
  return (single ? predict<float> : predict<double>)(arrays, activation, loss, x, order, n_threads,
                                                     engine);
}

/// Whether all of `count` values are finite, by their exponent's bits.
template <class Bits>
bool all_finite(const void* values, int64_t count, Bits exponent) {
  const char* from = static_cast<const char*>(values);
  Bits found = 0;
  for (int64_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, from + i * int64_t(sizeof bits), sizeof bits);
    found |= Bits((bits & exponent) == exponent);
  }
  return found == 0;
}

/// Whether predict() takes `x` as it is: see the stub.
bool is_clean(const py::object& x, int64_t features, bool single) {
  if (Py_TYPE(x.ptr()) != py::detail::npy_api::get().PyArray_Type_) return false;
  const auto array = py::reinterpret_borrow<py::array>(x);
  if (array.ndim() != 2 || array.shape(0) == 0 || array.shape(1) != features ||
      !(array.flags() & py::array::c_style) || !is_aligned(array))
    return false;
  if (single)
    return Array<float>::check_(x) && all_finite<uint32_t>(array.data(), array.size(), 0x7f800000u);
  return Array<double>::check_(x) &&
         all_finite<uint64_t>(array.data(), array.size(), 0x7ff0000000000000u);
}

py::dict available_engines() {
  py::dict engines;
  for (int i = 0; i < kNumEngines; ++i) engines[kEngines[i]->name] = kEngines[i]->available();
  return engines;
}

int max_threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

PYBIND11_MODULE(_native, m) {
  m.doc() = "The native core of fastmlp: networks on an engine.";
  m.attr("ACTIVATIONS") = py::tuple(py::cast(activation_names()));
  m.attr("LOSSES") = py::tuple(py::cast(loss_names()));
  py::dict links;
  const auto losses = loss_names(), names = link_names();
  for (size_t i = 0; i < losses.size(); ++i) links[losses[i].c_str()] = names[i];
  m.attr("LINKS") = links;
  py::dict slots;
  const auto solvers = solver_names();
  for (size_t i = 0; i < solvers.size(); ++i) slots[solvers[i].c_str()] = solver_slots(int(i));
  m.attr("SOLVER_SLOTS") = slots;
  m.def("engines", available_engines,
        "The engines of this build, the preferred first, and whether this machine can run each.");
  m.def(
      "engine", [] { return find_engine("").name; },
      "The engine in use: the first available, or what FASTMLP_ENGINE says.");
  m.def("max_threads", max_threads,
        "OpenMP's limit for this module: OMP_NUM_THREADS, threadpoolctl.");
  m.def("is_clean", is_clean, "x"_a, "features"_a, "single"_a,
        "Whether x is a C-contiguous ndarray (n >= 1, features) of float32 (single) or float64, "
        "all finite.");
  m.def(
      "peak",
      [](bool single) {
        const Engine& engine = find_engine("");
        py::gil_scoped_release release;
        return single ? engine.f32.peak() : engine.f64.peak();
      },
      "single"_a, "Operations per second of one thread on registers alone, in float32 or float64.");
  m.def("predict", predict_any, "blocks"_a, "activation"_a, "loss"_a, "x"_a, "order"_a = py::none(),
        py::kw_only(), "n_threads"_a, "engine"_a = "",
        "Predictions (n, outputs) of the network [weight, bias, ...] for rows of x.");
  bind_network<float>(m, "Network32");
  bind_network<double>(m, "Network64");
}

}  // namespace
}  // namespace fastmlp
