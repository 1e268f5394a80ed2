// What tells of a network's health: numbers per layer, from a pass over a few rows that moves
// nothing.
#pragma once

#include "../formulas/diagnosis.hpp"
#include "training.hpp"

namespace fastmlp {
namespace {

/// Adds a layer's weights, which are remembered for the next diagnosis.
template <class T>
void add_changes(const Layer<T>& layer, ChangeSums* sums) {
  for (int64_t vector = 0; vector < layer.vectors(); ++vector) {
    // in double: the variance is a difference, of what may be nearly the same
    Wide<T> weight{}, weight_squares{}, change{}, change_squares{};
    for (int64_t row = 0; row < layer.rows(); ++row) {
      T* before = layer.weight.slot[kDiagnosed].at(vector, row);
      const Vec<T> now = load(layer.weight.slot[0].at(vector, row));
      const Wide<T> w = __builtin_convertvector(now, Wide<T>),
                    d = __builtin_convertvector(now - load(before), Wide<T>);
      weight += w;
      weight_squares += w * w;
      change += d;
      change_squares += d * d;
      store(before, now);
    }
    const Wide<T> all[] = {weight, weight_squares, change, change_squares};
    for (int i = 0; i < 4; ++i)
      for (int64_t lane = 0; lane < kLanes<T>; ++lane) sums->of[i] += all[i][lane];
  }
  sums->n += double(layer.in) * double(layer.out) * double(layer.pieces);
}

/// The shares of units whose activation is 0 in all rows that count, and is next to a limit in
/// most.
template <class T, class Counts>
void count_units(const Layer<T>& layer, const Panels<T>& a, int64_t rows, Counts counts,
                 double* dead, double* saturated) {
  const Limits limits = limits_of(layer.hidden.activation, Activations{});
  int64_t n_dead = 0, n_saturated = 0;
  for (int64_t first = 0; first < layer.out; first += kLanes<T>) {
    Vec<T> active{}, limited{};
    int64_t n = 0;
    for (int64_t row = 0; row < rows; ++row) {
      if (!counts(row)) continue;
      ++n;
      const Vec<T> v = load(a.at(first / kLanes<T>, row));
      active += select(v == Vec<T>{}, Vec<T>{}, splat<Vec<T>>(1));
      limited += select(v < T(limits.low), splat<Vec<T>>(1), Vec<T>{});
      limited += select(v > T(limits.high), splat<Vec<T>>(1), Vec<T>{});
    }
    const int64_t lanes = layer.out - first < kLanes<T> ? layer.out - first : kLanes<T>;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      n_dead += limits.dies && active[lane] == 0;
      n_saturated += 2 * limited[lane] > T(n);
    }
  }
  *dead = double(n_dead) / double(layer.out);
  *saturated = double(n_saturated) / double(layer.out);
}

template <class T>
void diagnose(Session<T>* s, const Held<T>& held, const Pass& all, double* numbers) {
  const Data<T>& data = held.data;
  Pass pass = all;
  if (s->cell != Cell::dense && pass.n > s->chunk_rows) pass.n = s->chunk_rows;
  const Epoch made = run_job(s, data, pass, pass.n, static_cast<SolverOptions*>(nullptr), Epoch{});
  const bool weighs = made.counted > 0;  // else the rows' weights sum to zero
  const UnitSums* unit = s->sums;
  for (int l = 0; l < s->all_layers; ++l) {
    const Layer<T>& layer = s->layers[l];
    double* here = numbers + (layer.context ? l - s->n_layers : l) * kDiagnoses;
    double squares = layer.context ? here[0] * here[0] : 0;
    for (const UnitSums* end = unit + layer.units(); unit < end; ++unit)
      squares += unit->squared_gradient;
    here[0] = weighs ? __builtin_sqrt(squares) : 0;
  }
  const int64_t steps = most_steps(data, pass, 0, pass.n);
  for (int l = 0; l < s->n_layers; ++l, numbers += kDiagnoses) {
    const Layer<T>& layer = s->layers[l];
    const bool hidden = l + 1 < s->n_layers, recurrent = hidden && s->cell != Cell::dense;
    ChangeSums changes;
    add_changes(layer, &changes);
    if (recurrent) add_changes(context_of(*s, l), &changes);
    numbers[1] = changes.ratio();
    numbers[2] = numbers[3] = 0;
    if (!weighs || !hidden) continue;
    // of sequences, those steps count that they have
    const Panels<T> a = recurrent ? context_of(*s, l).input : s->layers[l + 1].input;
    count_units(
        layer, a, recurrent ? pass.n * steps : pass.n,
        [&](int64_t row) {
          const int64_t r = row % pass.n;
          return !recurrent || row / pass.n < data.length(pass.order ? pass.order[r] : r);
        },
        numbers + 2, numbers + 3);
  }
}

}  // namespace
}  // namespace fastmlp
