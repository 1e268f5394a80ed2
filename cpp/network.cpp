#include "network.hpp"

#include <new>
#include <stdexcept>

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
std::vector<int> slots_of(List<Items...>) {
  return {Items::kSlots...};
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

std::vector<std::string> link_names() { return links_of(Losses{}); }

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

template <class T>
Network<T>::Network(const Engine& engine, std::vector<int64_t> units, int activation, int loss,
                    double alpha, int64_t batch, bool sparse, bool keep_gradient)
    : units_(std::move(units)),
      batch_(batch),
      sparse_(sparse),
      keep_gradient_(keep_gradient),
      calls_(operations<T>(engine)),
      session_(nullptr, calls_.close) {
  // Far beyond any memory, and far below where sizes in bytes would overflow.
  constexpr double kMostElements = 1e15;
  double widest = 0, elements = 0;
  for (size_t l = 0; l < units_.size(); ++l) {
    widest += double(units_[l]);
    if (l > 0) elements += double(units_[l - 1]) * double(units_[l]);
  }
  if (elements + widest * double(batch) > kMostElements) throw std::bad_alloc();
  const Recipe recipe{units_.data(), n_layers(), activation, loss, alpha};
  session_.reset(calls_.open(recipe, batch, sparse, keep_gradient));
}

template class Network<float>;
template class Network<double>;

}  // namespace fastmlp
