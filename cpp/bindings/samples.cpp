#include "samples.hpp"

#include <memory>

namespace fastmlp {
namespace {

using namespace py::literals;

template <class T>
void bind_class(py::module_& m, const char* name) {
  const py::object none = py::none();
  py::class_<Samples<T>>(m, name,
                         "Samples that an engine holds for any number of calls. Their arrays are "
                         "checked here, and must not be changed afterwards.")
      .def(py::init([](const py::object& x, const py::object& targets, const py::object& weights,
                       int64_t features, int64_t outputs, bool per_step, bool sequences,
                       const py::object& lengths, const std::string& engine) {
             require(features >= 1 && outputs >= 1, "features, outputs: must be positive");
             require(sequences || !per_step, "per_step: of sequences only");
             const SamplesKind kind{find_engine(engine.c_str()), features, outputs, per_step,
                                    sequences};
             return std::make_unique<Samples<T>>(kind, x, targets, weights, lengths);
           }),
           "x"_a, "targets"_a = none, "weights"_a = none, py::kw_only(), "features"_a, "outputs"_a,
           "per_step"_a = false, "sequences"_a = false, "lengths"_a = none, "engine"_a = "");
}

}  // namespace

void bind_samples(py::module_& m) {
  bind_class<float>(m, "Samples32");
  bind_class<double>(m, "Samples64");
}

}  // namespace fastmlp
