// Python's view of the core. Each function has four beats: check what came, prepare the output,
// release the GIL and call, return. Arrays are checked here to the point where no call can read or
// write outside them, as long as nobody changes them meanwhile; what they mean is checked in
// Python, with messages for users.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

#include "../errors.hpp"
#include "../network.hpp"
#include "../threads.hpp"
#include "calls.hpp"

namespace fastmlp {

// Each in the file of this name.
void bind_network(py::module_& m);
void bind_perceptron(py::module_& m);
void bind_prediction(py::module_& m);
void bind_samples(py::module_& m);

namespace {

using namespace py::literals;

py::dict all_engines() {
  py::dict engines;
  for (int i = 0; i < kNumEngines; ++i)
    engines[kEngines[i]->name] = py::make_tuple(kEngines[i]->device, kEngines[i]->lacks());
  return engines;
}

/// What compiled this module, and whether for several threads; CUDA's toolkit, or None.
py::dict build() {
#ifdef __clang__
  const char* compiler = "Clang " __clang_version__;
#else
  const char* compiler = "GCC " __VERSION__;
#endif
#ifdef _OPENMP
  const bool openmp = true;
#else
  const bool openmp = false;
#endif
#ifdef FASTMLP_CUDA_VERSION
  const char* cuda = FASTMLP_CUDA_VERSION;
#else
  const char* cuda = nullptr;
#endif
  return py::dict("compiler"_a = compiler, "openmp"_a = openmp, "cuda"_a = cuda);
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
  m.attr("BUILD") = build();
  m.attr("ACTIVATIONS") = by_name(activation_names(), parameter_or_none(activation_parameters()));
  m.attr("LOSSES") = by_name(loss_names(), parameter_or_none(loss_parameters()));
  m.attr("LINKS") = by_name(loss_names(), link_names());
  std::vector<int> slots;
  for (size_t i = 0; i < solver_names().size(); ++i) slots.push_back(solver_slots(int(i)));
  m.attr("SOLVER_SLOTS") = by_name(solver_names(), slots);
  py::register_exception<DeviceError>(m, "DeviceError", PyExc_RuntimeError);
  m.def("engines", all_engines,
        "The engines of this build, the preferred first: the device of each, and what this machine "
        "lacks to run it, or None.");
  m.def(
      "engine", [](const std::string& device) { return find_engine("", device.c_str()).name; },
      "device"_a = "cpu",
      "The engine in use for a device: the first available, or what FASTMLP_ENGINE says.");
  m.def(
      "card", [](const std::string& engine) { return find_engine(engine.c_str()).card(); },
      "engine"_a, "The name of the device that an engine runs on, as its maker gives it.");
  m.def("max_threads", fastmlp_get_num_threads,
        "The limit of this module: OMP_NUM_THREADS or all processors, or what threadpoolctl set.");
  m.def(
      "peak",
      [](bool single) {
        const Engine& engine = find_engine("");
        const Released release;
        return single ? engine.f32.peak() : engine.f64.peak();
      },
      "single"_a, "Operations per second of one thread on registers alone, in float32 or float64.");
  bind_network(m);
  bind_perceptron(m);
  bind_prediction(m);
  bind_samples(m);
  watch_exit_and_fork();
}

}  // namespace
}  // namespace fastmlp
