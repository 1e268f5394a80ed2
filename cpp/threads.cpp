#include "threads.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
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
#ifdef __linux__
#include <sys/mman.h>
#endif

#ifdef _WIN32
#define FASTMLP_EXPORT __declspec(dllexport)
#else
#define FASTMLP_EXPORT __attribute__((visibility("default")))
#endif

namespace fastmlp {

namespace {

int first_limit() {
#ifdef _OPENMP
  const char* wanted = std::getenv("OMP_NUM_THREADS");  // may be a list, of nested levels
  const int n = wanted ? std::atoi(wanted) : 0;
  return n < 1 ? omp_get_num_procs() : n < omp_get_thread_limit() ? n : omp_get_thread_limit();
#else
  return 1;
#endif
}

std::atomic<int> limit{first_limit()};
std::atomic<bool> forked{false};

#ifndef _WIN32
const int watching_forks = pthread_atfork(nullptr, nullptr, [] { forked = true; });
#endif

// ThreadSanitizer does not see into OpenMP's library: it has to be told that what is done before a
// region happens before what is done in it, and that before what is done after it.
#ifdef __SANITIZE_THREAD__
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
inline void tell_tsan_before(void* context) { __tsan_release(context); }
inline void tell_tsan_after(void* context) { __tsan_acquire(context); }
#else
inline void tell_tsan_before(void*) {}
inline void tell_tsan_after(void*) {}
#endif

constexpr size_t kAlignment = 64;

// FZ of aarch64 flushes what comes and what comes about. MXCSR of x86 has a bit for each: DAZ, FTZ.
#if defined(__aarch64__)
constexpr uint64_t kZeroSubnormals = uint64_t(1) << 24;
#else
constexpr uint64_t kZeroSubnormals = 0x8040;
#endif

inline void run_task(void (*task)(void*, int, int), void* context, int thread, int n_threads) {
  const WithMode mode(SubnormalMode().as_zero());
  task(context, thread, n_threads);
}

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

}  // namespace

extern "C" FASTMLP_EXPORT int fastmlp_get_num_threads() { return limit; }

extern "C" FASTMLP_EXPORT void fastmlp_set_num_threads(int n) { limit = n < 1 ? 1 : n; }

int usable_threads(int requested) { return forked ? 1 : requested; }

SubnormalMode::SubnormalMode() : bits_(0) {
#if defined(__SSE__)
  bits_ = __builtin_ia32_stmxcsr();
#elif defined(__aarch64__)
  __asm__ volatile("mrs %0, fpcr" : "=r"(bits_));
#endif
}

SubnormalMode SubnormalMode::as_zero() const {
  SubnormalMode mode(*this);
  mode.bits_ |= kZeroSubnormals;
  return mode;
}

void SubnormalMode::set() const noexcept {
#if defined(__SSE__)
  __builtin_ia32_ldmxcsr(unsigned(bits_));
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(bits_));
#endif
}

void run_team(int requested, void (*task)(void*, int, int), void* context) {
#ifdef _OPENMP
  if (requested > 1) {
    tell_tsan_before(context);
#pragma omp parallel num_threads(requested)
    {
      tell_tsan_after(context);
      run_task(task, context, omp_get_thread_num(), omp_get_num_threads());
      tell_tsan_before(context);
    }
    tell_tsan_after(context);
    return;
  }
#endif
  run_task(task, context, 0, 1);
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
      continue;
    }
    if (forked) {  // no team is made in such a process: this one stayed in the parent
      std::fputs(
          "fastmlp: a signal's handler forked within a fit, and the child returned from it\n",
          stderr);
      std::abort();
    }
    std::this_thread::yield();
  }
}

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Stopper::Stopper(bool (*ask)(void*, bool), void* context)
    : ask_(ask), context_(context), asked_{seconds(), asked_[0]} {}

void Stopper::ask(bool within) {
  constexpr double kAskEvery = 0.05;  // seconds
  const double now = seconds();
  if (!ask_ || now < asked_[within] + kAskEvery) return;
  asked_[within] = now;
  const bool answer = in_callers_mode([&] { return ask_(context_, within); });
  __atomic_store_n(&answered_[within], int(answer), __ATOMIC_RELAXED);
}

bool Stopper::answered(bool within) const {
  return __atomic_load_n(&answered_[within], __ATOMIC_RELAXED);
}

// Of calloc, not new and memset: pages that nobody writes to, such as those of a solver's state
// that a solver has not, then take no memory. Before the aligned block stands what the system gave.
void* allocate(size_t bytes, const char* purpose, bool zeroed) {
  constexpr size_t kRoom = kAlignment + sizeof(void*);
  void* got = nullptr;
  if (bytes <= SIZE_MAX - kRoom)
    got = zeroed ? std::calloc(bytes + kRoom, 1) : std::malloc(bytes + kRoom);
  char* whole = static_cast<char*>(got);
  if (!whole) throw OutOfMemory(double(bytes), purpose);
  const uintptr_t least = reinterpret_cast<uintptr_t>(whole) + kRoom;
  char* block = whole + kRoom - least % kAlignment;
#ifdef MADV_HUGEPAGE
  // Large pages for large blocks, where the system gives them on request: fewer faults when they
  // are first written to, and fewer misses when panels are read across.
  constexpr uintptr_t kPage = uintptr_t(2) << 20;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(block) + kPage - 1) / kPage * kPage,
                  end = (reinterpret_cast<uintptr_t>(block) + bytes) / kPage * kPage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
  std::memcpy(block - sizeof whole, &whole, sizeof whole);
  return block;
}

void release(void* memory) {
  if (!memory) return;
  void* whole;
  std::memcpy(&whole, static_cast<char*>(memory) - sizeof whole, sizeof whole);
  std::free(whole);
}

}  // namespace fastmlp
