// CUDA's run-time library on the emulated device.
#pragma once

#include <algorithm>
#include <tuple>

#include "device.hpp"

// ---- errors ----

inline const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
#define EMULATOR_ERROR(name, number, text) \
  case name:                               \
    return text;
    EMULATOR_ERRORS(EMULATOR_ERROR)
#undef EMULATOR_ERROR
  }
  return "unrecognized error code";
}

inline const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define EMULATOR_ERROR(name, number, text) \
  case name:                               \
    return #name;
    EMULATOR_ERRORS(EMULATOR_ERROR)
#undef EMULATOR_ERROR
  }
  return "unrecognized error code";
}

inline cudaError_t cudaPeekAtLastError() { return emulator::last_error; }

inline cudaError_t cudaGetLastError() {
  const cudaError_t error = emulator::last_error;
  emulator::last_error = emulator::device.sticky;
  return error;
}

// ---- devices ----

inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return emulator::call([&] {
    *count = emulator::device.devices;
    return cudaSuccess;
  });
}

inline cudaError_t cudaSetDevice(int number) {
  return emulator::call([&] {
    if (number < 0 || number >= emulator::device.devices) return cudaErrorInvalidDevice;
    emulator::current_device = number;
    return cudaSuccess;
  });
}

inline cudaError_t cudaGetDevice(int* number) {
  return emulator::call([&] {
    *number = emulator::current_device;
    return cudaSuccess;
  });
}

inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int number) {
  return emulator::call([&] {
    if (number < 0 || number >= emulator::device.devices) return cudaErrorInvalidDevice;
    *p = {};
    std::strcpy(p->name, "emulated");
    p->totalGlobalMem = emulator::device.total;
    p->sharedMemPerBlock = emulator::kShared;
    p->sharedMemPerMultiprocessor = emulator::kMostShared + 1024;
    p->sharedMemPerBlockOptin = emulator::kMostShared;
    p->warpSize = emulator::kWarp;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsPerMultiProcessor = 2048;
    p->major = 9;
    p->minor = 0;
    p->multiProcessorCount = 4;
    p->l2CacheSize = 50 << 20;
    return cudaSuccess;
  });
}

inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int number) {
  cudaDeviceProp p;
  const cudaError_t error = cudaGetDeviceProperties(&p, number);
  if (error != cudaSuccess) return error;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = p.maxThreadsPerBlock;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = int(p.sharedMemPerBlock);
      return cudaSuccess;
    case cudaDevAttrWarpSize:
      *value = p.warpSize;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = p.multiProcessorCount;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = p.l2CacheSize;
      return cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = p.maxThreadsPerMultiProcessor;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = p.major;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = p.minor;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = int(p.sharedMemPerMultiprocessor);
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = int(p.sharedMemPerBlockOptin);
      return cudaSuccess;
  }
  return emulator::say(cudaErrorInvalidValue);
}

inline cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

inline cudaError_t cudaDriverGetVersion(int* version) {
  *version = emulator::device.devices ? 13000 : 0;
  return cudaSuccess;
}

inline cudaError_t cudaDeviceSynchronize() {
  return emulator::call([] {
    if (const cudaError_t error = emulator::check_capture()) return error;
    emulator::finish_all();
    return cudaSuccess;
  });
}

// ---- memory ----

namespace emulator {

inline cudaError_t allocate_checked(void** p, size_t bytes, bool on_device) {
  return call([&] {
    const cudaError_t error = check_capture();
    return error != cudaSuccess ? error : allocate(p, bytes, on_device);
  });
}

/// As in CUDA, after everything that may still use it.
inline cudaError_t deallocate(void* p, bool on_device) {
  return call([&]() -> cudaError_t {
    if (!p) return cudaSuccess;
    if (const cudaError_t error = check_capture()) return error;
    const auto found = device.memory.find(reinterpret_cast<uintptr_t>(p));
    if (found == device.memory.end() || found->second.device != on_device)
      return cudaErrorInvalidValue;
    finish_all();
    if (on_device) device.used -= found->second.bytes;
    allow(p, found->second.bytes, true);
    device.guards.erase(device.guards.lower_bound(found->first),
                        device.guards.lower_bound(found->first + found->second.bytes));
    device.memory.erase(found);
    std::free(p);
    return cudaSuccess;
  });
}

}  // namespace emulator

template <class T>
cudaError_t cudaMalloc(T** p, size_t bytes) {
  return emulator::allocate_checked(reinterpret_cast<void**>(p), bytes, true);
}

template <class T>
cudaError_t cudaMallocHost(T** p, size_t bytes) {
  return emulator::allocate_checked(reinterpret_cast<void**>(p), bytes, false);
}

inline cudaError_t cudaFree(void* p) { return emulator::deallocate(p, true); }
inline cudaError_t cudaFreeHost(void* p) { return emulator::deallocate(p, false); }

inline cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return emulator::call([&] {
    *total = emulator::device.total;
    *free = *total - std::min(emulator::device.used, *total);
    return cudaSuccess;
  });
}

