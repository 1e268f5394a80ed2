// Types and numbers of CUDA's run-time library, by its names, as far as the engine uses them.
#pragma once

#include <cstddef>
#include <cstdint>

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
constexpr float2 make_float2(float x, float y) { return {x, y}; }
constexpr float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
constexpr double2 make_double2(double x, double y) { return {x, y}; }

// name, number, CUDA's text
#define EMULATOR_ERRORS(E)                                                                      \
  E(cudaSuccess, 0, "no error")                                                                 \
  E(cudaErrorInvalidValue, 1, "invalid argument")                                               \
  E(cudaErrorMemoryAllocation, 2, "out of memory")                                              \
  E(cudaErrorInitializationError, 3, "initialization error")                                    \
  E(cudaErrorCudartUnloading, 4, "driver shutting down")                                        \
  E(cudaErrorInvalidConfiguration, 9, "invalid configuration argument")                         \
  E(cudaErrorInvalidDevicePointer, 17, "invalid device pointer")                                \
  E(cudaErrorInvalidMemcpyDirection, 21, "invalid copy direction for memcpy")                   \
  E(cudaErrorInsufficientDriver, 35,                                                            \
    "CUDA driver version is insufficient for CUDA runtime version")                             \
  E(cudaErrorDevicesUnavailable, 46, "CUDA-capable device(s) is/are busy or unavailable")       \
  E(cudaErrorInvalidDeviceFunction, 98, "invalid device function")                              \
  E(cudaErrorNoDevice, 100, "no CUDA-capable device is detected")                               \
  E(cudaErrorInvalidDevice, 101, "invalid device ordinal")                                      \
  E(cudaErrorNoKernelImageForDevice, 209,                                                       \
    "no kernel image is available for execution on the device")                                 \
  E(cudaErrorInvalidResourceHandle, 400, "invalid resource handle")                             \
  E(cudaErrorNotReady, 600, "device not ready")                                                 \
  E(cudaErrorIllegalAddress, 700, "an illegal memory access was encountered")                   \
  E(cudaErrorLaunchOutOfResources, 701, "too many resources requested for launch")              \
  E(cudaErrorLaunchTimeout, 702, "the launch timed out and was terminated")                     \
  E(cudaErrorMisalignedAddress, 716, "misaligned address")                                      \
  E(cudaErrorLaunchFailure, 719, "unspecified launch failure")                                  \
  E(cudaErrorNotPermitted, 800, "operation not permitted")                                      \
  E(cudaErrorNotSupported, 801, "operation not supported")                                      \
  E(cudaErrorStreamCaptureUnsupported, 900, "operation not permitted when stream is capturing") \
  E(cudaErrorStreamCaptureInvalidated, 901,                                                     \
    "operation failed due to a previous error during capture")                                  \
  E(cudaErrorStreamCaptureIsolation, 905,                                                       \
    "dependency created on uncaptured work in another stream")                                  \
  E(cudaErrorCapturedEvent, 907,                                                                \
    "operation not permitted on an event last recorded in a capturing stream")                  \
  E(cudaErrorUnknown, 999, "unknown error")

enum cudaError {
#define EMULATOR_ERROR(name, number, text) name = number,
  EMULATOR_ERRORS(EMULATOR_ERROR)
#undef EMULATOR_ERROR
};
typedef cudaError cudaError_t;

enum cudaMemcpyKind {
  cudaMemcpyHostToHost = 0,
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
  cudaMemcpyDefault = 4
};

enum cudaFuncAttribute {
  cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
  cudaFuncAttributePreferredSharedMemoryCarveout = 9
};

enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal = 0,
  cudaStreamCaptureModeThreadLocal = 1,
  cudaStreamCaptureModeRelaxed = 2
};

enum cudaDeviceAttr {
  cudaDevAttrMaxThreadsPerBlock = 1,
  cudaDevAttrMaxSharedMemoryPerBlock = 8,
  cudaDevAttrWarpSize = 10,
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrL2CacheSize = 38,
  cudaDevAttrMaxThreadsPerMultiProcessor = 39,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem, sharedMemPerBlock, sharedMemPerMultiprocessor, sharedMemPerBlockOptin;
  int warpSize, maxThreadsPerBlock, maxThreadsPerMultiProcessor;
  int major, minor, multiProcessorCount, l2CacheSize;
};

constexpr unsigned cudaStreamNonBlocking = 1;
constexpr unsigned cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2;

typedef struct EmulatorStream* cudaStream_t;
typedef struct EmulatorEvent* cudaEvent_t;
typedef struct EmulatorGraph* cudaGraph_t;
typedef struct EmulatorGraphExec* cudaGraphExec_t;

enum cudaLaunchAttributeID { cudaLaunchAttributeIgnore = 0 };
union cudaLaunchAttributeValue {
  char pad[64];
};
struct cudaLaunchAttribute {
  cudaLaunchAttributeID id;
  cudaLaunchAttributeValue val;
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
  cudaLaunchAttribute* attrs;
  unsigned numAttrs;
};
