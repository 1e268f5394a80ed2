#include <cstring>
#include <utility>

#include "calls.hpp"
#include "plan.hpp"

namespace fastmlp {
namespace {

using namespace py::literals;

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

/// Predictions, and the mean loss where there are targets; the hidden layers' activations are added
/// to `layers`, unless it is null.
template <class T>
std::pair<py::array, double> predict(const py::list& arrays, const py::list& hidden,
                                     const std::optional<std::string>& loss, double loss_parameter,
                                     double label_smoothing, const py::object& x,
                                     const py::object& targets, const py::object& weights,
                                     const Order& order, int n_threads, const std::string& engine,
                                     py::list* layers) {
  Plan plan;
  plan_hidden(hidden, &plan);
  plan_units(arrays, loss.has_value(), &plan);
  finish_plan(loss, loss_parameter, label_smoothing, &plan);
  const auto shapes = block_shapes(plan.recipe);
  const auto blocks = block_pointers<T>(arrays, shapes);
  const Engine& chosen = find_engine(engine.c_str());
  const RowsArgument<T> rows(x, plan.units.front());
  Data<T> data{rows.rows, nullptr, nullptr, nullptr};
  if (!targets.is_none()) data = training_data(rows, targets, weights, plan.units.back());
  Pass pass = pass_over(order, rows.n, n_threads);
  Array<T> out({pass.n, plan.units.back()});
  std::vector<T*> activations;
  for (size_t l = 1; layers && l + 1 < plan.units.size(); ++l) {
    Array<T> layer({pass.n, plan.units[l]});
    activations.push_back(layer.mutable_data());
    layers->append(layer);
  }
  Stop asked{py::none()};
  asked.set_on(&pass);
  double value = 0;
  if (pass.n > 0) {
    T* values = out.mutable_data();
    const Released release(count(shapes) * double(pass.n));
    value = operations<T>(chosen).predict(plan.recipe, blocks.data(), data, pass, values,
                                          layers ? activations.data() : nullptr);
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

}  // namespace

void bind_prediction(py::module_& m) {
  m.def(
      "predict",
      [](const py::list& blocks, const py::list& hidden, const std::optional<std::string>& loss,
         const py::object& x, const Order& order, int n_threads, const std::string& engine) {
        const py::object none = py::none();
        return predict_any(blocks, hidden, loss, 0.0, 0.0, x, none, none, order, n_threads, engine,
                           nullptr)
            .first;
      },
      "blocks"_a, "hidden"_a, "loss"_a, "x"_a, "order"_a = py::none(), py::kw_only(), "n_threads"_a,
      "engine"_a = "",
      "Predictions (n, outputs) of the network [weight, bias, ...] for rows of x. Without a loss "
      "the network ends with a hidden layer.");
  m.def(
      "activations",
      [](const py::list& blocks, const py::list& hidden, const std::string& loss,
         const py::object& x, int n_threads, const std::string& engine) {
        const py::object none = py::none();
        py::list layers;
        layers.append(predict_any(blocks, hidden, std::optional<std::string>(loss), 0.0, 0.0, x,
                                  none, none, Order(), n_threads, engine, &layers)
                          .first);
        return layers;
      },
      "blocks"_a, "hidden"_a, "loss"_a, "x"_a, py::kw_only(), "n_threads"_a, "engine"_a = "",
      "The outputs (n, units) of each layer, hidden layers and predictions, for rows of x.");
  m.def(
      "evaluate",
      [](const py::list& blocks, const py::list& hidden, const std::string& loss,
         const py::object& x, const py::object& targets, const py::object& weights,
         const Order& order, double loss_parameter, double label_smoothing, int n_threads,
         const std::string& engine) {
        return predict_any(blocks, hidden, std::optional<std::string>(loss), loss_parameter,
                           label_smoothing, x, targets, weights, order, n_threads, engine, nullptr);
      },
      "blocks"_a, "hidden"_a, "loss"_a, "x"_a, "targets"_a, "weights"_a, "order"_a = py::none(),
      py::kw_only(), "loss_parameter"_a = 0.0, "label_smoothing"_a = 0.0, "n_threads"_a,
      "engine"_a = "", "Predictions, and their mean loss against the targets, without penalty.");
  m.def("is_clean", is_clean, "x"_a, "features"_a, "single"_a,
        "Whether x is a C-contiguous ndarray (n >= 1, features) of float32 (single) or float64, "
        "all finite.");
}

}  // namespace fastmlp
