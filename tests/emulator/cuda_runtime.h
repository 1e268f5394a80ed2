// CUDA on the CPU, for tests: with this directory in the include path, a C++ compiler builds the
// engine of cpp/cuda as it stands (g++ -x c++ -Wno-unknown-pragmas), and it runs without a GPU.
//
// What a kernel does wrong is to show: threads run in random order, work in streams may wait as
// long as it is allowed to, memory is NaN until it is written, AddressSanitizer sees accesses
// outside of memory and of the host to the device's, and ThreadSanitizer races between threads of a
// block, blocks, streams and the host. Barriers that not all threads come to end the process.
//
// What it does not have: static __shared__ memory (shared() is the dynamic), clusters, cooperative
// launches, textures, atomics; weak memory order; several devices' own memories.
#pragma once

#include "controls.hpp"
#include "language.hpp"
#include "runtime.hpp"
