// Samples as Python gives them to a call: held by an engine already, or arrays.
#pragma once

#include <optional>
#include <utility>

#include "../network.hpp"
#include "arguments.hpp"
#include "calls.hpp"

namespace fastmlp {

/// What network samples are for.
struct SamplesKind {
  const Engine& engine;
  int64_t features, outputs;
  bool per_step, sequences;
};

/// Samples whose arrays were checked, stay alive, and are held by an engine, for as long as this
/// lives.
template <class T>
class Samples {
 public:
  Samples(const SamplesKind& kind, const py::object& x, const py::object& targets,
          const py::object& weights, const py::object& lengths)
      : kind_(kind),
        arrays_{x, targets, weights, lengths},
        rows_(x, kind.features, kind.sequences, lengths),
        data_(rows_.data()) {
    if (!targets.is_none())
      data_ = training_data(rows_, targets, weights, kind.outputs, kind.per_step);
    else
      require(weights.is_none(), "weights: without targets");
    // a CPU keeps the pointers, a device copies what fits
    const Released release(std::string(kind.engine.device) == "cpu" ? 0 : kBriefWork);
    held_.emplace(kind.engine, data_, rows_.n, kind.features, kind.outputs);
  }
  Samples(const Samples&) = delete;

  const Held<T>& held() const { return **held_; }
  int64_t n() const { return rows_.n; }
  int64_t steps() const { return rows_.steps; }
  bool sparse() const { return data_.x.indptr; }
  bool has_targets() const { return data_.targets || data_.classes; }

  void require_kind(const SamplesKind& wanted) const {
    require(&kind_.engine == &wanted.engine, "X: samples held by another engine");
    require(kind_.features == wanted.features && kind_.outputs == wanted.outputs,
            "X: samples held for another number of features or outputs");
    require(kind_.per_step == wanted.per_step, "X: samples held for another `per_step`");
    require(kind_.sequences == wanted.sequences, "X: sequences and rows mixed");
  }

 private:
  const SamplesKind kind_;
  const py::object arrays_[4];
  const RowsArgument<T> rows_;
  Data<T> data_;
  std::optional<HeldData<T>> held_;
};

/// Such samples; arrays are held for as long as this lives.
template <class T>
class SamplesArgument {
 public:
  SamplesArgument(const SamplesKind& kind, const py::object& x, const py::object& targets,
                  const py::object& weights, const py::object& lengths) {
    if (py::isinstance<Samples<T>>(x)) {
      require(targets.is_none() && weights.is_none() && lengths.is_none(),
              "targets, weights, lengths: held samples have their own");
      samples_ = py::cast<const Samples<T>*>(x);
      samples_->require_kind(kind);
    } else {
      samples_ = &own_.emplace(kind, x, targets, weights, lengths);
    }
  }
  SamplesArgument(const SamplesArgument&) = delete;

  const Samples<T>* operator->() const { return samples_; }

 private:
  std::optional<Samples<T>> own_;
  const Samples<T>* samples_;
};

}  // namespace fastmlp
