// Prediction: forward only, by a session that holds nothing but parameters and activations.
#pragma once

#include "training.hpp"

namespace fastmlp {
namespace {

template <class T>
double predict(const Recipe& recipe, const T* const* blocks, const Held<T>& held, const Pass& pass,
               T* out, T* const* hidden, const T* const*) {
  const OnDevice device;
  Session<T> s(recipe, pass.n, held.host.x.indptr, false, false);
  write_all(s, 0, blocks);
  const PassPlan plan{false, false};
  const auto take = [&](const Burst<T>& burst) {  // of one turn
    const Turn<T>& turn = *burst.turns;
    const Layer<T>& last = s.layers.back();
    s.stream.download(out + turn.start * last.out, last.hidden ? last.output : s.net.outputs,
                      turn.rows * last.out);
    for (int l = 0; hidden && l + 1 < s.n_layers; ++l) {
      const Layer<T>& layer = s.layers[size_t(l)];
      s.stream.download(hidden[l] + turn.start * layer.out, layer.output, turn.rows * layer.out);
    }
  };
  const SolverOptions* none = nullptr;
  const Epoch made = Run<T>(s, held, pass, pass.n, none, plan, Epoch{}).make(take);
  s.stream.wait();
  if (!held.host.targets && !held.host.classes) return 0;
  return made.loss / weight_sum(held.host, pass, 0, pass.n, false);
}

}  // namespace
}  // namespace fastmlp
