// Stacks that one thread of the operating system runs in turn.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "sanitizers.hpp"

// EMULATOR_UCONTEXT: the portable way on x86-64 too, for its test.
#if !defined(__x86_64__) && !defined(EMULATOR_UCONTEXT)
#define EMULATOR_UCONTEXT
#endif
#if defined(EMULATOR_UCONTEXT)
#include <ucontext.h>
#endif

namespace emulator {

/// Ends the process: a kernel has done what on a device has no defined result.
[[noreturn]] inline void fail(const char* what, const char* file, int line) {
  std::fprintf(stderr, "emulator: %s (%s:%d)\n", what, file, line);
  std::abort();
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr size_t kStack = 512 << 10;
#else
constexpr size_t kStack = 128 << 10;
#endif
constexpr size_t kGuard = 64 << 10;  // below it, of no access: as large as any page

struct Fibre {
  char* stack = nullptr;  // null: the stack that the caller of the emulator runs on
#if defined(EMULATOR_UCONTEXT)
  ucontext_t context{};
#else
  void* top = nullptr;  // of the stack while others run
#endif
  void* tsan = nullptr;
  void* asan = nullptr;
  const void* bottom = nullptr;  // what AddressSanitizer knows as its stack
  size_t size = 0;

  Fibre() = default;
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;
  ~Fibre() {
    if (stack) munmap(stack - kGuard, kGuard + kStack);
  }
};

inline Fibre* leaving = nullptr;  // the fibre that was left last

#if !defined(EMULATOR_UCONTEXT)
/// Keeps what goes on here on this stack, and goes on with what the other one kept.
__attribute__((noinline)) inline void switch_stack(void** from, void* to) {
  // below the stack's top, 128 bytes may be in use
  asm volatile(
      "subq $128, %%rsp\n\t"
      "pushq %%rbp\n\t"
      "leaq 1f(%%rip), %%rax\n\t"
      "pushq %%rax\n\t"
      "movq %%rsp, (%0)\n\t"
      "movq %1, %%rsp\n\t"
      "popq %%rax\n\t"
      "jmpq *%%rax\n"
      "1:\n\t"
      "popq %%rbp\n\t"
      "addq $128, %%rsp\n\t"
      : "+D"(from), "+S"(to)
      :
      : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0",
        "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
        "xmm12", "xmm13", "xmm14", "xmm15", "cc", "memory");
}
#endif

/// To be called first by what runs after a switch.
EMULATOR_OWN inline void arrived([[maybe_unused]] Fibre& here) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(here.asan, &leaving->bottom, &leaving->size);
#endif
}

EMULATOR_OWN inline void switch_to(Fibre& here, Fibre& there) {
  leaving = &here;
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(there.tsan, 1);  // 1: who runs later does not run after
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&here.asan, there.bottom, there.size);
#endif
#if defined(EMULATOR_UCONTEXT)
  swapcontext(&here.context, &there.context);
#else
  switch_stack(&here.top, there.top);
#endif
  arrived(here);
}

/// Makes a fibre of its own stack, which begins with start(): that never returns.
inline void create(Fibre& f, void (*start)()) {
  void* memory = mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, kGuard, PROT_NONE) != 0)
    fail("no memory for a stack", __FILE__, __LINE__);
  f.stack = static_cast<char*>(memory) + kGuard;
  f.bottom = f.stack;
  f.size = kStack;
#if defined(EMULATOR_UCONTEXT)
  getcontext(&f.context);
  f.context.uc_stack.ss_sp = f.stack;
  f.context.uc_stack.ss_size = kStack;
  f.context.uc_link = nullptr;
  makecontext(&f.context, start, 0);
#else
  void** top = reinterpret_cast<void**>(f.stack + kStack);
  *--top = nullptr;  // where a return address would be
  *--top = reinterpret_cast<void*>(start);
  f.top = top;
#endif
#if defined(__SANITIZE_THREAD__)
  f.tsan = __tsan_create_fiber(0);
#endif
}

}  // namespace emulator
