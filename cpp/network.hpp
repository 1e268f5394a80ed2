// A network on an engine: what the bindings hold. Owns the engine's session, and turns names into
// places in the lists of formulas.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine.hpp"

namespace fastmlp {

/// The names in the lists of formulas/, in their order.
const std::vector<std::string>& activation_names();
const std::vector<std::string>& loss_names();
const std::vector<std::string>& solver_names();
/// The output activation that belongs to each loss, in the order of loss_names().
std::vector<std::string> link_names();
/// Values that a solver remembers per weight.
int solver_slots(int solver);

/// The place of `name` in `names`. Throws std::invalid_argument that lists what is allowed.
int find_name(const char* what, const std::vector<std::string>& names, const std::string& name);

template <class T>
const Operations<T>& operations(const Engine& engine);

template <class T>
class Network {
 public:
  /// `units`: features, hidden layers, outputs. For batches of up to `batch` rows.
  Network(const Engine& engine, std::vector<int64_t> units, int activation, int loss, double alpha,
          int64_t batch, bool sparse, bool keep_gradient);

  const std::vector<int64_t>& units() const { return units_; }
  int n_layers() const { return int(units_.size()) - 1; }
  int64_t batch() const { return batch_; }
  bool sparse() const { return sparse_; }
  bool keeps_gradient() const { return keep_gradient_; }

  // As in engine.hpp.
  void write(int slot, const T* const* blocks) { calls_.write(session_.get(), slot, blocks); }
  void read(int slot, T* const* blocks) const { calls_.read(session_.get(), slot, blocks); }
  EpochResult train(const Data<T>& data, const Pass& pass, int64_t batch,
                    const SolverOptions& options) {
    return calls_.train(session_.get(), data, pass, batch, options);
  }
  double gradient(const Data<T>& data, const Pass& pass, T* const* blocks) {
    return calls_.gradient(session_.get(), data, pass, blocks);
  }

 private:
  std::vector<int64_t> units_;
  int64_t batch_;
  bool sparse_, keep_gradient_;
  const Operations<T>& calls_;
  std::unique_ptr<Session<T>, void (*)(Session<T>*)> session_;
};

}  // namespace fastmlp
