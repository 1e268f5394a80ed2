// The CUDA engine. Compiled by nvcc, or with FASTMLP_EMULATED by a C++ compiler for tests; gives
// out one symbol, engine_cuda.
//
// A step over one batch has two phases, a kernel each where all layers are narrow:
//   rows     a block takes some rows of the batch all the way: gather, forward, loss, deltas back
//   weights  a block takes a tile of weights: its gradient over all rows, then the update
// Products with wide layers are kernels of their own before and after the rows phase. The ends of
// kernels are the only barriers between blocks, nothing is added up atomically, and all sums are
// made in an order of their own: results are the same bits from run to run.
#include "diagnosis.hpp"
#include "prediction.hpp"

namespace fastmlp {
namespace {

/// Chains of multiply-adds on registers.
template <class T>
__global__ void __launch_bounds__(kThreads) multiply_add(T* out, int turns) {
  constexpr int kChains = 8;
  T sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = T(threadIdx.x + c);
  for (int turn = 0; turn < turns; ++turn)
    for (int c = 0; c < kChains; ++c) sums[c] = sums[c] * T(0.5) + T(0.25);
  T total = 0;
  for (int c = 0; c < kChains; ++c) total += sums[c];
  out[int64_t(blockIdx.x) * kThreads + threadIdx.x] = total;
}

/// Of the whole device.
template <class T>
double peak() {
  const OnDevice on_device;
  constexpr int kTurns = 20000, kRuns = 5, kBlocksEach = 8;
  int device = 0, processors = 1;
  check(cudaGetDevice(&device), "the device");
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device), "the device");
  const Stream stream;
  const int64_t blocks = processors * kBlocksEach;
  const Memory out(size_t(blocks) * kThreads * sizeof(T), "a measurement");
  double best = infinity<double>();
  for (int run = 0; run < kRuns; ++run) {
    const double began = seconds();
    stream.launch(multiply_add<T>, blocks, 0, out.template as<T>(), kTurns);
    stream.wait();
    best = std::min(best, seconds() - began);
  }
  return 2.0 * 8 * kTurns * double(blocks) * kThreads / best;
}

/// What keeps the first device from being used; null: nothing.
const char* lacks() {
  static const char* last = nullptr;
  if (is_forked()) return last;  // null: what is called then says what is wrong
  int n = 0, major = 0;
  cudaError_t error = cudaGetDeviceCount(&n);
  if (error == cudaSuccess && n == 0) error = cudaErrorNoDevice;
  if (error == cudaSuccess)
    error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
  if (error != cudaSuccess) {
    cudaGetLastError();
    return last = cudaGetErrorString(error);
  }
  return last = major < 8 ? "the GPU is older than compute capability 8.0" : nullptr;
}

const char* card() {
  static cudaDeviceProp properties;
  return !is_forked() && cudaGetDeviceProperties(&properties, 0) == cudaSuccess ? properties.name
                                                                                : "";
}

template <class T>
constexpr Operations<T> operations{hold<T>,     release<T>, open<T>,  close<T>,
                                   write<T>,    read<T>,    train<T>, gradient<T>,
                                   diagnose<T>, predict<T>, peak<T>};

#ifdef FASTMLP_EMULATED
constexpr const char* kName = "emulated";
#else
constexpr const char* kName = "cuda";
#endif

}  // namespace

extern const Engine engine_cuda;
const Engine engine_cuda = {kName, "cuda", lacks, card, operations<float>, operations<double>};

}  // namespace fastmlp
