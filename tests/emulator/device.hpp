// The emulated device: its memory, streams, events and graphs, and what tests have it do wrong.
//
// Work in a stream waits, until something has to wait for it, in one of three schedules that the
// seed chooses: 0 is no waiting; 1 is as long as the host lets it; 2 is some, and of any stream.
#pragma once

#include <pthread.h>

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "machine.hpp"

/// Steps before a number, of a stream.
struct EmulatorMark {
  EmulatorStream* stream = nullptr;
  uint64_t number = 0;
};

struct EmulatorEvent {
  EmulatorMark mark;  // of the last record
  bool alive = false, timed = false, captured = false;
  std::chrono::steady_clock::time_point time;
  char met;
};

namespace emulator {

struct Step {
  Work* work;
  EmulatorEvent* event = nullptr;  // that it records
  EmulatorMark after;              // that it waits for
};

}  // namespace emulator

struct EmulatorGraph {
  std::vector<emulator::Work> nodes;
};
struct EmulatorGraphExec {
  std::vector<emulator::Work> nodes;
};

struct EmulatorStream {
  emulator::Crew crew;
  std::deque<emulator::Step> waiting;
  uint64_t given = 0, done = 0;
  bool alive = false;
  std::unique_ptr<EmulatorGraph> capture;  // while it captures
  bool spoilt = false;                     // the capture
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id capturer;
};

