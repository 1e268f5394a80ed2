// A network on an engine: what the bindings hold. Owns the engine's session, and turns names into
// places in the lists of formulas.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine.hpp"

namespace fastmlp {

/// The names in the lists of formulas/, in their order, and what else the lists say of each.
const std::vector<std::string>& activation_names();
const std::vector<std::string>& loss_names();
const std::vector<std::string>& solver_names();
std::vector<double> activation_parameters();  // defaults; NaN: it has none
std::vector<double> loss_parameters();
std::vector<std::string> link_names();  // the output activation that belongs to each loss
int solver_slots(int solver);           // values remembered per weight
bool is_learned(int activation);
bool has_pieces(int activation);

/// The place of `name` in `names`. Throws std::invalid_argument that lists what is allowed.
int find_name(const char* what, const std::vector<std::string>& names, const std::string& name);

/// Shapes of a network's parameters, in the order of the blocks.
std::vector<std::vector<int64_t>> block_shapes(const Recipe& recipe);

/// The parameters: multiply-adds of a pass of one row, or nearly so.
double count(const std::vector<std::vector<int64_t>>& shapes);

template <class T>
const Operations<T>& operations(const Engine& engine);

/// Data in the hands of an engine, for as long as this lives.
template <class T>
class HeldData {
 public:
  HeldData(const Engine& engine, const Data<T>& data, int64_t rows, int64_t features,
           int64_t outputs);
  const Held<T>& operator*() const { return *held_; }

 private:
  std::unique_ptr<Held<T>, void (*)(Held<T>*)> held_;
};

template <class T>
class Network {
 public:
  /// `units`: features, hidden layers, outputs. For batches of up to `batch` rows.
  Network(const Engine& engine, const Recipe& recipe, int64_t batch, bool sparse,
          bool keep_gradient);

  /// Shapes of the parameters, in the order of the blocks.
  const std::vector<std::vector<int64_t>>& shapes() const { return shapes_; }
  const Engine& engine() const { return engine_; }
  int64_t features() const { return features_; }
  int64_t outputs() const { return outputs_; }
  int64_t layers() const { return layers_; }
  int64_t batch() const { return batch_; }
  int64_t steps() const { return steps_; }
  Cell cell() const { return cell_; }
  bool per_step() const { return per_step_; }
  bool sparse() const { return sparse_; }
  bool keeps_gradient() const { return keep_gradient_; }
  /// Multiply-adds, or what takes as long, of so many passes of a row through all layers. The
  /// gradient is three passes, an update of all weights some 20.
  double work(int64_t passes) const { return count(shapes_) * double(passes * steps_); }

  // As in engine.hpp.
  void write(int slot, const T* const* blocks) { calls_.write(session_.get(), slot, blocks); }
  void read(int slot, T* const* blocks) const { calls_.read(session_.get(), slot, blocks); }
  Epoch train(const Held<T>& data, const Pass& pass, int64_t batch, const SolverOptions& options,
              const Epoch& begun) {
    reached_ = calls_.train(session_.get(), data, pass, batch, options, begun);
    steps_made_ += reached_.steps - begun.steps;
    return reached_;
  }
  /// Where the last epoch trained stands, and the updates made in all.
  const Epoch& reached() const { return reached_; }
  int64_t steps_made() const { return steps_made_; }
  double gradient(const Held<T>& data, const Pass& pass, T* const* blocks) {
    return calls_.gradient(session_.get(), data, pass, blocks);
  }
  void diagnose(const Held<T>& data, const Pass& pass, double* numbers) {
    calls_.diagnose(session_.get(), data, pass, numbers);
  }

 private:
  std::vector<std::vector<int64_t>> shapes_;
  int64_t features_, outputs_, layers_, batch_, steps_;
  Cell cell_;
  bool per_step_, sparse_, keep_gradient_;
  Epoch reached_;
  int64_t steps_made_ = 0;
  const Engine& engine_;
  const Operations<T>& calls_;
  std::unique_ptr<Session<T>, void (*)(Session<T>*)> session_;
};

}  // namespace fastmlp
