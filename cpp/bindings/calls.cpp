#include "calls.hpp"

#include <atomic>
#include <chrono>
#include <thread>

#include "arguments.hpp"

namespace fastmlp {
namespace {

using namespace py::literals;

// At the interpreter's exit a daemon thread that comes back for the GIL is ended on the spot, and
// the process aborted, since there are C++ frames on its stack. So at exit the calls in flight are
// stopped and waited for, and threads but the one that exits can make no more.
std::atomic<bool> exiting{false};
std::thread::id exiting_thread;  // once it is exiting
std::atomic<int> calls_in_flight{0};

bool ends_with_the_interpreter() { return exiting && std::this_thread::get_id() != exiting_thread; }

void end_calls() {
  exiting_thread = std::this_thread::get_id();
  exiting = true;
  while (calls_in_flight > 0) {
    const py::gil_scoped_release release;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// Python's error for later: no C++ exception may leave a pass, for threads wait for this one.
py::object take_error() {
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (value && trace) PyException_SetTraceback(value, trace);
  const auto exception = py::reinterpret_steal<py::object>(value ? value : type);
  if (value) Py_XDECREF(type);
  Py_XDECREF(trace);
  return exception;
}

/// Signals are handled here: a fit can be interrupted within an epoch, a call within a step.
bool ask_python(void* context, bool within) {
  Stop& stop = *static_cast<Stop*>(context);
  const py::gil_scoped_acquire acquire;
  if (ends_with_the_interpreter()) {
    PyErr_SetNone(PyExc_SystemExit);
  } else if (PyErr_CheckSignals() == 0) {
    if (within || stop.ask.is_none()) return false;
    PyObject* answer = PyObject_CallNoArgs(stop.ask.ptr());
    const int yes = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    if (yes >= 0) return yes;
  }
  stop.exception = take_error();
  return true;
}

}  // namespace

Released::InFlight::InFlight() {
  if (ends_with_the_interpreter()) {
    PyErr_SetNone(PyExc_SystemExit);
    throw py::error_already_set();
  }
  ++calls_in_flight;
}

Released::InFlight::~InFlight() { --calls_in_flight; }

void Stop::set_on(Pass* pass) {
  pass->stop = ask_python;
  pass->context = this;
}

void Stop::look_again() {
  if (exception.is_none() && PyErr_CheckSignals() != 0) exception = take_error();
}

void Stop::raise() const {
  if (exception.is_none()) return;
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw py::error_already_set();
}

PartArgument::PartArgument(const py::object& part, const py::dtype& dtype)
    : given_(!part.is_none()), dtype_(dtype) {
  if (!given_) return;
  const auto parts = py::cast<py::tuple>(part);
  require(parts.size() == 4, "part: (places, n, batch, reduce)");
  places_ = parts[0];
  n_ = py::cast<int64_t>(parts[1]);
  part_.batch = py::cast<int64_t>(parts[2]);
  reduce_ = parts[3];
  part_.rows = int64_t(py::len(places_));
  part_.places = contiguous<int64_t>(places_, {part_.rows}, "part");
  require(n_ >= 1 && part_.batch >= 1, "part: n and batch must be positive");
  int64_t least = 0;
  for (int64_t i = 0; i < part_.rows; least = part_.places[i++] + 1)
    require(part_.places[i] >= least && part_.places[i] < n_, "part: places must rise to n");
  part_.reduce = reduce;
  part_.context = this;
}

void PartArgument::set_on(Pass* pass, Stop* stop) {
  if (!given_) return;
  require(part_.rows == pass->n, "part: as many places as rows in `order`");
  pass->n = n_;
  pass->part = &part_;
  stop_ = stop;
}

Part::Answer PartArgument::reduce(void* context, void* numbers, int64_t count) noexcept {
  const PartArgument& self = *static_cast<PartArgument*>(context);
  const py::gil_scoped_acquire acquire;
  try {
    const py::capsule not_owned(numbers, [](void*) {});
    const py::array array(self.dtype_, {count}, {self.dtype_.itemsize()}, numbers, not_owned);
    return py::cast<bool>(self.reduce_(array)) ? Part::Answer::ends : Part::Answer::goes_on;
  } catch (py::error_already_set& error) {
    self.stop_->exception = error.value();
  } catch (const std::exception& error) {
    self.stop_->exception = py::module_::import("builtins").attr("RuntimeError")(error.what());
  }
  return Part::Answer::failed;
}

void watch_exit_and_fork() {
  py::module_::import("atexit").attr("register")(py::cpp_function(end_calls));
  const py::module_ os = py::module_::import("os");
  if (py::hasattr(os, "register_at_fork"))  // the calls of other threads stay in the parent
    os.attr("register_at_fork")("after_in_child"_a = py::cpp_function([] { calls_in_flight = 0; }));
}

}  // namespace fastmlp
