// The threads of a kernel: each a fibre, run one at a time in an order that is drawn anew after
// every barrier.
//
// A stream has a crew: a conductor, which runs kernels and copies one after the other, and the
// fibres of their threads. To ThreadSanitizer each is a thread, so that whatever a stream does and
// the host did not wait for is concurrent with it, as it is on a device.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fibre.hpp"
#include "types.hpp"

namespace emulator {

constexpr unsigned kWarp = 32;

/// A kernel and its arguments, for whoever watches.
struct Launched {
  const void* kernel;
  std::vector<std::string> arguments;  // bytes
};

/// What a stream is given to do.
struct Work {
  std::function<void()> body;  // of every thread
  dim3 blocks, threads;
  size_t shared = 0;
  bool kernel = false;                       // else a copy, or a mark
  std::shared_ptr<const Launched> launched;  // null: nobody watches, or it is no kernel
};

struct Barrier {  // of a warp's or a block's threads
  unsigned members = 0, arrived = 0, left = 0;
  uint64_t phase = 0;
  const char* file = nullptr;
  int line = 0;
  char met[2];  // of phases in turn: a thread may come to the next before another has left this one
};

struct Warp {
  Barrier barrier;
  alignas(16) unsigned char slots[2][kWarp][32];  // of exchanges in turn, likewise
};

struct Block {
  uint3 index;
  const Work* work;
  Barrier barrier;
  Warp* warps;
  char* shared;
};

struct Thread {
  Fibre fibre;
  Block* block = nullptr;
  Warp* warp = nullptr;
  uint3 index{};
  unsigned lane = 0, exchanges = 0;
  const Barrier* waits = nullptr;  // until its phase is no longer
  uint64_t phase = 0;
  bool done = false;
};

struct Crew {
  Fibre conductor;
  std::vector<std::unique_ptr<Thread>> threads;
  Work* work = nullptr;
  void* sweeper = nullptr;  // to ThreadSanitizer who frees blocks' memory
  char begin, end, done;    // what ThreadSanitizer is told to be before and after
};

struct Machine {
  Fibre host;  // whoever has called
  Crew* crew = nullptr;
  Thread* now = nullptr;
  uint64_t random = 1;
};
inline Machine machine;  // of one host thread at a time

EMULATOR_OWN inline uint64_t draw() {
  uint64_t& r = machine.random;
  r ^= r << 13, r ^= r >> 7, r ^= r << 17;
  return r;
}

EMULATOR_OWN inline void seed_machine(uint64_t seed) {
  machine.random = (seed + 1) * 0x9E3779B97F4A7C15u | 1;
  for (int i = 0; i < 8; ++i) draw();
}

/// One of the numbers below n < 2^32.
inline size_t draw_below(size_t n) { return (draw() >> 32) * n >> 32; }

template <class T>
void shuffle(std::vector<T>& v) {
  for (size_t i = v.size(); i > 1; --i) std::swap(v[i - 1], v[draw_below(i)]);
}

/// Waits until all members have come to the barrier.
EMULATOR_OWN inline void wait(Barrier& b, const char* file, int line) {
  if (b.left > 0) fail("a barrier that a thread has left the kernel without", file, line);
  if (b.arrived > 0 && (b.line != line || std::strcmp(b.file, file) != 0))
    fail("threads wait at different barriers", file, line);
  b.file = file, b.line = line;
  char* met = &b.met[b.phase % 2];
  release(met);
  if (++b.arrived == b.members) {
    b.arrived = 0;
    ++b.phase;
  } else {
    Thread& t = *machine.now;
    t.waits = &b;
    t.phase = b.phase;
    switch_to(t.fibre, machine.crew->conductor);
    t.waits = nullptr;
  }
  acquire(met);
}

/// The life of a thread's fibre, which serves one thread after the other.
EMULATOR_OWN inline void live() {
  arrived(machine.now->fibre);
  for (;;) {
    acquire(&machine.crew->begin);
    machine.now->block->work->body();
    release(&machine.crew->end);
    machine.now->done = true;
    switch_to(machine.now->fibre, machine.crew->conductor);
  }
}

EMULATOR_OWN inline void go_on(Crew& crew, Thread& t) {
  machine.now = &t;
  switch_to(crew.conductor, t.fibre);
}

inline void end_thread(const Thread& t) {
  for (Barrier* b : {&t.block->barrier, &t.warp->barrier}) {
    ++b->left;
    if (b->arrived > 0) fail("a thread ended while others wait at a barrier", b->file, b->line);
  }
}

/// Runs the threads of a block to their end. What they did has happened before nothing yet: blocks
/// are concurrent.
inline void run_threads(Crew& crew, std::vector<Thread*> alive) {
  release(&crew.begin);
  while (!alive.empty()) {
    shuffle(alive);
    bool moved = false;
    size_t kept = 0;
    for (Thread* t : alive) {
      if (!t->waits || t->waits->phase != t->phase) {
        moved = true;
        go_on(crew, *t);
        if (t->done) {
          end_thread(*t);
          continue;
        }
      }
      alive[kept++] = t;
    }
    alive.resize(kept);
    if (!moved) fail("all threads wait", alive[0]->waits->file, alive[0]->waits->line);
  }
}

/// Frees what a block had, after its threads, of which the conductor must not know.
EMULATOR_OWN inline void free_block([[maybe_unused]] Crew& crew, const Block& block) {
#if defined(__SANITIZE_THREAD__)
  if (!crew.sweeper) crew.sweeper = __tsan_create_fiber(0);
  release(&crew.end);
  __tsan_switch_to_fiber(crew.sweeper, 1);
  acquire(&crew.end);
#endif
  std::free(block.warps);
  std::free(block.shared);
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(crew.conductor.tsan, 1);
#endif
}

/// NaN, of that very size, so that AddressSanitizer sees accesses outside of it.
template <class T>
T* make(size_t count) {
  void* memory = std::malloc(count * sizeof(T));
  if (!memory && count > 0) fail("no memory for a block", __FILE__, __LINE__);
  return static_cast<T*>(std::memset(memory, 0xff, count * sizeof(T)));
}

inline void run_block(Crew& crew, const Work& work, uint3 index) {
  const dim3 size = work.threads;
  const unsigned n = size.x * size.y * size.z;
  const unsigned warps = (n + kWarp - 1) / kWarp;
  Block block{index, &work, {}, make<Warp>(warps), make<char>(work.shared)};
  block.barrier.members = n;
  for (unsigned w = 0; w < warps; ++w) block.warps[w].barrier = Barrier();
  // To ThreadSanitizer a fibre is one thread whatever it serves: so each block's threads get others
  while (crew.threads.size() < (n < kWarp ? kWarp : n)) {
    crew.threads.emplace_back(new Thread);
    create(crew.threads.back()->fibre, live);
  }
  const size_t offset = draw_below(crew.threads.size());
  std::vector<Thread*> threads;
  for (unsigned i = 0; i < n; ++i) {
    Thread& t = *crew.threads[(offset + i) % crew.threads.size()];
    t.block = &block;
    t.warp = &block.warps[i / kWarp];
    t.index = {i % size.x, i / size.x % size.y, i / size.x / size.y};
    t.lane = i % kWarp;
    t.exchanges = 0;
    t.waits = nullptr;
    t.done = false;
    ++t.warp->barrier.members;
    threads.push_back(&t);
  }
  run_threads(crew, std::move(threads));
  free_block(crew, block);
}

inline void run_blocks(Crew& crew, const Work& work) {
  const dim3 size = work.blocks;
  std::vector<unsigned> order(size_t{size.x} * size.y * size.z);
  for (size_t i = 0; i < order.size(); ++i) order[i] = unsigned(i);
  shuffle(order);
  for (const unsigned i : order)
    run_block(crew, work, {i % size.x, i / size.x % size.y, i / size.x / size.y});
}

/// The life of a conductor.
EMULATOR_OWN inline void conduct() {
  arrived(machine.crew->conductor);
  for (;;) {
    Crew& crew = *machine.crew;
    acquire(crew.work);
    run_blocks(crew, *crew.work);
    acquire(&crew.end);
    delete crew.work;
    release(&crew.done);
    switch_to(crew.conductor, machine.host);
  }
}

/// Has a crew do its work, and frees that. Whoever made it has released it.
EMULATOR_OWN inline void run(Crew& crew, Work* work) {
#if defined(__SANITIZE_THREAD__)
  machine.host.tsan = __tsan_get_current_fiber();
#endif
  if (!crew.conductor.stack) create(crew.conductor, conduct);
  machine.crew = &crew;
  crew.work = work;
  switch_to(machine.host, crew.conductor);
}

}  // namespace emulator
