// What the engine needs of a device: how kernels are launched, memory, streams, and one way for
// everything to fail. Compiled by nvcc, or for tests by a C++ compiler with an emulator of CUDA's
// run-time library; this file has the one place that tells the two apart, but for the engine's
// name.
#pragma once

#include <cuda_runtime.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "../arena.hpp"
#include "../errors.hpp"
#include "../formulas/value.hpp"

namespace fastmlp {
namespace {

constexpr int kThreads = 256;  // of every block
constexpr int kWarp = 32;
constexpr int kWarps = kThreads / kWarp;

#ifdef __CUDACC__

/// The memory that the threads of a block share, of the size that the launch asks for.
__device__ inline char* shared_bytes() {
  extern __shared__ __align__(16) char memory[];
  return memory;
}

/// Adds a product of a warp on its tensor cores, a (16, 8) b (8, 8) of tf32: in fragments as PTX
/// has them for mma.m16n8k8.
__device__ inline void mma_tf32(float (&sums)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// The same for a (16, 16) b (16, 8) of bfloat16, two to a word.
__device__ inline void mma_bfloat16(float (&sums)[4], const uint32_t (&a)[4],
                                    const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#else

inline char* shared_bytes() { return emulator::shared(); }
inline void mma_tf32(float (&sums)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulator::mma_m16n8k8_tf32(sums, a, b, sums);
}
inline void mma_bfloat16(float (&sums)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulator::mma_m16n8k16_bf16(sums, a, b, sums);
}

#endif

template <class T>
__device__ T* shared_memory() {
  return reinterpret_cast<T*>(shared_bytes());
}

/// The sum over the lanes of a warp, in the same order whatever they are.
template <class T>
__device__ T warp_sum(T x) {
  for (int with = kWarp / 2; with > 0; with /= 2) x += __shfl_xor_sync(0xffffffffu, x, with);
  return x;
}

template <class T>
__device__ T warp_max(T x) {
  for (int with = kWarp / 2; with > 0; with /= 2) x = max(x, __shfl_xor_sync(0xffffffffu, x, with));
  return x;
}

/// The sum over the threads of a block, for thread 0. `room`: kWarps numbers of shared memory.
template <class T>
__device__ T block_sum(T x, T* room) {
  x = warp_sum(x);
  if (threadIdx.x % kWarp == 0) room[threadIdx.x / kWarp] = x;
  __syncthreads();
  T total = 0;
  if (threadIdx.x == 0)
    for (int w = 0; w < kWarps; ++w) total += room[w];
  __syncthreads();
  return total;
}

constexpr int kAhead = 8;  // numbers that a thread has on their way at a time

/// Calls take(load(i)) for i in [0, n), in order; several are loaded before the first is taken.
template <class Load, class Take>
__device__ void add_up(int64_t n, const Load& load, const Take& take) {
  using T = decltype(load(int64_t(0)));
  for (int64_t first = 0; first < n; first += kAhead) {
    T some[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
      if (first + a < n) some[a] = load(first + a);
#pragma unroll
    for (int a = 0; a < kAhead; ++a)
      if (first + a < n) take(some[a]);
  }
}

template <class Item>
struct Type {
  using Of = Item;
};

/// Calls use(Type<Item>) for the item at place `index` of a list.
template <class... Items, class Use>
__device__ void visit(int index, List<Items...>, const Use& use) {
  int place = 0;
  ((index == place++ ? use(Type<Items>{}) : void()), ...);
}

/// The same by the host: one function for both would hide it from nvcc where a kernel calls what is
/// not for the device.
template <class... Items, class Use>
void visit_by_host(int index, List<Items...>, const Use& use) {
  int place = 0;
  ((index == place++ ? use(Type<Items>{}) : void()), ...);
}

/// Throws what a call of CUDA has failed with.
void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // or the next call would return it
  if (error == cudaErrorMemoryAllocation) throw OutOfMemory(0, what);
  throw DeviceError(what, cudaGetErrorString(error));
}

/// Whether this process was forked from one that had used the device, whose context does not
/// survive that.
bool is_forked() {
  static const pid_t first = getpid();
  return getpid() != first;
}

/// The first device, for as long as this object lives; then the calling thread's own again.
class OnDevice {
 public:
  OnDevice() {
    if (is_forked())
      throw DeviceError("CUDA",
                        "this process was forked from one that had used the device already; start "
                        "it with the 'spawn' method instead");
    // an error is the next call's, too
    if (cudaGetDevice(&before_) == cudaSuccess && before_ != 0) cudaSetDevice(0);
  }
  ~OnDevice() {
    if (before_ != 0) cudaSetDevice(before_);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  int before_ = 0;
};

/// Memory of the device, or with `pinned` of the host where the device can read and write it while
/// others compute.
class Memory {
 public:
  Memory() = default;
  Memory(size_t bytes, const char* purpose, bool pinned = false) : bytes_(bytes), pinned_(pinned) {
    if (bytes == 0) return;
    const cudaError_t error = pinned ? cudaMallocHost(&data_, bytes) : cudaMalloc(&data_, bytes);
    if (error == cudaSuccess) return;
    data_ = nullptr;
    cudaGetLastError();
    if (error != cudaErrorMemoryAllocation) check(error, purpose);
    const char* where = pinned ? " in page-locked memory of the host" : " on the device 'cuda'";
    throw OutOfMemory(double(bytes), (purpose + std::string(where)).c_str());
  }
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(pinned_, other.pinned_);
    return *this;
  }
  ~Memory() {
    if (data_) pinned_ ? cudaFreeHost(data_) : cudaFree(data_);
  }

  template <class U>
  U* as() const {
    return static_cast<U*>(data_);
  }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
  bool pinned_ = false;
};

/// One piece of memory for all that place(arena) takes: it is called twice, at first without a
/// block.
template <class Place>
Memory in_one_piece(const char* purpose, bool pinned, const Place& place) {
  Arena measure(nullptr);
  place(measure);
  Memory memory(measure.used(), purpose, pinned);
  Arena real(memory.as<void>());
  place(real);
  return memory;
}

size_t free_memory() {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "the device's memory");
  return free;
}

/// What is done in a stream is done in its order, apart from what the host does meanwhile.
class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "a CUDA stream"); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  operator cudaStream_t() const { return stream_; }
  void wait() const { check(cudaStreamSynchronize(stream_), "computing on the device"); }

