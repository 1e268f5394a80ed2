#include "network.hpp"

#include <stdexcept>

#include "errors.hpp"
#include "formulas/activations.hpp"
#include "formulas/losses.hpp"
#include "formulas/solvers.hpp"

namespace fastmlp {

namespace {

template <class... Items>
std::vector<std::string> names_of(List<Items...>) {
  return {Items::name...};
}

template <class... Items>
std::vector<std::string> links_of(List<Items...>) {
  return {Items::link_name...};
}

template <class... Items>
std::vector<double> parameters_of(List<Items...>) {
  return {Items::kParameter...};
}

template <class... Items>
std::vector<int> slots_of(List<Items...>) {
  return {Items::kSlots...};
}

template <class... Items>
std::vector<bool> learned_of(List<Items...>) {
  return {Items::kLearned...};
}

template <class... Items>
std::vector<bool> pieces_of(List<Items...>) {
  return {Items::kPieces...};
}

/// For the end of what memory is wanted for; of a CPU nothing.
std::string on_device(const Engine& engine) {
  const std::string device = engine.device;
  return device == "cpu" ? "" : " on the device '" + device + "'";
}

}  // namespace

const std::vector<std::string>& activation_names() {
  static const auto names = names_of(Activations{});
  return names;
}

const std::vector<std::string>& loss_names() {
  static const auto names = names_of(Losses{});
  return names;
}

const std::vector<std::string>& solver_names() {
  static const auto names = names_of(Solvers<float>{});
  return names;
}

std::vector<double> activation_parameters() { return parameters_of(Activations{}); }
std::vector<double> loss_parameters() { return parameters_of(Losses{}); }
std::vector<std::string> link_names() { return links_of(Losses{}); }

bool is_learned(int activation) {
  static const auto learned = learned_of(Activations{});
  return learned.at(size_t(activation));
}

bool has_pieces(int activation) {
  static const auto pieces = pieces_of(Activations{});
  return pieces.at(size_t(activation));
}

int solver_slots(int solver) { return slots_of(Solvers<float>{}).at(size_t(solver)); }

int find_name(const char* what, const std::vector<std::string>& names, const std::string& name) {
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return int(i);
  std::string allowed;
  for (const std::string& known : names) allowed += (allowed.empty() ? "" : ", ") + known;
  throw std::invalid_argument(std::string(what) + " must be one of " + allowed + ". Got '" + name +
                              "' instead.");
}

template <>
const Operations<float>& operations<float>(const Engine& engine) {
  return engine.f32;
}

template <>
const Operations<double>& operations<double>(const Engine& engine) {
  return engine.f64;
}

std::vector<std::vector<int64_t>> block_shapes(const Recipe& recipe) {
  std::vector<std::vector<int64_t>> shapes;
  const int n_hidden = recipe.n_layers - (recipe.loss >= 0);
  for (int l = 0; l < recipe.n_layers; ++l) {
    const int64_t columns = recipe.units[l + 1] * (l < n_hidden ? recipe.pieces(l) : 1);
    shapes.push_back({recipe.units[l], columns});
    shapes.push_back({columns});
  }
  for (int l = 0; l < n_hidden; ++l)
    if (recipe.hidden[l].learned) shapes.push_back({recipe.units[l + 1]});
  for (int l = 0; recipe.recurrent() && l < n_hidden; ++l) {
    const int64_t columns = recipe.units[l + 1] * recipe.pieces(l);
    shapes.push_back({recipe.units[l + 1], columns});
    if (recipe.cell == Cell::gru) shapes.push_back({columns});
  }
  return shapes;
}

double count(const std::vector<std::vector<int64_t>>& shapes) {
  double all = 0;
  for (const auto& shape : shapes)
    all += double(shape[0]) * (shape.size() == 2 ? double(shape[1]) : 1);
  return all;
}

template <class T>
HeldData<T>::HeldData(const Engine& engine, const Data<T>& data, int64_t rows, int64_t features,
                      int64_t outputs)
    : held_(nullptr, operations<T>(engine).release) {
  try {
    held_.reset(operations<T>(engine).hold(data, rows, features, outputs));
  } catch (const OutOfMemory& error) {
    const std::string purpose = "data of " + std::to_string(rows) + " rows" + on_device(engine);
    throw OutOfMemory(error.bytes(), purpose.c_str());
  }
}

template <class T>
Network<T>::Network(const Engine& engine, const Recipe& recipe, int64_t batch, bool sparse,
                    bool keep_gradient)
    : shapes_(block_shapes(recipe)),
      features_(recipe.units[0]),
      outputs_(recipe.units[recipe.n_layers]),
      layers_(recipe.n_layers),
      batch_(batch),
      steps_(recipe.steps),
      cell_(recipe.cell),
      per_step_(recipe.per_step),
      sparse_(sparse),
      keep_gradient_(keep_gradient),
      engine_(engine),
      calls_(operations<T>(engine)),
      session_(nullptr, calls_.close) {
  double elements = count(shapes_), widths = double(features_);
  for (const auto& shape : shapes_)
    if (shape.size() == 1) widths += double(shape[0]);
  elements += widths * double(batch) * double(recipe.steps);
  try {
    // Far beyond any memory, and far below where sizes in bytes would overflow.
    constexpr double kMostElements = 1e15;
    if (elements > kMostElements) throw OutOfMemory(elements * sizeof(T), "");
    session_.reset(calls_.open(recipe, batch, sparse, keep_gradient));
  } catch (const OutOfMemory& error) {
    std::string layers = std::to_string(features_);
    for (int l = 1; l <= recipe.n_layers; ++l) layers += "-" + std::to_string(recipe.units[l]);
    throw OutOfMemory(
        error.bytes(),
        ("training a network of " + layers + " neurons in batches of " + std::to_string(batch) +
         (recipe.recurrent() ? " sequences of " + std::to_string(recipe.steps) + " steps"
                             : " rows") +
         on_device(engine))
            .c_str());
  }
}

template class HeldData<float>;
template class HeldData<double>;
template class Network<float>;
template class Network<double>;

}  // namespace fastmlp
