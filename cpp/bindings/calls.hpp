// A long call into the core: the GIL released, Python asked whether to stop, the interpreter's end.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <optional>

#include "../engine.hpp"

namespace fastmlp {

namespace py = pybind11;

/// Multiply-adds below which a call keeps the GIL: some 50 us. Where two threads make such calls in
/// turn, waking the other one each time takes longer than what they could do at the same time.
constexpr double kBriefWork = 1e6;

/// The GIL released for the time of a call, unless it is brief.
class Released {
 public:
  explicit Released(double work = kBriefWork) {
    if (work >= kBriefWork) release_.emplace();
  }

 private:
  struct InFlight {
    InFlight();
    ~InFlight();
  };
  InFlight in_flight_;  // until after the GIL is back
  std::optional<py::gil_scoped_release> release_;
};

/// What a pass asks from time to time, and what came of it.
struct Stop {
  py::object ask;                     // a callable, or None
  py::object exception = py::none();  // that a signal's handler or `ask` raised

  void set_on(Pass* pass);

  /// After a call, with the GIL: a signal that came since the last time would be raised on the way
  /// back to Python, and what the call returns lost.
  void look_again();

  /// After a call of which nothing is of use once it was stopped.
  void raise() const;
};

/// A process's share of a pass, as Python describes it: (places, rows of the whole pass, batch,
/// reduce). `reduce` is called with an array, whose numbers it replaces by their sums over all
/// processes; it returns whether the pass is to end.
class PartArgument {
 public:
  PartArgument(const py::object& part, const py::dtype& dtype);

  /// Makes it the pass's, whose rows are this process's. An exception of `reduce` goes to `stop`.
  void set_on(Pass* pass, Stop* stop);

 private:
  static Part::Answer reduce(void* context, void* numbers, int64_t count) noexcept;

  bool given_;
  py::object places_, reduce_;
  int64_t n_ = 0;
  Part part_{};
  py::dtype dtype_;
  Stop* stop_ = nullptr;
};

/// Once per module: has the calls in flight looked after at the interpreter's exit and at a fork.
void watch_exit_and_fork();

}  // namespace fastmlp