namespace emulator {

constexpr int kMostShared = 232448, kShared = 48 << 10;

struct Allocation {
  size_t bytes;
  bool device;  // else the host's, pinned
};

struct Device {
  std::mutex mutex;  // held in every call
  std::map<uintptr_t, Allocation> memory;
  std::map<uintptr_t, size_t> guards;
  std::map<const void*, int> most_shared;  // of kernels that asked for more
  size_t total = size_t{4} << 30, used = 0;
  // Both are kept and used again when they are destroyed.
  std::deque<EmulatorStream> streams = std::deque<EmulatorStream>(1);  // the first is the default
  std::deque<EmulatorEvent> events;
  unsigned schedule = 0;
  bool seeded = false, begun = false, forked = false;
  int devices = 1;
  uint64_t launches = 0;
  // What tests have fail
  int failing_malloc = 0, failing_launch = 0;  // 1: the next
  cudaError_t launch_error = cudaSuccess, sticky = cudaSuccess;
};
inline Device& device = *new Device;  // never destroyed: sessions may be closed late
inline thread_local cudaError_t last_error = cudaSuccess;
inline thread_local int current_device = 0;

/// Called before and after every kernel, unless null.
inline void (*watch)(const Work&, bool after) = nullptr;

inline void set_seed(uint64_t seed) {
  seed_machine(seed);
  device.schedule = unsigned(seed % 3);
  device.seeded = true;
}

/// On the first call. As CUDA, the emulator does not work in the child of a process that used it.
inline void begin() {
  if (device.begun) return;
  device.begun = true;
  device.streams[0].alive = true;
  const char* seed = std::getenv("FASTMLP_EMULATOR_SEED");
  if (seed && !device.seeded) set_seed(std::strtoull(seed, nullptr, 10));
  pthread_atfork(nullptr, nullptr, [] { device.forked = true; });
}

inline cudaError_t say(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

/// A call of the run-time library.
template <class Body>
cudaError_t call(const Body& body) {
  if (device.forked) return say(cudaErrorInitializationError);
  const std::lock_guard<std::mutex> guard(device.mutex);
  begin();
  if (device.sticky != cudaSuccess) return say(device.sticky);
  if (device.devices == 0) return say(cudaErrorNoDevice);
  return say(body());
}

// ---- memory ----

enum class Place { pageable, pinned, device, outside };

/// Where memory is; `outside` if only a part is in an allocation.
inline Place place(const void* p, size_t bytes) {
  const auto at = reinterpret_cast<uintptr_t>(p);
  auto next = device.memory.upper_bound(at);
  if (next != device.memory.end() && next->first - at < bytes) return Place::outside;
  if (next == device.memory.begin()) return Place::pageable;
  const auto& [begin, a] = *--next;
  if (at - begin >= a.bytes + (bytes == 0)) return Place::pageable;
  if (bytes > a.bytes - (at - begin)) return Place::outside;
  return a.device ? Place::device : Place::pinned;
}

/// Lets AddressSanitizer know who may touch the device's memory: not the host; and kernels no
/// guards.
inline void open_memory([[maybe_unused]] bool to_device, [[maybe_unused]] bool to_kernel) {
#if defined(__SANITIZE_ADDRESS__)
  for (const auto& [begin, a] : device.memory)
    if (a.device) allow(reinterpret_cast<void*>(begin), a.bytes, to_device);
  if (!to_kernel) return;
  for (const auto& [begin, bytes] : device.guards)
    allow(reinterpret_cast<void*>(begin), bytes, false);
#endif
}

/// Makes a guard of what lies between the parts that the engine divides an allocation into.
inline void guard(const void* memory, size_t bytes) {
  const std::lock_guard<std::mutex> lock(device.mutex);
  if (place(memory, bytes) == Place::device)
    device.guards[reinterpret_cast<uintptr_t>(memory)] = bytes;
}

inline cudaError_t allocate(void** p, size_t bytes, bool on_device) {
  *p = nullptr;
  if (device.failing_malloc > 0 && --device.failing_malloc == 0) return cudaErrorMemoryAllocation;
  if (bytes == 0) return cudaSuccess;
  if (on_device && bytes > device.total - std::min(device.used, device.total))
    return cudaErrorMemoryAllocation;
  if (posix_memalign(p, 256, bytes) != 0) return cudaErrorMemoryAllocation;
  std::memset(*p, 0xff, bytes);
  device.memory[reinterpret_cast<uintptr_t>(*p)] = {bytes, on_device};
  if (on_device) {
    device.used += bytes;
    allow(*p, bytes, false);
  }
  return cudaSuccess;
}

// ---- streams ----

inline EmulatorStream& stream_of(cudaStream_t s) { return s ? *s : device.streams[0]; }

inline void advance(EmulatorStream& s);

inline void run_until(EmulatorStream& s, uint64_t number) {
  while (s.done < number) advance(s);
}

/// Does the stream's next step.
inline void advance(EmulatorStream& s) {
  const Step step = s.waiting.front();
  s.waiting.pop_front();
  if (step.after.stream) run_until(*step.after.stream, step.after.number);
  const Work watched = watch ? *step.work : Work{};  // it is freed when it is done
  open_memory(true, step.work->kernel);
  if (watched.launched) watch(watched, false);
  run(s.crew, step.work);
  if (watched.launched) watch(watched, true);
  open_memory(false, false);
  ++s.done;
  if (step.event && step.event->mark.stream == &s && step.event->mark.number == s.done)
    step.event->time = std::chrono::steady_clock::now();
}

/// The host waits for a stream.
inline void finish(EmulatorStream& s) {
  run_until(s, s.given);
  acquire(&s.crew.done);
}

inline void finish_all() {
  std::vector<EmulatorStream*> busy;
  for (EmulatorStream& s : device.streams)
    if (s.done < s.given) busy.push_back(&s);
  while (!busy.empty()) {
    const size_t i = draw_below(busy.size());
    if (busy[i]->done < busy[i]->given) advance(*busy[i]);
    if (busy[i]->done == busy[i]->given) busy.erase(busy.begin() + ptrdiff_t(i));
  }
  for (EmulatorStream& s : device.streams) acquire(&s.crew.done);
}

/// Gives a stream something to do.
inline void give(EmulatorStream& s, Work work, EmulatorEvent* event = nullptr,
                 EmulatorMark after = {}) {
  Step step{new Work(std::move(work)), event, after};
  release(step.work);
  s.waiting.push_back(step);
  ++s.given;
  if (event) event->mark = {&s, s.given};
  if (device.schedule == 0) run_until(s, s.given);
  if (device.schedule == 2 && draw_below(2)) {
    EmulatorStream& any = device.streams[draw_below(device.streams.size())];
    if (any.done < any.given) advance(any);
  }
}

/// Has a stream do something, now or, if it captures, in a graph. Never both.
inline cudaError_t order(EmulatorStream& s, Work work) {
  if (s.capture) {
    if (s.spoilt) return cudaErrorStreamCaptureInvalidated;
    s.capture->nodes.push_back(std::move(work));
  } else {
    device.launches += work.kernel;
    give(s, std::move(work));
  }
  return cudaSuccess;
}

inline Work single(std::function<void()> body) {
  return {std::move(body), dim3(1), dim3(1), 0, false, nullptr};
}

inline cudaError_t spoil(EmulatorStream& s) {
  s.spoilt = true;
  return cudaErrorStreamCaptureUnsupported;
}

/// What CUDA forbids while streams capture, in this thread or in any, as their mode says.
inline cudaError_t check_capture() {
  cudaError_t error = cudaSuccess;
  for (EmulatorStream& s : device.streams)
    if (s.capture &&
        (s.mode == cudaStreamCaptureModeGlobal ||
         (s.mode == cudaStreamCaptureModeThreadLocal && s.capturer == std::this_thread::get_id())))
      error = spoil(s);
  return error;
}

inline bool launch_fails() { return device.failing_launch > 0 && --device.failing_launch == 0; }

// ---- copies ----

struct Copy {
  void* to;
  size_t to_pitch;
  const void* from;
  size_t from_pitch, width, height;

  void operator()() const {
    for (size_t row = 0; row < height; ++row)
      std::memcpy(static_cast<char*>(to) + row * to_pitch,
                  static_cast<const char*>(from) + row * from_pitch, width);
  }
  static size_t extent(size_t pitch, size_t width, size_t height) {
    return width && height ? (height - 1) * pitch + width : 0;
  }
};

inline bool kind_fits(cudaMemcpyKind kind, bool to_device, bool from_device) {
  if (kind == cudaMemcpyDefault) return true;
  return to_device == (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice) &&
         from_device == (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice);
}

/// As CUDA: what is not pinned is copied out of at once, and into before it returns.
inline cudaError_t copy(const Copy& c, cudaMemcpyKind kind, EmulatorStream& s) {
  if (c.width > c.to_pitch || c.width > c.from_pitch) return cudaErrorInvalidValue;
  const Place to = place(c.to, Copy::extent(c.to_pitch, c.width, c.height));
  const Place from = place(c.from, Copy::extent(c.from_pitch, c.width, c.height));
  if (to == Place::outside || from == Place::outside ||
      !kind_fits(kind, to == Place::device, from == Place::device))
    return cudaErrorInvalidValue;
  if (!s.capture && from == Place::pageable && to != Place::pageable) {
    std::vector<char> staged(c.width * c.height);
    Copy{staged.data(), c.width, c.from, c.from_pitch, c.width, c.height}();
    return order(s, single([c, staged = std::move(staged)] {
                   Copy{c.to, c.to_pitch, staged.data(), c.width, c.width, c.height}();
                 }));
  }
  const cudaError_t error = order(s, single(c));
  if (error == cudaSuccess && !s.capture && to == Place::pageable) finish(s);
  return error;
}

}  // namespace emulator
