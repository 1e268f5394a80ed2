#include <cstring>
#include <utility>

#include "plan.hpp"
#include "samples.hpp"

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
    const int pieces = l < plan->hidden.size() ? plan->hidden[l].pieces * plan->recipe.gates() : 1;
    require(weight.ndim() == 2 && weight.shape(0) >= 1 && weight.shape(1) >= pieces,
            "weight: wrong shape");
    if (plan->units.empty()) plan->units.push_back(weight.shape(0));
    plan->units.push_back(weight.shape(1) / pieces);
  }
}

/// What a network is to predict, or to be evaluated on.
struct Request {
  const py::list& hidden;
  const std::optional<std::string>& loss;
  double loss_parameter, label_smoothing;
  const py::object &x, &targets, &weights;
  bool evaluates;
  const Order& order;
  const std::string& cell;
  bool per_step;
  const py::object &lengths, &state;
  int n_threads;
  const std::string& engine;
};

/// Pointers to the first states of a recurrent network's layers, or none.
template <class T>
std::vector<const T*> state_pointers(const py::object& state, const Plan& plan, int64_t n) {
  std::vector<const T*> pointers;
  if (state.is_none()) return pointers;
  require(plan.recipe.recurrent(), "initial_state: a dense network has none");
  const auto arrays = py::cast<py::list>(state);
  require(arrays.size() == plan.hidden.size(), "initial_state: an array per hidden layer");
  for (size_t l = 0; l < arrays.size(); ++l)
    pointers.push_back(contiguous<T>(arrays[l], {n, plan.units[l + 1]}, "initial_state"));
  return pointers;
}

/// Predictions, and the mean loss where it `evaluates`; the hidden layers' activations are added
/// to `layers`, unless it is null.
template <class T>
std::pair<py::array, double> predict(const py::list& arrays, const Request& asked,
                                     py::list* layers) {
  Plan plan;
  plan_hidden(asked.hidden, &plan);
  plan_cell(asked.cell, asked.per_step, 1, &plan);
  plan_units(arrays, asked.loss.has_value(), &plan);
  finish_plan(asked.loss, asked.loss_parameter, asked.label_smoothing, &plan);
  const auto shapes = block_shapes(plan.recipe);
  const auto blocks = block_pointers<T>(arrays, shapes);
  const Engine& chosen = find_engine(asked.engine.c_str());
  const bool recurrent = plan.recipe.recurrent();
  const SamplesArgument<T> samples(
      {chosen, plan.units.front(), plan.units.back(), asked.per_step, recurrent}, asked.x,
      asked.targets, asked.weights, asked.lengths);
  require(samples->has_targets() == asked.evaluates,
          "targets: `evaluate` needs them, other calls take samples without");
  const auto state = state_pointers<T>(asked.state, plan, samples->n());
  Pass pass = pass_over(asked.order, samples->n(), asked.n_threads);
  const auto shape = [&](bool per_step, int64_t columns) {
    return per_step ? std::vector<int64_t>{pass.n, samples->steps(), columns}
                    : std::vector<int64_t>{pass.n, columns};
  };
  Array<T> out(shape(asked.per_step, plan.units.back()));
  std::vector<T*> activations;
  for (size_t l = 1; layers && l + 1 < plan.units.size(); ++l) {
    Array<T> layer(shape(recurrent, plan.units[l]));
    activations.push_back(layer.mutable_data());
    layers->append(layer);
  }
  Stop stop{py::none()};
  stop.set_on(&pass);
  double value = 0;
  if (pass.n > 0) {
    T* values = out.mutable_data();
    const Released release(count(shapes) * double(pass.n * samples->steps()));
    value = operations<T>(chosen).predict(plan.recipe, blocks.data(), samples->held(), pass, values,
                                          layers ? activations.data() : nullptr,
                                          state.empty() ? nullptr : state.data());
  }
  stop.raise();
  return {out, value};
}

std::pair<py::array, double> predict_any(const py::list& arrays, const Request& asked,
                                         py::list* layers = nullptr) {
  const bool single = !arrays.empty() && Array<float>::check_(arrays[0]);
  return (single ? predict<float> : predict<double>)(arrays, asked, layers);
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
  const py::object none = py::none();
  m.def(
      "predict",
      [](const py::list& blocks, const py::list& hidden, const std::optional<std::string>& loss,
         const py::object& x, const Order& order, const std::string& cell, bool per_step,
         const py::object& lengths, const py::object& state, int n_threads,
         const std::string& engine) {
        const py::object none = py::none();
        return predict_any(blocks, {hidden, loss, 0.0, 0.0, x, none, none, false, order, cell,
                                    per_step, lengths, state, n_threads, engine})
            .first;
      },
      "blocks"_a, "hidden"_a, "loss"_a, "x"_a, "order"_a = none, py::kw_only(), "cell"_a = "",
      "per_step"_a = false, "lengths"_a = none, "initial_state"_a = none, "n_threads"_a,
      "engine"_a = "",
      "Predictions (n, outputs) of the network [weight, bias, ...] for rows of x. Without a loss "
      "the network ends with a hidden layer.");
  m.def(
      "activations",
      [](const py::list& blocks, const py::list& hidden, const std::string& loss,
         const py::object& x, const std::string& cell, bool per_step, const py::object& lengths,
         const py::object& state, int n_threads, const std::string& engine) {
        const py::object none = py::none();
        py::list layers;
        layers.append(
            predict_any(blocks,
                        {hidden, std::optional<std::string>(loss), 0.0, 0.0, x, none, none, false,
                         Order(), cell, per_step, lengths, state, n_threads, engine},
                        &layers)
                .first);
        return layers;
      },
      "blocks"_a, "hidden"_a, "loss"_a, "x"_a, py::kw_only(), "cell"_a = "", "per_step"_a = false,
      "lengths"_a = none, "initial_state"_a = none, "n_threads"_a, "engine"_a = "",
      "The outputs (n, units) of each layer, hidden layers and predictions, for rows of x.");
  m.def(
      "evaluate",
      [](const py::list& blocks, const py::list& hidden, const std::string& loss,
         const py::object& x, const py::object& targets, const py::object& weights,
         const Order& order, double loss_parameter, double label_smoothing, const std::string& cell,
         bool per_step, const py::object& lengths, const py::object& state, int n_threads,
         const std::string& engine) {
        return predict_any(blocks, {hidden, std::optional<std::string>(loss), loss_parameter,
                                    label_smoothing, x, targets, weights, true, order, cell,
                                    per_step, lengths, state, n_threads, engine});
      },
      "blocks"_a, "hidden"_a, "loss"_a, "x"_a, "targets"_a = none, "weights"_a = none,
      "order"_a = none, py::kw_only(), "loss_parameter"_a = 0.0, "label_smoothing"_a = 0.0,
      "cell"_a = "", "per_step"_a = false, "lengths"_a = none, "initial_state"_a = none,
      "n_threads"_a, "engine"_a = "",
      "Predictions, and their mean loss against the targets, without penalty.");
  m.def("is_clean", is_clean, "x"_a, "features"_a, "single"_a,
        "Whether x is a C-contiguous ndarray (n >= 1, features) of float32 (single) or float64, "
        "all finite.");
}

}  // namespace fastmlp
