// The CPU engine. This file is compiled once per instruction set (FASTMLP_ISA names it,
// FASTMLP_VECTOR_BYTES and FASTMLP_TILE_ROWS shape it) and gives out one symbol, engine_<ISA>.
// Everything else has internal linkage, and nothing of the STL's run-time code is used here.
//
// A step over one batch has two phases with a barrier after each:
//   rows     each thread takes rows of the batch, or sequences, all the way: gather, forward, loss,
//            deltas back
//   weights  each thread takes tiles of weights: their gradient over all rows, then the update
// No sum crosses threads, so results are the same bits for any number of them.
#include "diagnosis.hpp"
#include "sequence_prediction.hpp"

namespace fastmlp {

namespace {

/// Chains of multiply-adds, as many as hide their latency, best of many short runs.
template <class T>
__attribute__((noinline)) double peak() {
  constexpr int kChains = 10, kTurns = 20000, kRuns = 50;
  Vec<T> sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = splat<Vec<T>>(T(c));
  const Vec<T> factor = splat<Vec<T>>(T(0.5)), term = splat<Vec<T>>(T(0.25));
  double best = 1e9;
  Vec<T> total{};
  for (int run = 0; run < kRuns; ++run) {
    const double began = seconds();
    for (int turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 16
      for (int c = 0; c < kChains; ++c) sums[c] = sums[c] * factor + term;
    }
    for (int c = 0; c < kChains; ++c) total += sums[c];
    const double time = seconds() - began;
    best = time < best ? time : best;
  }
  const double operations = 2.0 * kChains * kTurns * double(kLanes<T>);
  return total[0] == total[0] ? operations / best : 0;  // the sums must be used
}

template <class T>
Held<T>* hold(const Data<T>& data, int64_t, int64_t, int64_t) {
  Held<T>* held = static_cast<Held<T>*>(allocate(sizeof(Held<T>), "data"));
  *held = {data};
  return held;
}

template <class T>
void release_held(Held<T>* held) {
  release(held);
}

template <class T>
double predict(const Recipe& recipe, const T* const* blocks, const Held<T>& held, const Pass& pass,
               T* out, T* const* hidden, const T* const* state) {
  return recipe.recurrent() ? predict_sequences(recipe, blocks, held.data, pass, out, hidden, state)
                            : predict_dense(recipe, blocks, held.data, pass, out, hidden);
}

const char* lacks() {
#if defined(__AVX512F__)
  const bool runs = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
#elif defined(__AVX2__)
  const bool runs = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  const bool runs = true;
#endif
  return runs ? nullptr : "this machine cannot run it";
}

const char* card() { return ""; }

template <class T>
constexpr Operations<T> operations{hold<T>,     release_held<T>, open<T>,  close<T>,
                                   write<T>,    read<T>,         train<T>, gradient<T>,
                                   diagnose<T>, predict<T>,      peak<T>};

}  // namespace

#define FASTMLP_JOIN(a, b) a##b
#define FASTMLP_ENGINE_NAME(isa) FASTMLP_JOIN(engine_, isa)
#define FASTMLP_QUOTE(x) #x
#define FASTMLP_TEXT(x) FASTMLP_QUOTE(x)

extern const Engine FASTMLP_ENGINE_NAME(FASTMLP_ISA);
const Engine FASTMLP_ENGINE_NAME(FASTMLP_ISA) = {
    FASTMLP_TEXT(FASTMLP_ISA), "cpu", lacks, card, operations<float>, operations<double>};

}  // namespace fastmlp
