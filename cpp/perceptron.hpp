// Rosenblatt's perceptron, row by row, as scikit-learn trains it to the bit: the order of the rows,
// of the sums and of the roundings is part of the model here, for on data of few digits rows may
// lie exactly on the boundary. A step costs what the row's entries cost, however many features
// there are; the engines' steps move all weights, and are for batches.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "engine.hpp"
#include "formulas/losses.hpp"
#include "threads.hpp"

namespace fastmlp {
namespace {

/// Fisher and Yates's shuffle on Marsaglia's xorshift generator (J. Stat. Software 8(14), 2003).
inline void shuffle(int64_t* order, int64_t n, uint32_t seed) {
  uint32_t state = seed == 0 ? 1 : seed;
  for (int64_t i = 0; i + 1 < n; ++i) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    std::swap(order[i], order[i + int64_t(state & 0x7fffffff) % (n - i)]);
  }
}

struct PerceptronOptions {
  double alpha, l1_ratio;  // the penalty: alpha * (l1_ratio |w| + (1 - l1_ratio) / 2 w^2)
  double rate, bias_rate;
};

/// One class against the others. The weights are `scale_` times `stored_`: the L2 penalty shrinks
/// all of them by one multiplication (Bottou, "Stochastic gradient descent tricks", 2012). The L1
/// penalty is taken where a row has entries (Tsuruoka, Tsujii & Ananiadou, ACL 2009).
template <class T>
class Perceptron {
 public:
  Perceptron(const T* weights, int64_t features, double intercept, const PerceptronOptions& options)
      : options_(options),
        stored_(weights, weights + features),
        taken_(options.alpha * options.l1_ratio > 0 ? stored_.size() : 0),
        intercept_(intercept) {
    for (const T w : stored_) {
      squares_ += double(w) * double(w);
      absolutes_ += std::fabs(double(w));
    }
  }

  /// Learns from the rows of the pass. Returns the sum of their costs, each with the penalty, as
  /// they were when their turn came; sample weights are in the steps and not in the costs.
  /// Where it was stopped the sum is of no use, the weights are those of the rows so far.
  double epoch(const Data<T>& data, const Pass& pass) {
    double cost = 0;
    Stopper stopper(pass.stop, pass.context);
    const Rows<T>& x = data.x;
    for (int64_t i = 0, met = 0; i < pass.n && !stopper.answered(false); ++i) {
      const int64_t r = pass.order ? pass.order[i] : i;
      constexpr int64_t kAskAfter = 1 << 20;  // entries
      met += 1 + (x.indptr ? x.indptr[r + 1] - x.indptr[r] : int64_t(stored_.size()));
      if (met >= kAskAfter) {
        stopper.ask(false);
        met = 0;
      }
      if (x.indptr) {
        const int32_t* columns = x.columns + x.indptr[r];
        learn(data, r, x.values + x.indptr[r], x.indptr[r + 1] - x.indptr[r], &cost,
              [columns](int64_t e) { return columns[e]; });
      } else {
        learn(data, r, reinterpret_cast<const T*>(x.dense + r * x.stride), int64_t(stored_.size()),
              &cost, [](int64_t e) { return e; });
      }
    }
    return cost;
  }

  double intercept() const { return intercept_; }
  double scale() const { return scale_; }
  const std::vector<T>& stored() const { return stored_; }

 private:
  /// `n` entries of row `r`, the e-th of them in column place(e). Adds to the cost.
  template <class Place>
  void learn(const Data<T>& data, int64_t r, const T* values, int64_t n, double* cost,
             Place place) {
    const PerceptronOptions& o = options_;
    double product = 0;
    for (int64_t e = 0; e < n; ++e) product += stored_[size_t(place(e))] * values[e];
    const double z = double(T(product * scale_)) + intercept_, y = data.classes[r];
    double change = 0;
    if (z == z) {  // where products overflow and cancel there is no step, as in scikit-learn
      *cost += PerceptronLoss::value(z, y, 0.0);
      const double weight = data.weights ? double(data.weights[r]) : 1.0;
      change = -o.rate * PerceptronLoss::delta(z, y, 0.0) * weight;
    }
    if (o.alpha > 0) {
      const T norm = T(std::sqrt(squares_));
      *cost += o.alpha * ((1 - o.l1_ratio) * 0.5 * (norm * norm) + o.l1_ratio * T(absolutes_));
      shrink(T(max(0.0, 1 - (1 - o.l1_ratio) * o.rate * o.alpha)));
    }
    if (change != 0) {
      add(values, n, T(change), place);
      intercept_ += change * o.bias_rate;
    }
    if (!taken_.empty()) {
      due_ += o.l1_ratio * o.rate * o.alpha;
      for (int64_t e = 0; e < n; ++e) truncate(size_t(place(e)));
    }
  }

  void shrink(T factor) {
    scale_ *= factor;
    squares_ *= factor * factor;
    absolutes_ *= factor;
    if (scale_ < (sizeof(T) == 8 ? 1e-9 : 1e-6)) {
      for (T& w : stored_) w *= T(scale_);
      scale_ = 1;
    }
  }

  /// The norms that the penalty's cost is taken of are then those of the row's own weights.
  template <class Place>
  void add(const T* values, int64_t n, T change, Place place) {
    const T scale = T(scale_), step = change / scale;
    double squares = 0, absolutes = 0;
    for (int64_t e = 0; e < n; ++e) {
      T& w = stored_[size_t(place(e))];
      w = T(double(w) + double(values[e]) * double(step));
      squares += w * w;
      absolutes += std::fabs(double(w));
    }
    squares_ = squares * (scale * scale);
    absolutes_ = absolutes * scale;
  }

  /// Takes what is due and has not been taken yet, as far as zero.
  void truncate(size_t place) {
    const double before = double(stored_[place]), taken = double(taken_[place]);
    double w = before;
    if (w > 0) {
      w = max(0.0, w - (due_ + taken) / scale_);
    } else if (w < 0) {
      w += (due_ - taken) / scale_;
      if (w > 0) w = 0;
    }
    stored_[place] = T(w);
    taken_[place] = T(taken + scale_ * (double(stored_[place]) - before));
  }

  PerceptronOptions options_;
  std::vector<T> stored_, taken_;
  double intercept_;
  double due_ = 0;  // the L1 penalty that is to be taken of every weight so far
  double scale_ = 1;
  double squares_ = 0, absolutes_ = 0;  // sums over the weights
};

}  // namespace
}  // namespace fastmlp