inline cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                                     size_t width, size_t height, cudaMemcpyKind kind,
                                     cudaStream_t stream = nullptr) {
  return emulator::call([&] {
    return emulator::copy({to, to_pitch, from, from_pitch, width, height}, kind,
                          emulator::stream_of(stream));
  });
}

inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                                   cudaStream_t stream = nullptr) {
  return cudaMemcpy2DAsync(to, bytes, from, bytes, bytes, 1, kind, stream);
}

/// In the default stream, which waits for no other: they are all made with cudaStreamNonBlocking.
inline cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return emulator::call([&] {
    if (const cudaError_t error = emulator::check_capture()) return error;
    EmulatorStream& s = emulator::stream_of(nullptr);
    const cudaError_t error = emulator::copy({to, bytes, from, bytes, bytes, 1}, kind, s);
    if (error == cudaSuccess) emulator::finish(s);
    return error;
  });
}

inline cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes,
                                   cudaStream_t stream = nullptr) {
  return emulator::call([&] {
    const emulator::Place where = emulator::place(p, bytes);
    if (where != emulator::Place::device && where != emulator::Place::pinned)
      return cudaErrorInvalidValue;
    return emulator::order(emulator::stream_of(stream),
                           emulator::single([=] { std::memset(p, value, bytes); }));
  });
}

// ---- kernels ----

template <class F>
cudaError_t cudaFuncSetAttribute(F* kernel, cudaFuncAttribute attribute, int value) {
  return emulator::call([&] {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value < 0 || value > emulator::kMostShared) return cudaErrorInvalidValue;
    emulator::device.most_shared[reinterpret_cast<const void*>(kernel)] = value;
    return cudaSuccess;
  });
}

namespace emulator {

inline cudaError_t check_launch(const cudaLaunchConfig_t& c, const void* kernel) {
  const dim3 b = c.gridDim, t = c.blockDim;
  if (b.x == 0 || b.y == 0 || b.z == 0 || t.x == 0 || t.y == 0 || t.z == 0 || b.x > 0x7fffffff ||
      b.y > 65535 || b.z > 65535 || t.x > 1024 || t.y > 1024 || t.z > 64 || t.x * t.y * t.z > 1024)
    return cudaErrorInvalidConfiguration;
  const auto asked = device.most_shared.find(kernel);
  const int most = asked == device.most_shared.end() ? kShared : std::max(kShared, asked->second);
  if (c.dynamicSmemBytes > size_t(most)) return cudaErrorInvalidValue;
  for (unsigned i = 0; i < c.numAttrs; ++i)
    if (c.attrs[i].id != cudaLaunchAttributeIgnore) return cudaErrorNotSupported;
  return cudaSuccess;
}

template <class... P>
std::shared_ptr<const Launched> describe(void (*kernel)(P...), const std::tuple<P...>& arguments) {
  auto launched = std::make_shared<Launched>();
  launched->kernel = reinterpret_cast<const void*>(kernel);
  std::apply(
      [&](const auto&... each) {
        (launched->arguments.emplace_back(reinterpret_cast<const char*>(&each), sizeof each), ...);
      },
      arguments);
  return launched;
}

}  // namespace emulator

template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* c, void (*kernel)(P...),
                               A&&... arguments) {
  return emulator::call([&] {
    if (emulator::launch_fails()) return emulator::device.launch_error;
    const cudaError_t error = emulator::check_launch(*c, reinterpret_cast<const void*>(kernel));
    if (error != cudaSuccess) return error;
    // a copy of the arguments, as CUDA makes it
    const std::tuple<P...> copied(std::forward<A>(arguments)...);
    emulator::Work work{[kernel, copied] { std::apply(kernel, copied); },
                        c->gridDim,
                        c->blockDim,
                        c->dynamicSmemBytes,
                        true,
                        nullptr};
    if (emulator::watch) work.launched = emulator::describe(kernel, copied);
    return emulator::order(emulator::stream_of(c->stream), std::move(work));
  });
}

// ---- streams ----

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return emulator::call([&] {
    if (flags != cudaStreamNonBlocking) return cudaErrorNotSupported;
    auto& all = emulator::device.streams;
    auto free = std::find_if(all.begin(), all.end(), [](const auto& s) { return !s.alive; });
    *stream = free != all.end() ? &*free : &all.emplace_back();
    (*stream)->alive = true;
    return cudaSuccess;
  });
}

inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return emulator::call([&] {
    if (!stream || !stream->alive) return cudaErrorInvalidResourceHandle;
    emulator::run_until(*stream, stream->given);  // which the host has not waited for
    stream->capture = nullptr;
    stream->alive = false;
    return cudaSuccess;
  });
}

inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return emulator::call([&] {
    EmulatorStream& s = emulator::stream_of(stream);
    if (!s.alive) return cudaErrorInvalidResourceHandle;
    if (s.capture) return emulator::spoil(s);
    emulator::finish(s);
    return cudaSuccess;
  });
}

