// What the emulator runs right, and with the name of a mutant as argument what it is to report:
// see tests/test_emulator.py. Prints the bits of each result, which are the same for every seed.
#include <cuda_runtime.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

namespace {

#define MUTANTS(M)                  \
  M(none)                           \
  M(no_barrier_before_tile_is_used) \
  M(no_barrier_after_tile_is_used)  \
  M(no_barrier_before_overwriting)  \
  M(a_row_too_many)                 \
  M(shared_memory_too_small)        \
  M(some_threads_at_the_barrier)    \
  M(threads_at_different_barriers)  \
  M(one_lane_leaves)                \
  M(blocks_write_the_same)          \
  M(sum_not_cleared)                \
  M(pinned_buffer_reused)           \
  M(result_read_too_early)          \
  M(streams_not_ordered)            \
  M(host_reads_device_memory)       \
  M(one_array_runs_into_the_next)

enum class Mutant {
#define NAME(name) name,
  MUTANTS(NAME)
#undef NAME
};
Mutant mutant = Mutant::none;
int failures = 0;

void parse(const char* text) {
#define NAME(name) \
  if (std::strcmp(text, #name) == 0) mutant = Mutant::name;
  MUTANTS(NAME)
#undef NAME
}

// ---- kernels ----

constexpr int kTile = 8;

__global__ void __launch_bounds__(kTile* kTile)
    product(const float* a, const float* b, float* c, int m, int n, int k, Mutant mutant) {
  float* tile_a = reinterpret_cast<float*>(emulator::shared());
  float* tile_b = tile_a + kTile * kTile;
  const int x = int(threadIdx.x) % kTile, y = int(threadIdx.x) / kTile;
  const int row = int(blockIdx.y) * kTile + y, column = int(blockIdx.x) * kTile + x;
  float sum = 0;
  for (int from = 0; from < k; from += kTile) {
    tile_a[y * kTile + x] = row < m && from + x < k ? a[row * k + from + x] : 0;
    tile_b[y * kTile + x] = from + y < k && column < n ? b[(from + y) * n + column] : 0;
    if (mutant != Mutant::no_barrier_before_tile_is_used) __syncthreads();
#pragma unroll
    for (int i = 0; i < kTile; ++i) sum += tile_a[y * kTile + i] * tile_b[i * kTile + x];
    if (mutant != Mutant::no_barrier_after_tile_is_used) __syncthreads();
  }
  if (row < m + (mutant == Mutant::a_row_too_many) && column < n) c[row * n + column] = sum;
}

/// Each thread sums up what all have, and puts its own sum in the place.
__global__ void overwrite(const float* x, float* sums, Mutant mutant) {
  float* values = reinterpret_cast<float*>(emulator::shared());
  const int t = int(threadIdx.x), n = int(blockDim.x);
  values[t] = x[t];
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < n; ++i) sum += values[i] * float(t + 1);
  if (mutant != Mutant::no_barrier_before_overwriting) __syncthreads();
  values[t] = sum;
  __syncthreads();
  sums[t] = values[n - 1 - t];
}

__global__ void warp_sums(const float* x, float* sums, Mutant mutant) {
  const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
  if (mutant == Mutant::one_lane_leaves && lane == 5) return;
  float butterfly = x[threadIdx.x], down = butterfly;
  for (int by = 16; by > 0; by /= 2) {
    butterfly += __shfl_xor_sync(0xffffffff, butterfly, by);
    down += __shfl_down_sync(0xffffffff, down, unsigned(by));
  }
  __syncwarp();
  const float first = __shfl_sync(0xffffffff, down, 0);
  const float of_eight = __shfl_sync(0xffffffff, x[threadIdx.x], 3, 8);
  if (lane == 31) {
    sums[3 * warp] = butterfly;
    sums[3 * warp + 1] = first;
    sums[3 * warp + 2] = of_eight;
  }
}

__global__ void barriers(float* out, Mutant mutant) {
  if (mutant == Mutant::some_threads_at_the_barrier && threadIdx.x % 2 == 0) return;
  if (mutant == Mutant::threads_at_different_barriers && threadIdx.x < 16) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = 1;
}

__global__ void add(const float* x, float* sums, int n, Mutant mutant) {
  int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (mutant == Mutant::blocks_write_the_same) i = int(threadIdx.x);
  if (i < n) sums[i] += __ldg(x + i);
}

uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

uint32_t pair(float low, float high) { return bits_of(low) >> 16 | (bits_of(high) & 0xffff0000u); }

/// d = a (16, 8) times b (8, 8), plus c. Places as the PTX ISA has them: "Matrix Fragments for
/// mma.m16n8k8".
__global__ void tensor_tf32(const float* a, const float* b, const float* c, float* d) {
  const int group = int(threadIdx.x) >> 2, place = int(threadIdx.x) % 4;
  uint32_t fragment_a[4], fragment_b[2];
  float sum[4], result[4];
  for (int i = 0; i < 4; ++i) {
    const int row = i == 0 || i == 2 ? group : group + 8, column = i < 2 ? place : place + 4;
    fragment_a[i] = bits_of(a[row * 8 + column]);
  }
  for (int i = 0; i < 2; ++i) fragment_b[i] = bits_of(b[(place + 4 * i) * 8 + group]);
  for (int i = 0; i < 4; ++i) sum[i] = c[(i < 2 ? group : group + 8) * 8 + place * 2 + (i & 1)];
  emulator::mma_m16n8k8_tf32(result, fragment_a, fragment_b, sum);
  for (int i = 0; i < 4; ++i) d[(i < 2 ? group : group + 8) * 8 + place * 2 + (i & 1)] = result[i];
}

/// The same of a (16, 16) and b (16, 8): "Matrix Fragments for mma.m16n8k16".
__global__ void tensor_bf16(const float* a, const float* b, const float* c, float* d) {
  const int group = int(threadIdx.x) >> 2, place = int(threadIdx.x) % 4;
  float of_a[8], of_b[4], sum[4], result[4];
  for (int i = 0; i < 8; ++i) {
    const int row = i < 2 || (4 <= i && i < 6) ? group : group + 8;
    of_a[i] = a[row * 16 + place * 2 + (i & 1) + (i < 4 ? 0 : 8)];
  }
  for (int i = 0; i < 4; ++i) of_b[i] = b[(place * 2 + (i & 1) + (i < 2 ? 0 : 8)) * 8 + group];
  for (int i = 0; i < 4; ++i) sum[i] = c[(i < 2 ? group : group + 8) * 8 + place * 2 + (i & 1)];
  const uint32_t fragment_a[4] = {pair(of_a[0], of_a[1]), pair(of_a[2], of_a[3]),
                                  pair(of_a[4], of_a[5]), pair(of_a[6], of_a[7])};
  const uint32_t fragment_b[2] = {pair(of_b[0], of_b[1]), pair(of_b[2], of_b[3])};
  emulator::mma_m16n8k16_bf16(result, fragment_a, fragment_b, sum);
  for (int i = 0; i < 4; ++i) d[(i < 2 ? group : group + 8) * 8 + place * 2 + (i & 1)] = result[i];
}

// ---- the host's side ----

void expect(bool right, const char* what, int line) {
  if (right) return;
  ++failures;
  std::printf("WRONG: %s, line %d\n", what, line);
}
#define EXPECT(condition) expect(condition, #condition, __LINE__)
#define CALL(call) expect((call) == cudaSuccess, #call, __LINE__)

struct Stream {
  cudaStream_t s = nullptr;
  Stream() { CALL(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking)); }
  ~Stream() { CALL(cudaStreamDestroy(s)); }
};

/// Numbers on the device, or in the host's pinned memory.
struct Floats {
  float* p = nullptr;
  size_t n;
  bool pinned;
  explicit Floats(size_t n_, bool pinned_ = false) : n(n_), pinned(pinned_) {
    CALL(pinned ? cudaMallocHost(&p, 4 * n) : cudaMalloc(&p, 4 * n));
  }
  explicit Floats(const std::vector<float>& v) : Floats(v.size()) {
    CALL(cudaMemcpy(p, v.data(), 4 * n, cudaMemcpyHostToDevice));
  }
  ~Floats() { CALL(pinned ? cudaFreeHost(p) : cudaFree(p)); }
  std::vector<float> get(const Stream& stream) const {
    std::vector<float> v(n);
    CALL(cudaMemcpyAsync(v.data(), p, 4 * n, cudaMemcpyDeviceToHost, stream.s));
    return v;  // pageable: it is there
  }
};

template <class... P, class... A>
cudaError_t launch(const Stream& stream, void (*kernel)(P...), dim3 blocks, unsigned threads,
                   size_t shared, A... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = blocks;
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared;
  config.stream = stream.s;
  return cudaLaunchKernelEx(&config, kernel, P(arguments)...);
}

std::vector<float> numbers(size_t n, uint32_t seed) {
  std::vector<float> v(n);
  for (float& x : v) {
    seed = seed * 1664525u + 1013904223u;
    x = float(seed >> 8) / float(1 << 23) - 1;
  }
  return v;
}

/// Prints a result's bits.
void report(const char* what, const std::vector<float>& got) {
  uint64_t hash = 14695981039346656037u;
  for (const float x : got) hash = (hash ^ bits_of(x)) * 1099511628211u;
  std::printf("%s %016llx\n", what, static_cast<unsigned long long>(hash));
}

/// Compares with what is right, but for rounding.
void compare(const char* what, const std::vector<float>& got, const std::vector<double>& want) {
  bool right = got.size() == want.size();
  for (size_t i = 0; right && i < got.size(); ++i)
    right = std::fabs(double(got[i]) - want[i]) <= 1e-5 * (1 + std::fabs(want[i]));
  expect(right, what, 0);
  report(what, got);
}

std::vector<double> plain_product(const std::vector<float>& a, const std::vector<float>& b,
                                  const std::vector<float>& c, size_t m, size_t n, size_t k) {
  std::vector<double> d(c.begin(), c.end());
  for (size_t r = 0; r < m; ++r)
    for (size_t j = 0; j < n; ++j)
      for (size_t i = 0; i < k; ++i) d[r * n + j] += double(a[r * k + i]) * double(b[i * n + j]);
  return d;
}

std::vector<float> check_product(const char* name) {
  constexpr int m = 19, n = 13, k = 21;
  const auto a = numbers(m * k, 1), b = numbers(k * n, 2);
  const Stream stream;
  const Floats on_a(a), on_b(b), on_c(m * n);
  const size_t shared = 2 * kTile * kTile * 4 - (mutant == Mutant::shared_memory_too_small ? 4 : 0);
  const dim3 blocks((n + kTile - 1) / kTile, (m + kTile - 1) / kTile);
  CALL(launch(stream, product, blocks, kTile * kTile, shared, on_a.p, on_b.p, on_c.p, m, n, k,
              mutant));
  const auto c = on_c.get(stream);
  if (name) compare(name, c, plain_product(a, b, std::vector<float>(m * n), m, n, k));
  return c;
}

void check_overwriting() {
  constexpr int n = 64;
  const auto x = numbers(n, 3);
  const Stream stream;
  const Floats on_x(x), sums(n);
  CALL(launch(stream, overwrite, dim3(1), n, 4 * n, on_x.p, sums.p, mutant));
  double sum = 0;
  for (const float v : x) sum += double(v);
  std::vector<double> want(n);
  for (int t = 0; t < n; ++t) want[size_t(t)] = sum * (n - t);
  compare("overwriting", sums.get(stream), want);
}

void check_warps() {
  constexpr int n = 96;
  const auto x = numbers(n, 4);
  const Stream stream;
  const Floats on_x(x), sums(n / 32 * 3);
  CALL(launch(stream, warp_sums, dim3(1), n, 0, on_x.p, sums.p, mutant));
  std::vector<double> want(n / 32 * 3);
  for (size_t i = 0; i < n; ++i)
    for (const size_t sum : {0, 1}) want[i / 32 * 3 + sum] += double(x[i]);
  for (size_t w = 0; w < n / 32; ++w) want[w * 3 + 2] = double(x[w * 32 + 27]);
  compare("warps", sums.get(stream), want);
}

void check_barriers() {
  const Stream stream;
  const Floats out(64);
  CALL(launch(stream, barriers, dim3(1), 64, 0, out.p, mutant));
  compare("barriers", out.get(stream), std::vector<double>(64, 1.0));
}

std::vector<float> cut(std::vector<float> v, uint32_t mask) {
  for (float& x : v) {
    const uint32_t bits = bits_of(x) & mask;
    std::memcpy(&x, &bits, 4);
  }
  return v;
}

void check_tensor_cores() {
  const auto a = numbers(16 * 16, 5), b = numbers(16 * 8, 6), c = numbers(16 * 8, 7);
  const Stream stream;
  const Floats on_a(a), on_b(b), on_c(c), d(16 * 8);
  CALL(launch(stream, tensor_tf32, dim3(1), 32, 0, on_a.p, on_b.p, on_c.p, d.p));
  compare("tf32", d.get(stream), plain_product(cut(a, ~0x1fffu), cut(b, ~0x1fffu), c, 16, 8, 8));
  CALL(launch(stream, tensor_bf16, dim3(1), 32, 0, on_a.p, on_b.p, on_c.p, d.p));
  compare("bf16", d.get(stream),
          plain_product(cut(a, 0xffff0000u), cut(b, 0xffff0000u), c, 16, 8, 16));
}

/// Chunks go through one pinned buffer, into which the next may only be written after its copy.
void check_copies() {
  constexpr int n = 100;
  const Stream stream;
  const Floats buffer(n, true), chunk(n), sums(n), result(n, true);
  cudaEvent_t copied;
  CALL(cudaEventCreateWithFlags(&copied, cudaEventDisableTiming));
  if (mutant != Mutant::sum_not_cleared) CALL(cudaMemsetAsync(sums.p, 0, 4 * n, stream.s));
  std::vector<double> want(n);
  for (int c = 0; c < 4; ++c) {
    if (mutant != Mutant::pinned_buffer_reused) CALL(cudaEventSynchronize(copied));
    for (int i = 0; i < n; ++i) buffer.p[i] = float(c * i), want[size_t(i)] += c * i;
    CALL(cudaMemcpyAsync(chunk.p, buffer.p, 4 * n, cudaMemcpyHostToDevice, stream.s));
    CALL(cudaEventRecord(copied, stream.s));
    CALL(launch(stream, add, dim3(4), 32, 0, chunk.p, sums.p, n, mutant));
  }
  CALL(cudaMemcpyAsync(result.p, sums.p, 4 * n, cudaMemcpyDeviceToHost, stream.s));
  if (mutant != Mutant::result_read_too_early) CALL(cudaStreamSynchronize(stream.s));
  std::vector<float> got;
  for (int i = 0; i < n; ++i) got.push_back(result.p[i]);
  compare("copies", got, want);
  CALL(cudaEventDestroy(copied));
}

void check_two_streams() {
  constexpr int n = 50, height = 5;
  const auto x = numbers(n, 8);
  const Stream copies, computes;
  const Floats from(x), to(n), sums(n);
  cudaEvent_t copied;
  CALL(cudaEventCreate(&copied));
  CALL(cudaMemsetAsync(sums.p, 0, 4 * n, computes.s));
  const size_t width = 4 * n / height;
  CALL(cudaMemcpy2DAsync(to.p, width, from.p, width, width, height, cudaMemcpyDeviceToDevice,
                         copies.s));
  CALL(cudaEventRecord(copied, copies.s));
  if (mutant != Mutant::streams_not_ordered) CALL(cudaStreamWaitEvent(computes.s, copied, 0));
  CALL(launch(computes, add, dim3(2), 32, 0, to.p, sums.p, n, Mutant::none));
  compare("two streams", sums.get(computes), std::vector<double>(x.begin(), x.end()));
  while (cudaEventQuery(copied) == cudaErrorNotReady) {
  }
  float ms = -1;
  CALL(cudaEventElapsedTime(&ms, copied, copied));
  EXPECT(ms == 0);
  CALL(cudaEventDestroy(copied));
}

void check_graph() {
  constexpr int n = 40;
  const Stream stream;
  const Floats x(numbers(n, 9)), sums(std::vector<float>(n, 0.0f));
  float scratch[n];
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  const uint64_t before = fastmlp_emulator_launches();
  CALL(cudaStreamBeginCapture(stream.s, cudaStreamCaptureModeThreadLocal));
  for (int step = 0; step < 2; ++step)
    CALL(launch(stream, add, dim3(2), 32, 0, x.p, sums.p, n, Mutant::none));
  CALL(cudaStreamEndCapture(stream.s, &graph));
  CALL(cudaGraphInstantiate(&exec, graph, 0));
  CALL(cudaGraphDestroy(graph));
  EXPECT(fastmlp_emulator_launches() == before);
  for (int replay = 0; replay < 3; ++replay) CALL(cudaGraphLaunch(exec, stream.s));
  EXPECT(fastmlp_emulator_launches() == before + 6);
  CALL(cudaGraphExecDestroy(exec));
  std::vector<double> want;
  for (const float v : numbers(n, 9)) want.push_back(6 * double(v));
  compare("graph", sums.get(stream), want);

  // what must not be captured spoils it
  CALL(cudaStreamBeginCapture(stream.s, cudaStreamCaptureModeThreadLocal));
  EXPECT(cudaStreamSynchronize(stream.s) == cudaErrorStreamCaptureUnsupported);
  EXPECT(cudaMemcpy(scratch, x.p, 4, cudaMemcpyDeviceToHost) == cudaErrorStreamCaptureUnsupported);
  EXPECT(cudaStreamEndCapture(stream.s, &graph) == cudaErrorStreamCaptureInvalidated);
}

void check_errors() {
  const Stream stream;
  const Floats x(numbers(10, 10));
  float host[11];
  float* p;
  EXPECT(cudaMemcpy(host, x.p, 44, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  EXPECT(cudaMemcpy(x.p, host, 40, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  EXPECT(launch(stream, barriers, dim3(1), 1025, 0, x.p, mutant) == cudaErrorInvalidConfiguration);
  EXPECT(launch(stream, barriers, dim3(1), 8, 50000, x.p, mutant) == cudaErrorInvalidValue);
  CALL(cudaFuncSetAttribute(barriers, cudaFuncAttributeMaxDynamicSharedMemorySize, 50000));
  CALL(launch(stream, barriers, dim3(1), 8, 50000, x.p, Mutant::none));
  EXPECT(cudaFree(host) == cudaErrorInvalidValue);
  EXPECT(cudaGetLastError() == cudaErrorInvalidValue && cudaGetLastError() == cudaSuccess);

  fastmlp_emulator_fail_malloc(2);
  CALL(cudaMalloc(&p, 4));
  CALL(cudaFree(p));
  EXPECT(cudaMalloc(&p, 4) == cudaErrorMemoryAllocation);
  CALL(cudaMalloc(&p, 4));
  CALL(cudaFree(p));
  fastmlp_emulator_fail_launch(1, cudaErrorLaunchOutOfResources);
  EXPECT(launch(stream, barriers, dim3(1), 8, 0, x.p, mutant) == cudaErrorLaunchOutOfResources);
  fastmlp_emulator_sticky(cudaErrorIllegalAddress);
  EXPECT(cudaStreamSynchronize(stream.s) == cudaErrorIllegalAddress);
  EXPECT(cudaGetLastError() == cudaErrorIllegalAddress &&
         cudaGetLastError() == cudaErrorIllegalAddress);
  fastmlp_emulator_sticky(cudaSuccess);
  EXPECT(cudaGetLastError() == cudaErrorIllegalAddress && cudaGetLastError() == cudaSuccess);
  CALL(cudaStreamSynchronize(stream.s));

  size_t free_before, free, total;
  fastmlp_emulator_memory(1 << 20);
  CALL(cudaMemGetInfo(&free_before, &total));
  EXPECT(total == 1 << 20);
  EXPECT(cudaMalloc(&p, free_before + 1) == cudaErrorMemoryAllocation);
  CALL(cudaMalloc(&p, free_before));
  CALL(cudaMemGetInfo(&free, &total));
  EXPECT(free == 0);
  CALL(cudaFree(p));
  fastmlp_emulator_memory(size_t{1} << 32);
  int count = -1;
  fastmlp_emulator_device_count(0);
  EXPECT(cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0);
  fastmlp_emulator_device_count(1);
  CALL(cudaGetDeviceCount(&count));
  EXPECT(count == 1);
  cudaGetLastError();
  EXPECT(std::strcmp(cudaGetErrorString(cudaErrorNoDevice), "no CUDA-capable device is detected") ==
         0);
  EXPECT(std::strcmp(cudaGetErrorName(cudaErrorNotReady), "cudaErrorNotReady") == 0);
}

void check_memory() {
  const Floats x(numbers(10, 11));
  emulator::guard(x.p + 5, 8);  // two arrays of 5 and 3 numbers
  const Stream stream;
  const unsigned n = mutant == Mutant::one_array_runs_into_the_next ? 6 : 5;
  CALL(launch(stream, barriers, dim3(1), n, 0, x.p, mutant));
  CALL(launch(stream, barriers, dim3(1), 3, 0, x.p + 7, mutant));
  if (mutant == Mutant::host_reads_device_memory) std::printf("%g\n", double(x.p[3]));
}

void check_threads() {
  const auto want = check_product(nullptr);
  std::vector<float> got[3];
  std::vector<std::thread> threads;
  for (auto& g : got)
    threads.emplace_back([&g] {
      for (int i = 0; i < 3; ++i) g = check_product(nullptr);
    });
  for (std::thread& t : threads) t.join();
  for (const auto& g : got) EXPECT(std::memcmp(g.data(), want.data(), 4 * want.size()) == 0);
}

/// As in CUDA, the child of a process that used the device cannot.
void check_fork() {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    int* p;
    _exit(cudaMalloc(&p, 4));
  }
  int status = 0;
  EXPECT(waitpid(child, &status, 0) == child);
  EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == cudaErrorInitializationError);
}

}  // namespace

int main(int, char** argv) {
  if (argv[1]) parse(argv[1]);
  if (argv[1] && mutant == Mutant::none) return 2;
  check_product("product");
  check_overwriting();
  check_warps();
  check_barriers();
  check_tensor_cores();
  check_copies();
  check_two_streams();
  check_graph();
  check_memory();
  check_errors();
  check_fork();
  check_threads();
  return failures > 0;
}
