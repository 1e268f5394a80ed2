// A team of threads for one parallel region. Compiled once, for every engine.
#pragma once

#include <cstddef>
#include <cstdint>

#include "errors.hpp"

namespace fastmlp {

/// The most threads that anybody asks for: OMP_NUM_THREADS or all processors, or what was set
/// since. It is this module's own, since other libraries that happen to share its OpenMP set
/// OpenMP's. Python's threadpoolctl finds the two functions by their names.
extern "C" int fastmlp_get_num_threads();
extern "C" void fastmlp_set_num_threads(int n);

/// How many threads a region may have: `requested`, but 1 in a process forked from one that had
/// this module loaded. An OpenMP pool does not survive a fork, the child would wait for it forever,
/// and whether there is one cannot be asked: another library may have started it.
int usable_threads(int requested);

/// How a thread treats subnormal numbers, those too small for a full precision: by its processor's
/// floating-point control register, which every thread has of its own.
class SubnormalMode {
 public:
  /// The calling thread's mode.
  SubnormalMode();
  /// The same, but subnormal numbers count as zero, those that come and those that come about.
  SubnormalMode as_zero() const;
  /// Makes it the calling thread's.
  void set() const noexcept;

 private:
  uint64_t bits_;
};

/// A mode of the calling thread for as long as this object lives; then that from before.
class WithMode {
 public:
  explicit WithMode(const SubnormalMode& mode) { mode.set(); }
  ~WithMode() { before_.set(); }
  WithMode(const WithMode&) = delete;
  WithMode& operator=(const WithMode&) = delete;

 private:
  const SubnormalMode before_;
};

/// Runs task(context, thread, n_threads) on `requested` threads or fewer; returns when all have.
/// In the task subnormal numbers count as zero: momenta of weights without gradient end there, and
/// Intel's processors take some 150 cycles for every instruction that meets one.
void run_team(int requested, void (*task)(void* context, int thread, int n_threads), void* context);

/// Meets all threads of a team. Spins briefly, then yields: on a busy machine a thread that only
/// spins keeps the very core that the last one needs.
class Barrier {
 public:
  void wait(int n_threads);

 private:
  int arrived_ = 0;
  int phase_ = 0;
};

/// Seconds on a steady clock.
double seconds();

/// Asks some twenty times a second whether a pass is to end (Pass::stop), and tells all threads. It
/// is made before the team, and asks in the mode for subnormal numbers that there was then.
class Stopper {
 public:
  Stopper(bool (*ask)(void* context, bool within), void* context);

  /// The leader asks whether to end: after the step at hand, or `within` it.
  void ask(bool within);
  /// What `call` returns, called in the mode for subnormal numbers that there was before the team.
  template <class Call>
  auto in_callers_mode(Call call) const {
    const WithMode mode(mode_);
    return call();
  }
  /// Whether it was answered so. Threads that meet at a barrier after the leader has asked, and
  /// before it asks in this way again, are told the same.
  bool answered(bool within) const;

 private:
  bool (*ask_)(void*, bool);
  void* context_;
  SubnormalMode mode_;
  double asked_[2];  // when, either way
  int answered_[2] = {0, 0};
};

/// Memory aligned for any vector, zeroed unless all of it will be written. Throws OutOfMemory.
void* allocate(size_t bytes, const char* purpose, bool zeroed = true);
void release(void* memory);

}  // namespace fastmlp
