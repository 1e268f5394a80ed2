// How tests steer the emulator: functions that ctypes finds in the module.
#pragma once

#include <vector>

#include "device.hpp"

#define EMULATOR_CONTROL extern "C" __attribute__((visibility("default"), used, noinline)) inline

/// Orders and schedule, see device.hpp; of the environment's FASTMLP_EMULATOR_SEED if not called.
EMULATOR_CONTROL void fastmlp_emulator_seed(uint64_t seed) {
  const std::lock_guard<std::mutex> guard(emulator::device.mutex);
  emulator::set_seed(seed);
}

/// The nth allocation from now on, 1 the next, finds no memory; 0: none. Returns how many were left
/// to the one that was to fail before; 0: it has.
EMULATOR_CONTROL int fastmlp_emulator_fail_malloc(int nth) {
  const std::lock_guard<std::mutex> guard(emulator::device.mutex);
  return std::exchange(emulator::device.failing_malloc, nth);
}

/// The nth launch of a kernel or a graph from now on fails, likewise.
EMULATOR_CONTROL int fastmlp_emulator_fail_launch(int nth, int error) {
  const std::lock_guard<std::mutex> guard(emulator::device.mutex);
  emulator::device.launch_error = cudaError_t(error);
  return std::exchange(emulator::device.failing_launch, nth);
}

/// Every call fails, until it is told 0.
EMULATOR_CONTROL void fastmlp_emulator_sticky(int error) {
  const std::lock_guard<std::mutex> guard(emulator::device.mutex);
  emulator::device.sticky = cudaError_t(error);
}

/// How much memory the device has.
EMULATOR_CONTROL void fastmlp_emulator_memory(size_t bytes) {
  const std::lock_guard<std::mutex> guard(emulator::device.mutex);
  emulator::device.total = bytes;
}

EMULATOR_CONTROL void fastmlp_emulator_device_count(int count) {
  const std::lock_guard<std::mutex> guard(emulator::device.mutex);
  emulator::device.devices = count;
}

/// Kernels launched so far, those of graphs too.
EMULATOR_CONTROL uint64_t fastmlp_emulator_launches() {
  const std::lock_guard<std::mutex> guard(emulator::device.mutex);
  return emulator::device.launches;
}

/// Has a stream call body(argument), as a kernel of another library: now, or in each launch of the
/// graph that it captures. Takes a copy of the argument.
EMULATOR_CONTROL int fastmlp_emulator_enqueue(cudaStream_t stream, void (*body)(const void*),
                                              const void* argument, size_t bytes) {
  return emulator::call([&] {
    if (emulator::launch_fails()) return emulator::device.launch_error;
    const auto* from = static_cast<const char*>(argument);
    const std::vector<char> copy(from, from + bytes);
    emulator::Work work = emulator::single([=] { body(copy.data()); });
    work.kernel = true;
    return emulator::order(emulator::stream_of(stream), std::move(work));
  });
}

/// Allocations of the device's and of pinned memory that are not freed.
EMULATOR_CONTROL uint64_t fastmlp_emulator_allocations() {
  const std::lock_guard<std::mutex> guard(emulator::device.mutex);
  return emulator::device.memory.size();
}
