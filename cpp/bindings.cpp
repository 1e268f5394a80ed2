// Python's view of the core. Each function has four beats: check what came, prepare the output,
// release the GIL and call, return. Arrays are checked here to the point where no call can read or
// write outside them, as long as nobody changes them meanwhile; what they mean is checked in
// Python, with messages for users.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "formulas/solvers.hpp"
#include "network.hpp"
#include "perceptron.hpp"
#include "threads.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace fastmlp {
namespace {

template <class T>
using Array = py::array_t<T, 0>;
using Order = std::optional<Array<int64_t>>;
using EpochTuple = std::tuple<int64_t, int64_t, double, double, int64_t>;  // an Epoch

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

/// A network's description, with the arrays that the recipe points to.
struct Plan {
  std::vector<int64_t> units;
  std::vector<Hidden> hidden;
  Recipe recipe{};
};

/// `hidden`: (activation, parameter, pieces, dropout) per hidden layer.
void plan_hidden(const py::list& hidden, Plan* plan) {
  for (const py::handle& item : hidden) {
    const auto parts = py::cast<py::tuple>(item);
    require(parts.size() == 4, "hidden: (activation, parameter, pieces, dropout) per layer");
    const int activation =
        find_name("activation", activation_names(), py::cast<std::string>(parts[0]));
    const Hidden layer{activation, py::cast<double>(parts[1]), py::cast<int>(parts[2]),
                       is_learned(activation), py::cast<double>(parts[3])};
    require(layer.pieces >= 1 && (layer.pieces == 1 || has_pieces(activation)),
            "hidden: only maxout has several pieces");
    require(layer.dropout >= 0 && layer.dropout < 1, "hidden: dropout must be in [0, 1)");
    plan->hidden.push_back(layer);
  }
}

void finish_plan(const std::optional<std::string>& loss, double loss_parameter, Plan* plan) {
  plan->recipe.units = plan->units.data();
  plan->recipe.n_layers = int(plan->units.size()) - 1;
  plan->recipe.hidden = plan->hidden.data();
  plan->recipe.loss = loss ? find_name("loss", loss_names(), *loss) : -1;
  plan->recipe.loss_parameter = loss_parameter;
  require(plan->hidden.size() + (loss ? 1 : 0) == plan->units.size() - 1,
          "hidden: wrong number of layers");
}

/// [weight, bias, ..., slopes, ...] of a network, see engine.hpp.
template <class T>
std::vector<const T*> block_pointers(const py::list& arrays,
                                     const std::vector<std::vector<int64_t>>& shapes) {
  require(arrays.size() == shapes.size(), "blocks: wrong number of arrays");
  std::vector<const T*> blocks;
  for (size_t i = 0; i < shapes.size(); ++i)
    blocks.push_back(contiguous<T>(arrays[i], shapes[i], "blocks"));
  return blocks;
}

template <class T>
py::list new_blocks(const std::vector<std::vector<int64_t>>& shapes, std::vector<T*>* pointers) {
  py::list arrays;
  for (const auto& shape : shapes) {
    const Array<T> block(shape);
    pointers->push_back(const_cast<T*>(block.data()));
    arrays.append(block);
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

// At the interpreter's exit a daemon thread that comes back for the GIL is ended on the spot, and
// the process aborted, since there are C++ frames on its stack. So at exit the calls in flight are
// stopped and waited for, and threads but the one that exits can make no more.
std::atomic<bool> exiting{false};
std::thread::id exiting_thread;  // once it is exiting
std::atomic<int> calls_in_flight{0};

bool ends_with_the_interpreter() { return exiting && std::this_thread::get_id() != exiting_thread; }

/// The GIL released for the time of a long call.
class Released {
  struct InFlight {
    InFlight() {
      if (ends_with_the_interpreter()) {
        PyErr_SetNone(PyExc_SystemExit);
        throw py::error_already_set();
      }
      ++calls_in_flight;
    }
    ~InFlight() { --calls_in_flight; }
  };
  InFlight in_flight_;  // until after the GIL is back
  py::gil_scoped_release release_;
};

void end_calls() {
  exiting_thread = std::this_thread::get_id();
  exiting = true;
  while (calls_in_flight > 0) {
    const py::gil_scoped_release release;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// What a pass asks from time to time, and what came of it.
struct Stop {
  py::object ask;                     // a callable, or None
  py::object exception = py::none();  // that a signal's handler or `ask` raised

  /// Signals are handled here: a fit can be interrupted within an epoch, a call within a step.
  static bool call(void* context, bool within) {
    Stop& self = *static_cast<Stop*>(context);
    const py::gil_scoped_acquire acquire;
    if (ends_with_the_interpreter()) {
      PyErr_SetNone(PyExc_SystemExit);
    } else if (PyErr_CheckSignals() == 0) {
      if (within || self.ask.is_none()) return false;
      PyObject* answer = PyObject_CallNoArgs(self.ask.ptr());
      const int yes = answer ? PyObject_IsTrue(answer) : -1;
      Py_XDECREF(answer);
      if (yes >= 0) return yes;
    }
    self.keep();
    return true;
  }

  /// After a call, with the GIL: a signal that came since the last time would be raised on the way
  /// back to Python, and what the call returns lost.
  void look_again() {
    if (exception.is_none() && PyErr_CheckSignals() != 0) keep();
  }

  /// Python's error for later: no C++ exception may leave a pass, for threads wait for this one.
  void keep() {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (value && trace) PyException_SetTraceback(value, trace);
    exception = py::reinterpret_steal<py::object>(value ? value : type);
    if (value) Py_XDECREF(type);
    Py_XDECREF(trace);
  }

  void set_on(Pass* pass) {
    pass->stop = call;
    pass->context = this;
  }

  /// After a call of which nothing is of use once it was stopped.
  void raise() const {
    if (exception.is_none()) return;
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
    throw py::error_already_set();
  }
};

template <class T>
void bind_network(py::module_& m, const char* name) {
  using Net = Network<T>;
  py::class_<Net>(m, name)
      .def(py::init([](const std::vector<int64_t>& units, const py::list& hidden,
                       const std::string& loss, double loss_parameter, double input_dropout,
                       double alpha, double l1, int64_t batch, bool sparse, bool keep_gradient,
                       const std::string& engine) {
             require(units.size() >= 2, "units: at least features and outputs");
             require(*std::min_element(units.begin(), units.end()) >= 1, "units: must be positive");
             require(batch >= 1, "batch: must be positive");
             require(input_dropout >= 0 && input_dropout < 1, "input_dropout: must be in [0, 1)");
             Plan plan{units, {}, {}};
             plan_hidden(hidden, &plan);
             finish_plan(loss, loss_parameter, &plan);
             plan.recipe.input_dropout = input_dropout;
             plan.recipe.alpha = alpha;
             plan.recipe.l1 = l1;
             const Released release;
             return std::make_unique<Net>(find_engine(engine.c_str()), plan.recipe, batch, sparse,
                                          keep_gradient);
           }),
           "units"_a, "hidden"_a, "loss"_a, py::kw_only(), "loss_parameter"_a = 0.0,
           "input_dropout"_a = 0.0, "alpha"_a, "l1"_a = 0.0, "batch"_a, "sparse"_a = false,
           "keep_gradient"_a = false, "engine"_a = "")
      .def(
          "write",
          [](Net& net, int slot, const py::list& arrays) {
            require(slot >= 0 && slot <= kMaxSlots, "slot: must be 0, 1, 2 or 3");
            const auto blocks = block_pointers<T>(arrays, net.shapes());
            const Released release;
            net.write(slot, blocks.data());
          },
          "slot"_a, "blocks"_a, "Sets the parameters (slot 0) or a solver's state (1, 2, 3).")
      .def(
          "read",
          [](const Net& net, int slot) {
            require(slot >= 0 && slot <= kMaxSlots, "slot: must be 0, 1, 2 or 3");
            std::vector<T*> blocks;
            py::list arrays = new_blocks(net.shapes(), &blocks);
            {
              const Released release;
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
             double rho, double weight_decay, bool summed, double clip_norm, double max_norm,
             uint64_t seed, double bias_rate, const EpochTuple& begun, const py::object& stop,
             int n_threads) {
            const RowsArgument<T> rows(x, net.features());
            require((rows.rows.indptr != nullptr) == net.sparse(), "X: sparse and dense mixed");
            const Data<T> data = training_data(rows, targets, weights, net.outputs());
            Pass pass = pass_over(order, rows.n, n_threads);
            require(pass.n >= 1, "X: no rows");
            const auto [worked, counted, loss, penalty, made] = begun;
            const Epoch from{worked, counted, loss, penalty, made};
            require(from.rows >= 0 && from.rows < pass.n && from.rows % net.batch() == 0,
                    "epoch: must have been stopped between two batches");
            require(clip_norm > 0 && max_norm > 0, "clip_norm, max_norm: must be positive");
            require(clip_norm == std::numeric_limits<double>::infinity() || net.keeps_gradient(),
                    "keep_gradient: the network was made without, and clip_norm needs it");
            const SolverOptions options{find_name("solver", solver_names(), solver),
                                        steps,
                                        rate,
                                        momentum,
                                        beta_1,
                                        beta_2,
                                        epsilon,
                                        rho,
                                        weight_decay,
                                        nesterov,
                                        summed,
                                        clip_norm,
                                        max_norm,
                                        seed,
                                        bias_rate};
            Stop asked{stop};
            asked.set_on(&pass);
            Epoch epoch;
            {
              const Released release;
              epoch = net.train(data, pass, net.batch(), options, from);
            }
            asked.look_again();
            return py::make_tuple(
                EpochTuple(epoch.rows, epoch.counted, epoch.loss, epoch.penalty, epoch.steps),
                asked.exception);
          },
          "x"_a, "targets"_a, "weights"_a, "order"_a, py::kw_only(), "solver"_a, "steps"_a,
          "rate"_a, "momentum"_a = 0.0, "nesterov"_a = false, "beta_1"_a = 0.0, "beta_2"_a = 0.0,
          "epsilon"_a = 0.0, "rho"_a = 0.0, "weight_decay"_a = 0.0, "summed"_a = false,
          "clip_norm"_a = std::numeric_limits<double>::infinity(),
          "max_norm"_a = std::numeric_limits<double>::infinity(), "seed"_a = uint64_t(0),
          "bias_rate"_a = 1.0, "epoch"_a = EpochTuple(), "stop"_a = py::none(), "n_threads"_a,
          "One epoch over the rows in `order`, or its rest. Returns where it stands then: the rows "
          "worked on, those of them that count, the sum of their losses, the penalty in it, the "
          "steps made; and an exception that ended it after a whole number of steps, or None. "
          "`stop` is called before a step is whole: it must not touch the network.")
      .def(
          "gradient",
          [](Net& net, const py::object& x, const py::object& targets, const py::object& weights,
             const Order& order, int n_threads) {
            require(net.keeps_gradient(), "keep_gradient: the network was made without");
            const RowsArgument<T> rows(x, net.features());
            require((rows.rows.indptr != nullptr) == net.sparse(), "X: sparse and dense mixed");
            const Data<T> data = training_data(rows, targets, weights, net.outputs());
            Pass pass = pass_over(order, rows.n, n_threads);
            require(pass.n >= 1 && pass.n <= net.batch(), "X: no rows, or more than `batch`");
            std::vector<T*> blocks;
            const py::list arrays = new_blocks(net.shapes(), &blocks);
            Stop asked{py::none()};
            asked.set_on(&pass);
            double loss;
            {
              const Released release;
              loss = net.gradient(data, pass, blocks.data());
            }
            asked.raise();
            return py::make_tuple(loss, arrays);
          },
          "x"_a, "targets"_a, "weights"_a, "order"_a, py::kw_only(), "n_threads"_a,
          "The loss over the rows in `order`, and its gradient as [weight, bias, ...].");
}

/// A perceptron with the data that it learns from, checked once and not at each epoch.
template <class T>
struct Learner {
  RowsArgument<T> rows;
  Data<T> data;
  Perceptron<T> perceptron;

  Learner(const py::object& x, const py::object& targets, const py::object& weights,
          const Array<T>& coef, double intercept, const PerceptronOptions& options)
      : rows(x, coef.size()),
        data(training_data(rows, targets, weights, 1)),
        perceptron(contiguous<T>(coef, {coef.size()}, "coef"), coef.size(), intercept, options) {
    require(rows.rows.indptr || py::isinstance<Array<T>>(x), "X: wrong dtype");
    require(data.classes, "targets: must be classes");
  }
};

template <class T>
void bind_perceptron(py::module_& m, const char* name) {
  py::class_<Learner<T>>(m, name)
      .def(py::init([](const py::object& x, const py::object& targets, const py::object& weights,
                       const Array<T>& coef, double intercept, double alpha, double l1_ratio,
                       double rate, double bias_rate) {
             return Learner<T>(x, targets, weights, coef, intercept,
                               {alpha, l1_ratio, rate, bias_rate});
           }),
           "x"_a, "targets"_a, "weights"_a, "coef"_a.noconvert(), "intercept"_a, py::kw_only(),
           "alpha"_a, "l1_ratio"_a, "rate"_a, "bias_rate"_a, py::keep_alive<1, 2>(),
           py::keep_alive<1, 3>(), py::keep_alive<1, 4>())
      .def(
          "epoch",
          [](Learner<T>& self, const Order& order, const py::object& stop) {
            Pass pass = pass_over(order, self.rows.n, 1);
            Stop asked{stop};
            asked.set_on(&pass);
            double cost;
            {
              const Released release;
              cost = self.perceptron.epoch(self.data, pass);
            }
            asked.look_again();
            return py::make_tuple(cost, asked.exception);
          },
          "order"_a, "stop"_a = py::none(),
          "Learns from the rows in `order`; returns the sum of their costs, and an exception that "
          "ended it between two rows or None.")
      .def(
          "read",
          [](const Learner<T>& self) {
            const std::vector<T>& stored = self.perceptron.stored();
            return py::make_tuple(Array<T>(py::ssize_t(stored.size()), stored.data()),
                                  self.perceptron.scale(), self.perceptron.intercept());
          },
          "The weights, a factor that they are still to be multiplied by, and the intercept.");
}

/// Fills in the sizes of a network from the shapes of its weights.
void plan_units(const py::list& arrays, bool has_outputs, Plan* plan) {
  const size_t n_layers = plan->hidden.size() + (has_outputs ? 1 : 0);
  require(n_layers >= 1 && arrays.size() >= 2 * n_layers, "blocks: wrong number of arrays");
  for (size_t l = 0; l < n_layers; ++l) {
    require(py::isinstance<py::array>(arrays[2 * l]), "weight: not an array");
    const auto weight = py::cast<py::array>(arrays[2 * l]);
    const int pieces = l < plan->hidden.size() ? plan->hidden[l].pieces : 1;
    require(weight.ndim() == 2 && weight.shape(0) >= 1 && weight.shape(1) >= pieces,
            "weight: wrong shape");
    if (plan->units.empty()) plan->units.push_back(weight.shape(0));
    plan->units.push_back(weight.shape(1) / pieces);
  }
}

/// Predictions, and the mean loss where there are targets.
template <class T>
std::pair<py::array, double> predict(const py::list& arrays, const py::list& hidden,
                                     const std::optional<std::string>& loss, double loss_parameter,
                                     const py::object& x, const py::object& targets,
                                     const py::object& weights, const Order& order, int n_threads,
                                     const std::string& engine) {
  Plan plan;
  plan_hidden(hidden, &plan);
  plan_units(arrays, loss.has_value(), &plan);
  finish_plan(loss, loss_parameter, &plan);
  const auto blocks = block_pointers<T>(arrays, block_shapes(plan.recipe));
  const Engine& chosen = find_engine(engine.c_str());
  const RowsArgument<T> rows(x, plan.units.front());
  Data<T> data{rows.rows, nullptr, nullptr, nullptr};
  if (!targets.is_none()) data = training_data(rows, targets, weights, plan.units.back());
  Pass pass = pass_over(order, rows.n, n_threads);
  Array<T> out({pass.n, plan.units.back()});
  Stop asked{py::none()};
  asked.set_on(&pass);
  double value = 0;
  if (pass.n > 0) {
    T* values = out.mutable_data();
    const Released release;
    value = operations<T>(chosen).predict(plan.recipe, blocks.data(), data, pass, values);
  }
  asked.raise();
  return {out, value};
}

template <class... Arguments>
std::pair<py::array, double> predict_any(const py::list& arrays, const Arguments&... arguments) {
  const bool single = !arrays.empty() && Array<float>::check_(arrays[0]);
  return (single ? predict<float> : predict<double>)(arrays, arguments...);
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

std::vector<std::optional<double>> parameter_or_none(const std::vector<double>& parameters) {
  std::vector<std::optional<double>> values;
  values.reserve(parameters.size());
  for (const double p : parameters)
    values.push_back(p == p ? std::optional<double>(p) : std::nullopt);
  return values;
}

template <class Value>
py::dict by_name(const std::vector<std::string>& names, const std::vector<Value>& values) {
  py::dict dict;
  for (size_t i = 0; i < names.size(); ++i) dict[names[i].c_str()] = values[i];
  return dict;
}

PYBIND11_MODULE(_native, m) {
  m.doc() = "The native core of fastmlp: networks on an engine.";
  m.attr("ACTIVATIONS") = by_name(activation_names(), parameter_or_none(activation_parameters()));
  m.attr("LOSSES") = by_name(loss_names(), parameter_or_none(loss_parameters()));
  m.attr("LINKS") = by_name(loss_names(), link_names());
  std::vector<int> slots;
  for (size_t i = 0; i < solver_names().size(); ++i) slots.push_back(solver_slots(int(i)));
  m.attr("SOLVER_SLOTS") = by_name(solver_names(), slots);
  m.def("engines", available_engines,
        "The engines of this build, the preferred first, and whether this machine can run each.");
  m.def(
      "engine", [] { return find_engine("").name; },
      "The engine in use: the first available, or what FASTMLP_ENGINE says.");
  m.def("max_threads", fastmlp_get_num_threads,
        "The limit of this module: OMP_NUM_THREADS or all processors, or what threadpoolctl set.");
  m.def("is_clean", is_clean, "x"_a, "features"_a, "single"_a,
        "Whether x is a C-contiguous ndarray (n >= 1, features) of float32 (single) or float64, "
        "all finite.");
  m.def(
      "shuffle",
      [](const Array<int64_t>& order, uint32_t seed) {
        const int64_t n = order.size();
        contiguous<int64_t>(order, {n}, "order");
        require(order.writeable(), "order: read-only");
        shuffle(const_cast<int64_t*>(order.data()), n, seed);
      },
      "order"_a.noconvert(), "seed"_a, "Shuffles in place, by scikit-learn's xorshift generator.");
  m.def(
      "peak",
      [](bool single) {
        const Engine& engine = find_engine("");
        const Released release;
        return single ? engine.f32.peak() : engine.f64.peak();
      },
      "single"_a, "Operations per second of one thread on registers alone, in float32 or float64.");
  m.def(
      "predict",
      [](const py::list& blocks, const py::list& hidden, const std::optional<std::string>& loss,
         const py::object& x, const Order& order, int n_threads, const std::string& engine) {
        const py::object none = py::none();
        return predict_any(blocks, hidden, loss, 0.0, x, none, none, order, n_threads, engine)
            .first;
      },
      "blocks"_a, "hidden"_a, "loss"_a, "x"_a, "order"_a = py::none(), py::kw_only(), "n_threads"_a,
      "engine"_a = "",
      "Predictions (n, outputs) of the network [weight, bias, ...] for rows of x. Without a loss "
      "the network ends with a hidden layer.");
  m.def(
      "evaluate",
      [](const py::list& blocks, const py::list& hidden, const std::string& loss,
         const py::object& x, const py::object& targets, const py::object& weights,
         const Order& order, double loss_parameter, int n_threads, const std::string& engine) {
        return predict_any(blocks, hidden, std::optional<std::string>(loss), loss_parameter, x,
                           targets, weights, order, n_threads, engine);
      },
      "blocks"_a, "hidden"_a, "loss"_a, "x"_a, "targets"_a, "weights"_a, "order"_a = py::none(),
      py::kw_only(), "loss_parameter"_a = 0.0, "n_threads"_a, "engine"_a = "",
      "Predictions, and their mean loss against the targets, without penalty.");
  py::module_::import("atexit").attr("register")(py::cpp_function(end_calls));
  const py::module_ os = py::module_::import("os");
  if (py::hasattr(os, "register_at_fork"))  // the calls of other threads stay in the parent
    os.attr("register_at_fork")("after_in_child"_a = py::cpp_function([] { calls_in_flight = 0; }));
  bind_network<float>(m, "Network32");
  bind_network<double>(m, "Network64");
  bind_perceptron<float>(m, "Perceptron32");
  bind_perceptron<double>(m, "Perceptron64");
}

}  // namespace
}  // namespace fastmlp
