// What kernels see of CUDA: the words of the language and its functions of a block and a warp.
#pragma once

#include "machine.hpp"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

namespace emulator {

EMULATOR_OWN inline uint3 thread_index() { return machine.now->index; }
EMULATOR_OWN inline uint3 block_index() { return machine.now->block->index; }
EMULATOR_OWN inline dim3 block_size() { return machine.now->block->work->threads; }
EMULATOR_OWN inline dim3 grid_size() { return machine.now->block->work->blocks; }
EMULATOR_OWN inline unsigned lane() { return machine.now->lane; }

/// The block's dynamic shared memory.
EMULATOR_OWN inline char* shared() { return machine.now->block->shared; }

using Slot = unsigned char[32];

/// What all lanes of the warp give, at most until the lane gives something again.
EMULATOR_OWN inline const Slot* exchange(const void* value, size_t bytes, const char* file,
                                         int line) {
  Thread& t = *machine.now;
  Slot* slots = t.warp->slots[t.exchanges++ % 2];
  __builtin_memcpy(slots[t.lane], value, bytes);
  wait(t.warp->barrier, file, line);
  return slots;
}

template <class T>
EMULATOR_OWN T read_slot(const unsigned char* slot) {
  T value;
  __builtin_memcpy(&value, slot, sizeof value);
  return value;
}

/// Lane `from`'s value. A lane that the block does not have gives NaN.
template <class T>
EMULATOR_OWN T take(unsigned mask, T value, unsigned from, const char* file, int line) {
  static_assert(sizeof(T) <= sizeof(Slot));
  if (mask != 0xffffffff)
    fail("a shuffle among some lanes only: the emulator has none", file, line);
  return read_slot<T>(exchange(&value, sizeof value, file, line)[from]);
}

/// d = a b + c of a warp, in the fragments that PTX documents for mma.m16n8k8 and .m16n8k16:
/// `per` numbers in a register, number(register, i) the i-th.
template <int per, class Number>
void multiply(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4],
              const Number& number, const char* file, int line) {
  uint32_t own[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  const Slot* slots = exchange(own, sizeof own, file, line);
  const auto get = [&](int lane, int place, int i) {
    const uint32_t part = number(read_slot<uint32_t>(slots[lane] + 4 * place), i);
    float value;
    __builtin_memcpy(&value, &part, 4);
    return value;
  };
  constexpr int half = 4 * per;  // of k
  const int group = int(lane()) / 4, place = int(lane()) % 4;
  for (int i = 0; i < 4; ++i) {
    const int column = place * 2 + i % 2;
    float sum = c[i];
    for (int k = 0; k < 2 * half; ++k) {
      const int holder = k % half / per;  // in its group
      sum += get(group * 4 + holder, i / 2 + 2 * (k / half), k % per) *
             get(column * 4 + holder, 4 + k / half, k % per);
    }
    d[i] = sum;
  }
}

/// mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32
inline void mma_m16n8k8_tf32(float d[4], const uint32_t a[4], const uint32_t b[2], const float c[4],
                             const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  multiply<1>(d, a, b, c, [](uint32_t bits, int) { return bits & ~0x1fffu; }, file, line);
}

/// mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
inline void mma_m16n8k16_bf16(float d[4], const uint32_t a[4], const uint32_t b[2],
                              const float c[4], const char* file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
  multiply<2>(
      d, a, b, c, [](uint32_t bits, int i) { return i ? bits & 0xffff0000u : bits << 16; }, file,
      line);
}

}  // namespace emulator

// Objects, not macros: cudaLaunchConfig_t has members of these names.
#define EMULATOR_COORDINATE(source, axis)                         \
  struct {                                                        \
    operator unsigned() const { return emulator::source().axis; } \
  } axis;
#define EMULATOR_COORDINATES(name, source) \
  inline constexpr struct {                \
    EMULATOR_COORDINATE(source, x)         \
    EMULATOR_COORDINATE(source, y)         \
    EMULATOR_COORDINATE(source, z)         \
  } name {                                 \
  }
EMULATOR_COORDINATES(threadIdx, thread_index);
EMULATOR_COORDINATES(blockIdx, block_index);
EMULATOR_COORDINATES(blockDim, block_size);
EMULATOR_COORDINATES(gridDim, grid_size);
#undef EMULATOR_COORDINATES
#undef EMULATOR_COORDINATE

EMULATOR_OWN inline void __syncthreads(const char* file = __builtin_FILE(),
                                       int line = __builtin_LINE()) {
  emulator::wait(emulator::machine.now->block->barrier, file, line);
}

EMULATOR_OWN inline void __syncwarp(unsigned mask = 0xffffffff, const char* file = __builtin_FILE(),
                                    int line = __builtin_LINE()) {
  if (mask != 0xffffffff) emulator::fail("a barrier of some lanes only", file, line);
  emulator::wait(emulator::machine.now->warp->barrier, file, line);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32, const char* file = __builtin_FILE(),
              int line = __builtin_LINE()) {
  const unsigned w = unsigned(width), begin = emulator::lane() & ~(w - 1);
  return emulator::take(mask, value, begin + unsigned(from) % w, file, line);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int with, int width = 32,
                  const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  const unsigned lane = emulator::lane(), w = unsigned(width), from = lane ^ unsigned(with);
  return emulator::take(mask, value, from < (lane & ~(w - 1)) + w ? from : lane, file, line);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32,
                   const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  const unsigned lane = emulator::lane(), w = unsigned(width), from = lane + by;
  return emulator::take(mask, value, from < (lane & ~(w - 1)) + w ? from : lane, file, line);
}

template <class T>
T __ldg(const T* p) {
  return *p;
}