inline cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned = 0) {
  return emulator::call([&] {
    EmulatorStream& s = emulator::stream_of(stream);
    if (!s.alive || !event->alive) return cudaErrorInvalidResourceHandle;
    if (!event->mark.stream) return cudaSuccess;
    if (event->captured || s.capture)  // of several streams in a capture, the emulator has none
      return event->captured && s.capture && event->mark.stream == &s
                 ? cudaSuccess
                 : cudaErrorStreamCaptureIsolation;
    emulator::give(s, emulator::single([event] { emulator::acquire(&event->met); }), nullptr,
                   event->mark);
    return cudaSuccess;
  });
}

// ---- events ----

inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return emulator::call([&] {
    auto& all = emulator::device.events;
    auto free = std::find_if(all.begin(), all.end(), [](const auto& e) { return !e.alive; });
    *event = free != all.end() ? &*free : &all.emplace_back();
    (*event)->mark = {};
    (*event)->alive = true;
    (*event)->captured = false;
    (*event)->timed = !(flags & cudaEventDisableTiming);
    return cudaSuccess;
  });
}

inline cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return emulator::call([&] {
    if (!event || !event->alive) return cudaErrorInvalidResourceHandle;
    event->alive = false;
    return cudaSuccess;
  });
}

inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr) {
  return emulator::call([&] {
    EmulatorStream& s = emulator::stream_of(stream);
    if (!s.alive || !event->alive) return cudaErrorInvalidResourceHandle;
    event->captured = s.capture != nullptr;
    if (s.capture)
      event->mark = {&s, 0};
    else
      emulator::give(s, emulator::single([event] { emulator::release(&event->met); }), event);
    return cudaSuccess;
  });
}

namespace emulator {

inline cudaError_t check_event(const EmulatorEvent& event) {
  if (!event.alive) return cudaErrorInvalidResourceHandle;
  if (event.captured) return cudaErrorCapturedEvent;
  return check_capture();
}

inline bool reached(const EmulatorMark& mark) {
  return !mark.stream || mark.stream->done >= mark.number;
}

}  // namespace emulator

inline cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return emulator::call([&] {
    if (const cudaError_t error = emulator::check_event(*event)) return error;
    if (!event->mark.stream) return cudaSuccess;
    emulator::run_until(*event->mark.stream, event->mark.number);
    emulator::acquire(&event->met);
    return cudaSuccess;
  });
}

/// Asking brings the stream on, by a step.
inline cudaError_t cudaEventQuery(cudaEvent_t event) {
  return emulator::call([&] {
    if (const cudaError_t error = emulator::check_event(*event)) return error;
    if (!emulator::reached(event->mark)) emulator::advance(*event->mark.stream);
    if (!emulator::reached(event->mark)) return cudaErrorNotReady;
    emulator::acquire(&event->met);
    return cudaSuccess;
  });
}

inline cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  return emulator::call([&] {
    for (const cudaEvent_t event : {from, to}) {
      if (const cudaError_t error = emulator::check_event(*event)) return error;
      if (!event->timed || !event->mark.stream) return cudaErrorInvalidResourceHandle;
      if (!emulator::reached(event->mark)) return cudaErrorNotReady;
    }
    *ms = std::chrono::duration<float, std::milli>(to->time - from->time).count();
    return cudaSuccess;
  });
}

// ---- graphs ----

inline cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return emulator::call([&] {
    if (!stream) return cudaErrorStreamCaptureUnsupported;
    if (!stream->alive) return cudaErrorInvalidResourceHandle;
    if (stream->capture) return emulator::spoil(*stream);
    stream->capture = std::make_unique<EmulatorGraph>();
    stream->spoilt = false;
    stream->mode = mode;
    stream->capturer = std::this_thread::get_id();
    return cudaSuccess;
  });
}

inline cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return emulator::call([&] {
    *graph = nullptr;
    if (!stream || !stream->capture) return cudaErrorInvalidValue;
    if (stream->spoilt) {
      stream->capture = nullptr;
      return cudaErrorStreamCaptureInvalidated;
    }
    *graph = stream->capture.release();
    return cudaSuccess;
  });
}

inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                        unsigned long long = 0) {
  return emulator::call([&] {
    *exec = new EmulatorGraphExec{graph->nodes};
    return cudaSuccess;
  });
}

inline cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  return emulator::call([&] {
    EmulatorStream& s = emulator::stream_of(stream);
    if (!s.alive) return cudaErrorInvalidResourceHandle;
    if (s.capture) return emulator::spoil(s);
    if (emulator::launch_fails()) return emulator::device.launch_error;
    for (const emulator::Work& node : exec->nodes) emulator::order(s, node);
    return cudaSuccess;
  });
}

inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return emulator::call([&] {
    delete graph;
    return cudaSuccess;
  });
}

inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return emulator::call([&] {
    delete exec;
    return cudaSuccess;
  });
}
