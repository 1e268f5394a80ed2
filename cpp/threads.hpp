// A team of threads for one parallel region. Compiled once, for every engine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fastmlp {

/// How many threads a region may have: `requested`, but 1 in a process forked from one that had
/// this module loaded. An OpenMP pool does not survive a fork, the child would wait for it forever,
/// and whether there is one cannot be asked: another library may have started it.
int usable_threads(int requested);

/// Runs task(context, thread, n_threads) on `requested` threads or fewer; returns when all have.
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

/// Memory aligned for any vector, zeroed. Throws std::bad_alloc.
void* allocate(size_t bytes);
void release(void* memory);

}  // namespace fastmlp