  template <class U>
  void copy(U* to, const U* from, int64_t count, cudaMemcpyKind kind) const {
    if (count > 0)
      check(cudaMemcpyAsync(to, from, size_t(count) * sizeof(U), kind, stream_),
            "copying to or from the device");
  }
  template <class U>
  void upload(U* to, const U* from, int64_t count) const {
    copy(to, from, count, cudaMemcpyHostToDevice);
  }
  template <class U>
  void download(U* to, const U* from, int64_t count) const {
    copy(to, from, count, cudaMemcpyDeviceToHost);
  }
  template <class U>
  void clear(U* to, int64_t count) const {
    if (count > 0)
      check(cudaMemsetAsync(to, 0, size_t(count) * sizeof(U), stream_), "clearing memory");
  }

  /// Runs a kernel in blocks of kThreads threads, with `shared` bytes that each block's have.
  template <class... P, class... A>
  void launch(void (*kernel)(P...), int64_t blocks, size_t shared, const A&... arguments) const {
    if (blocks == 0) return;
    if (shared > size_t(48) << 10)
      check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared)),
            "the shared memory of a kernel");
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(unsigned(blocks));
    config.blockDim = dim3(kThreads);
    config.dynamicSmemBytes = shared;
    config.stream = stream_;
    check(cudaLaunchKernelEx(&config, kernel, P(arguments)...), "starting a kernel");
  }

 private:
  cudaStream_t stream_ = nullptr;
};

/// Deletes what has memory of the device; in a forked process that is no memory of its own.
template <class Item>
void forget(Item* item) {
  if (is_forked()) return;
  const OnDevice device;
  delete item;
}

/// A mark in a stream, to wait for.
class Event {
 public:
  Event() { check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "a CUDA event"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(const Stream& stream) { check(cudaEventRecord(event_, stream), "a CUDA event"); }
  void wait() const { check(cudaEventSynchronize(event_), "computing on the device"); }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Kernels and their arguments, recorded once to be launched together any number of times.
class Graph {
 public:
  Graph() = default;
  ~Graph() { forget(); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// Records what enqueue() puts into the stream, which is not run.
  template <class Enqueue>
  void record(const Stream& stream, Enqueue enqueue) {
    forget();
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "recording a graph");
    cudaGraph_t graph = nullptr;
    try {
      enqueue();
    } catch (...) {
      cudaStreamEndCapture(stream, &graph);
      if (graph) cudaGraphDestroy(graph);
      throw;
    }
    check(cudaStreamEndCapture(stream, &graph), "recording a graph");
    const cudaError_t error = cudaGraphInstantiate(&ready_, graph, 0);
    cudaGraphDestroy(graph);
    if (error != cudaSuccess) ready_ = nullptr;
    check(error, "making a graph");
  }
  void launch(const Stream& stream) const { check(cudaGraphLaunch(ready_, stream), "a graph"); }

 private:
  void forget() {
    if (ready_) cudaGraphExecDestroy(ready_);
    ready_ = nullptr;
  }
  cudaGraphExec_t ready_ = nullptr;
};

}  // namespace
}  // namespace fastmlp
