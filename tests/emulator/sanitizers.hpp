// What the sanitizers have to be told of fibres; nothing without them.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_THREAD__)
extern "C" {
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fibre, unsigned flags);
void* __tsan_get_current_fiber();
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
// For what passes control on, which ThreadSanitizer is not to look at: it would take the
// emulator's own bookkeeping for a race, and see calls that return on another stack.
#define EMULATOR_OWN __attribute__((no_sanitize("thread"), noinline))
#else
#define EMULATOR_OWN
#endif

#if defined(__SANITIZE_ADDRESS__)
extern "C" {
void __sanitizer_start_switch_fiber(void** saved, const void* bottom, size_t size);
void __sanitizer_finish_switch_fiber(void* saved, const void** bottom, size_t* size);
void __asan_poison_memory_region(const volatile void* memory, size_t bytes);
void __asan_unpoison_memory_region(const volatile void* memory, size_t bytes);
}
#endif

namespace emulator {

/// What was done before release(x) happened before what is done after a later acquire(x).
EMULATOR_OWN inline void release([[maybe_unused]] void* x) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(x);
#endif
}

EMULATOR_OWN inline void acquire([[maybe_unused]] void* x) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(x);
#endif
}

/// Under AddressSanitizer, whether memory may be touched.
inline void allow([[maybe_unused]] void* memory, [[maybe_unused]] size_t bytes,
                  [[maybe_unused]] bool allowed) {
#if defined(__SANITIZE_ADDRESS__)
  (allowed ? __asan_unpoison_memory_region : __asan_poison_memory_region)(memory, bytes);
#endif
}

}  // namespace emulator
