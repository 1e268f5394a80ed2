#include "threads.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#ifdef _OPENMP
#include <omp.h>
#endif
#ifndef _WIN32
#include <pthread.h>
#endif

namespace fastmlp {

namespace {

std::atomic<bool> forked{false};

#ifndef _WIN32
const int watching_forks = pthread_atfork(nullptr, nullptr, [] { forked = true; });
#endif

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

int usable_threads(int requested) { return forked ? 1 : requested; }

void run_team(int requested, void (*task)(void*, int, int), void* context) {
#ifdef _OPENMP
  if (requested > 1) {
#pragma omp parallel num_threads(requested)
    task(context, omp_get_thread_num(), omp_get_num_threads());
    return;
  }
#endif
  task(context, 0, 1);
}

void Barrier::wait(int n_threads) {
  if (n_threads == 1) return;
  constexpr int kSpins = 4000;  // some 50 us, longer than the phases of a small step differ
  const int phase = __atomic_load_n(&phase_, __ATOMIC_ACQUIRE);
  if (__atomic_add_fetch(&arrived_, 1, __ATOMIC_ACQ_REL) == n_threads) {
    __atomic_store_n(&arrived_, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&phase_, phase + 1, __ATOMIC_RELEASE);
    return;
  }
  for (int spins = 0; __atomic_load_n(&phase_, __ATOMIC_ACQUIRE) == phase; ++spins) {
    if (spins < kSpins) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void* allocate(size_t bytes) {
  constexpr size_t kAlignment = 64;
  void* memory = ::operator new(bytes, std::align_val_t(kAlignment));
  return std::memset(memory, 0, bytes);
}

void release(void* memory) { ::operator delete(memory, std::align_val_t(64)); }

}  // namespace fastmlp
