// Numbers that tell of a network's health: a pass on the device, looked at by the host.
#pragma once

#include "../formulas/diagnosis.hpp"
#include "training.hpp"

namespace fastmlp {
namespace {

template <class T>
std::vector<T> fetch(const Session<T>& s, const T* from, int64_t count) {
  std::vector<T> numbers(static_cast<size_t>(count));
  s.stream.download(numbers.data(), from, count);
  s.stream.wait();
  return numbers;
}

/// How a layer's weights have changed since the last diagnosis.
template <class T>
double changes(const Session<T>& s, const Layer<T>& layer, const T* before) {
  const int64_t count = layer.in * layer.linear;
  const auto now = fetch(s, s.net.slots[0] + layer.block, count);
  const auto then = fetch(s, before + layer.block, count);
  ChangeSums sums;
  sums.n = double(count);
  for (size_t i = 0; i < now.size(); ++i) {
    const double w = double(now[i]), d = double(now[i] - then[i]);
    const double here[] = {w, w * w, d, d * d};
    for (int k = 0; k < 4; ++k) sums.of[k] += here[k];
  }
  return sums.ratio();
}

/// The shares of units whose activation is 0 in all rows, and is next to a limit in most.
template <class T>
void count_units(const Session<T>& s, const Layer<T>& layer, int64_t rows, double* dead,
                 double* saturated) {
  const Limits limits = limits_of(layer.activation, Activations{});
  const auto a = fetch(s, static_cast<const T*>(layer.output), rows * layer.out);
  int64_t n_dead = 0, n_saturated = 0;
  for (int64_t j = 0; j < layer.out; ++j) {
    int64_t active = 0, limited = 0;
    for (int64_t r = 0; r < rows; ++r) {
      const T v = a[size_t(r * layer.out + j)];
      active += v != 0;
      limited += v < T(limits.low) || v > T(limits.high);
    }
    n_dead += limits.dies && active == 0;
    n_saturated += 2 * limited > rows;
  }
  *dead = double(n_dead) / double(layer.out);
  *saturated = double(n_saturated) / double(layer.out);
}

static_assert(kLargeTile >= kDiagnosedRows);  // a diagnosis is one chunk

template <class T>
void diagnose(Session<T>* s, const Held<T>& held, const Pass& pass, double* numbers) {
  const OnDevice device;
  const Epoch made =
      run(s, held, pass, pass.n, static_cast<const SolverOptions*>(nullptr), Epoch{});
  const bool weighs = made.counted > 0;  // else the rows' weights sum to zero
  const auto squares = [&] {
    std::vector<double> all(static_cast<size_t>(s->net.units));
    s->stream.download(all.data(), s->net.squares, s->net.units);
    s->stream.wait();
    return all;
  }();
  T* before = s->slot(kDiagnosed);
  auto unit = squares.begin();
  for (int l = 0; l < s->n_layers; ++l, numbers += kDiagnoses) {
    const Layer<T>& layer = s->layers[size_t(l)];
    double sum = 0;
    for (const auto end = unit + layer.units; unit < end; ++unit) sum += *unit;
    numbers[0] = weighs ? sqrt(sum) : 0;
    numbers[1] = changes(*s, layer, before);
    numbers[2] = numbers[3] = 0;
    if (weighs && layer.hidden) count_units(*s, layer, pass.n, numbers + 2, numbers + 3);
  }
  s->stream.copy(before, s->net.slots[0], s->total, cudaMemcpyDeviceToDevice);
  s->stream.wait();
}

}  // namespace
}  // namespace fastmlp
