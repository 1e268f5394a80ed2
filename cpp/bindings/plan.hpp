// A network as Python describes it, and its arrays of parameters.
#pragma once

#include "../network.hpp"
#include "arguments.hpp"

namespace fastmlp {

/// A network's description, with the arrays that the recipe points to.
struct Plan {
  std::vector<int64_t> units;
  std::vector<Hidden> hidden;
  Recipe recipe{};
};

/// `hidden`: (activation, parameter, pieces, dropout) per hidden layer.
inline void plan_hidden(const py::list& hidden, Plan* plan) {
  for (const py::handle& item : hidden) {
    const auto parts = py::cast<py::tuple>(item);
    require(parts.size() == 4, "hidden: (activation, parameter, pieces, dropout) per layer");
    const int activation =
        find_name("activation", activation_names(), py::cast<std::string>(parts[0]));
    const Hidden layer{activation, py::cast<double>(parts[1]), py::cast<int>(parts[2]),
                       is_learned(activation), py::cast<double>(parts[3])};
    require(layer.pieces >= 1 && (layer.pieces == 1 || has_pieces(activation)),
            "hidden: only maxout has several pieces");
    require(layer.dropout >= 0 && layer.dropout < 1, "hidden: dropout must be in [0, 1)");
    plan->hidden.push_back(layer);
  }
}

/// What a recurrent network is besides: "elman" or "gru", and for sequences of how many steps. With
/// "" it is a dense one.
inline void plan_cell(const std::string& cell, bool per_step, int64_t steps, Plan* plan) {
  const std::vector<std::string> cells{"", "elman", "gru"};
  plan->recipe.cell = Cell(find_name("cell", cells, cell));
  plan->recipe.per_step = per_step;
  plan->recipe.steps = steps;
  const bool recurrent = plan->recipe.recurrent();
  require(steps >= 1, "steps: must be positive");
  require(recurrent || (!per_step && steps == 1), "per_step, steps: of recurrent networks only");
  require(!recurrent || !plan->hidden.empty(), "hidden: a recurrent network needs a layer");
  for (const Hidden& layer : plan->hidden)
    require(!recurrent || (!layer.learned && !has_pieces(layer.activation)),
            "hidden: recurrent layers must have an activation other than maxout and prelu");
}

/// How a device may round: see engine.hpp.
inline void plan_precision(const std::string& name, bool single, const Engine& engine, Plan* plan) {
  const std::vector<std::string> names{"float32", "tf32", "bfloat16"};
  plan->recipe.precision = Precision(find_name("precision", names, name));
  if (plan->recipe.precision == Precision::float32) return;
  require(single, "precision: a network of float64 has no other");
  require(std::string(engine.device) != "cpu", "precision: the CPU's is float32");
}

inline void finish_plan(const std::optional<std::string>& loss, double loss_parameter,
                        double label_smoothing, Plan* plan) {
  require(!plan->recipe.recurrent() || loss, "loss: a recurrent network needs one");
  require(label_smoothing >= 0 && label_smoothing < 1, "label_smoothing: must be in [0, 1)");
  plan->recipe.units = plan->units.data();
  plan->recipe.n_layers = int(plan->units.size()) - 1;
  plan->recipe.hidden = plan->hidden.data();
  plan->recipe.loss = loss ? find_name("loss", loss_names(), *loss) : -1;
  plan->recipe.loss_parameter = loss_parameter;
  plan->recipe.label_smoothing = label_smoothing;
  require(plan->hidden.size() + (loss ? 1 : 0) == plan->units.size() - 1,
          "hidden: wrong number of layers");
}

/// [weight, bias, ..., slopes, ...] of a network, see engine.hpp.
template <class T>
std::vector<const T*> block_pointers(const py::list& arrays,
                                     const std::vector<std::vector<int64_t>>& shapes) {
  require(arrays.size() == shapes.size(), "blocks: wrong number of arrays");
  std::vector<const T*> blocks;
  for (size_t i = 0; i < shapes.size(); ++i)
    blocks.push_back(contiguous<T>(arrays[i], shapes[i], "blocks"));
  return blocks;
}

template <class T>
py::list new_blocks(const std::vector<std::vector<int64_t>>& shapes, std::vector<T*>* pointers) {
  py::list arrays;
  for (const auto& shape : shapes) {
    const Array<T> block(shape);
    pointers->push_back(const_cast<T*>(block.data()));
    arrays.append(block);
  }
  return arrays;
}

}  // namespace fastmlp
