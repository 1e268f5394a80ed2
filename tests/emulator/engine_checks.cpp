// The CUDA engine on the emulator, by its contract alone (engine.hpp): a small case of each kind
// that it treats in a way of its own. For builds with sanitizers, see .ci/sanitize-cuda; that the
// numbers are right, tests/ show with the module. Prints the bits of the results, which are the
// same for every seed.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "controls.hpp"
#include "engine.hpp"
#include "errors.hpp"
#include "formulas/activations.hpp"
#include "formulas/losses.hpp"
#include "formulas/solvers.hpp"

namespace fastmlp {

extern const Engine engine_cuda;

namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

int failures = 0;

void expect(bool right, const char* what, int line) {
  if (right) return;
  ++failures;
  std::printf("WRONG: %s, line %d\n", what, line);
}
#define EXPECT(condition) expect(condition, #condition, __LINE__)

template <class... Items>
int place(const char* name, List<Items...>) {
  int found = -1, i = 0;
  ((std::strcmp(name, Items::name) == 0 ? void(found = i++) : void(i++)), ...);
  return found;
}

template <class T>
const Operations<T>& operations() {
  if constexpr (sizeof(T) == sizeof(float)) {
    return engine_cuda.f32;
  } else {
    return engine_cuda.f64;
  }
}

/// Numbers from -1 to 1.
class Random {
 public:
  explicit Random(uint32_t seed) : state_(seed) {}
  double operator()() {
    state_ = state_ * 1664525u + 1013904223u;
    return double(state_ >> 8) / (1 << 23) - 1;
  }

 private:
  uint32_t state_;
};

constexpr size_t kMemory = size_t(4) << 30;

/// What a case is about.
struct Case {
  const char* name;
  std::vector<int64_t> units;
  std::vector<const char*> activations;
  const char* loss = "log_loss";
  const char* solver = "adam";
  int64_t rows = 21, batch = 8;
  int epochs = 2;
  double dropout = 0, input_dropout = 0, smoothing = 0, l1 = 0;
  double clip_norm = HUGE_VAL, max_norm = HUGE_VAL;
  bool sparse = false, weights = false, learned = false, gaps = false;
  Precision precision = Precision::float32;
  size_t memory = kMemory;  // of the device, when it is given the data
};

bool by_class(const Case& c) { return std::strcmp(c.loss, "log_loss") == 0; }

struct Network {
  std::vector<Hidden> hidden;
  Recipe recipe{};

  explicit Network(const Case& c) {
    for (const char* activation : c.activations) {
      const bool maxout = std::strcmp(activation, "maxout") == 0;
      hidden.push_back(
          {place(activation, Activations{}), 0.1, maxout ? 2 : 1, c.learned && !maxout, c.dropout});
    }
    recipe.units = c.units.data();
    recipe.n_layers = int(c.units.size()) - 1;
    recipe.hidden = hidden.data();
    recipe.loss = place(c.loss, Losses{});
    recipe.label_smoothing = c.smoothing;
    recipe.input_dropout = c.input_dropout;
    recipe.alpha = 0.01;
    recipe.l1 = c.l1;
    recipe.cell = Cell::dense;
    recipe.steps = 1;
    recipe.precision = c.precision;
  }
};

template <class T>
struct Blocks {
  std::vector<std::vector<T>> blocks;
  std::vector<T*> pointers;

  explicit Blocks(const Network& network) {
    const Recipe& r = network.recipe;
    Random random(7);
    const auto add = [&](int64_t count) {
      blocks.emplace_back(size_t(count));
      for (T& x : blocks.back()) x = T(0.4 * random());
    };
    for (int l = 0; l < r.n_layers; ++l) {
      const int pieces = l < int(network.hidden.size()) ? r.hidden[l].pieces : 1;
      add(r.units[l] * r.units[l + 1] * pieces);
      add(r.units[l + 1] * pieces);
    }
    for (size_t l = 0; l < network.hidden.size(); ++l)
      if (network.hidden[l].learned) add(r.units[l + 1]);
    for (auto& block : blocks) pointers.push_back(block.data());
  }
};

template <class T>
struct Set {
  std::vector<T> x, values, targets, weights;
  std::vector<int64_t> indptr{0}, order;
  std::vector<int32_t> columns, classes;
  Data<T> data{};

  explicit Set(const Case& c) {
    Random random(3);
    const int64_t n = c.rows, features = c.units.front(), outputs = c.units.back();
    const int64_t stride = features + 3 * c.gaps;
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t i = 0; i < stride; ++i) {
        const T value = T(random());
        x.push_back(i < features ? value : T(NAN));
        if (i >= features || value < T(0.4)) continue;
        values.push_back(value);
        columns.push_back(int32_t(i));
      }
      indptr.push_back(int64_t(values.size()));
      order.push_back(r * 5 % n);
      classes.push_back(int32_t(r % outputs));
      weights.push_back(T(r % 3));
      for (int64_t j = 0; j < outputs; ++j) targets.push_back(T(random()));
    }
    Rows<T>& rows = data.x;
    if (c.sparse) {
      rows.values = values.data();
      rows.columns = columns.data();
      rows.indptr = indptr.data();
    } else {
      rows.dense = reinterpret_cast<const char*>(x.data());
      rows.stride = stride * int64_t(sizeof(T));
      rows.type = sizeof(T) == sizeof(float) ? ElementType::f32 : ElementType::f64;
    }
    data.targets = by_class(c) ? nullptr : targets.data();
    data.classes = by_class(c) ? classes.data() : nullptr;
    data.weights = c.weights ? weights.data() : nullptr;
  }
};

/// The bits of results, and whether they are numbers.
class Digest {
 public:
  template <class T>
  void add(const T* numbers, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      finite_ = finite_ && std::isfinite(numbers[i]);
      uint64_t bits = 0;
      std::memcpy(&bits, numbers + i, sizeof(T));
      hash_ = (hash_ ^ bits) * 1099511628211u;
    }
  }
  template <class T>
  void add(const Blocks<T>& blocks) {
    for (const auto& block : blocks.blocks) add(block.data(), block.size());
  }
  bool operator==(const Digest& other) const { return hash_ == other.hash_; }
  bool finite() const { return finite_; }
  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 14695981039346656037u;
  bool finite_ = true;
};

SolverOptions options_of(const Case& c, bool of_double) {
  SolverOptions o{};
  o.solver = of_double ? place(c.solver, Solvers<double>{}) : place(c.solver, Solvers<float>{});
  o.rate = 0.05;
  o.momentum = o.beta_1 = o.rho = 0.9;
  o.beta_2 = 0.999;
  o.epsilon = 1e-8;
  o.nesterov = true;
  o.clip_norm = c.clip_norm;
  o.max_norm = c.max_norm;
  o.seed = 5;
  o.bias_rate = 1;
  return o;
}

/// Trains, asking at every chance to end, and goes on until there is nothing more.
template <class T>
Epoch train(Session<T>* session, const Held<T>& held, Pass pass, const Case& c,
            const SolverOptions& options) {
  pass.stop = [](void*, bool) { return true; };
  Epoch epoch;
  while (epoch.rows < pass.n)
    epoch = operations<T>().train(session, held, pass, c.batch, options, epoch);
  return epoch;
}

/// All that a session is asked for.
template <class T>
Digest work(const Case& c) {
  using HeldPointer = std::unique_ptr<Held<T>, void (*)(Held<T>*)>;
  using SessionPointer = std::unique_ptr<Session<T>, void (*)(Session<T>*)>;
  const Operations<T>& ops = operations<T>();
  const Network network(c);
  const Set<T> set(c);
  Blocks<T> blocks(network);
  const Recipe& recipe = network.recipe;
  const int64_t outputs = c.units.back();
  fastmlp_emulator_memory(c.memory);
  const HeldPointer held(ops.hold(set.data, c.rows, c.units.front(), outputs), ops.release);
  fastmlp_emulator_memory(kMemory);
  const SessionPointer session(ops.open(recipe, c.batch, c.sparse, true), ops.close);
  SolverOptions options = options_of(c, sizeof(T) == sizeof(double));
  Digest digest;
  Pass pass{set.order.data(), c.rows, 1};

  ops.write(session.get(), 0, blocks.pointers.data());
  for (int e = 0; e < c.epochs; ++e) {
    const Epoch epoch = train(session.get(), *held, pass, c, options);
    options.steps += epoch.steps;
    digest.add(&epoch.loss, 1);
    digest.add(&epoch.penalty, 1);
  }
  for (const int slot : {1, 0}) {
    ops.read(session.get(), slot, blocks.pointers.data());
    digest.add(blocks);
  }

  std::vector<T> out(size_t(c.rows * outputs));
  std::vector<std::vector<T>> hidden;
  std::vector<T*> hidden_pointers;
  for (size_t l = 1; l + 1 < c.units.size(); ++l) {
    hidden.emplace_back(size_t(c.rows * c.units[l]));
    hidden_pointers.push_back(hidden.back().data());
  }
  const Pass in_order{nullptr, c.rows, 1};
  const double loss = ops.predict(recipe, blocks.pointers.data(), *held, in_order, out.data(),
                                  hidden_pointers.data(), nullptr);
  digest.add(&loss, 1);
  digest.add(out.data(), out.size());
  for (const auto& layer : hidden) digest.add(layer.data(), layer.size());

  std::vector<double> numbers(size_t(recipe.n_layers) * kDiagnoses);
  const Pass few{set.order.data(), c.batch, 1};
  ops.diagnose(session.get(), *held, few, numbers.data());
  digest.add(numbers.data(), numbers.size());
  const double whole = ops.gradient(session.get(), *held, pass, blocks.pointers.data());
  digest.add(&whole, 1);
  digest.add(blocks);
  return digest;
}

template <class T>
void check(const Case& c) {
  const Digest digest = work<T>(c);
  expect(digest.finite(), c.name, 0);
  EXPECT(fastmlp_emulator_allocations() == 0);
  std::printf("%s %zu: %016llx\n", c.name, 8 * sizeof(T),
              static_cast<unsigned long long>(digest.hash()));
}

/// Whatever call it is that fails: it is said, or made up for; nothing is left behind; and then all
/// is well again.
void check_failures(const Case& c, const Digest& want) {
  const std::function<int(int)> faults[] = {
      [](int nth) { return fastmlp_emulator_fail_malloc(nth); },
      [](int nth) { return fastmlp_emulator_fail_launch(nth, cudaErrorLaunchOutOfResources); }};
  for (const auto& fail_at : faults) {
    int nth = 0, thrown = 0;
    do {
      fail_at(++nth);
      try {
        EXPECT(work<float>(c) == want);
      } catch (const OutOfMemory&) {
        ++thrown;
      } catch (const DeviceError&) {
        ++thrown;
      }
      EXPECT(fastmlp_emulator_allocations() == 0);
    } while (fail_at(0) == 0);
    EXPECT(thrown > 5);
    EXPECT(work<float>(c) == want);
  }
}

void check_threads(const Case& c, const Digest& want) {
  Digest got[2];
  std::vector<std::thread> threads;
  for (Digest& digest : got) threads.emplace_back([&] { digest = work<float>(c); });
  for (std::thread& thread : threads) thread.join();
  for (const Digest& digest : got) EXPECT(digest == want);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  const auto add = [&](const char* name, std::vector<int64_t> units,
                       std::vector<const char*> activations) -> Case& {
    all.push_back(Case{name, std::move(units), std::move(activations)});
    return all.back();
  };
  add("narrow", {7, 9, 5, 3}, {"tanh", "relu"});
  Case& all_options = add("options", {6, 5, 4, 3}, {"maxout", "prelu"});
  all_options.solver = "sgd";
  all_options.dropout = 0.3;
  all_options.input_dropout = 0.2;
  all_options.smoothing = 0.1;
  all_options.clip_norm = 0.5;
  all_options.max_norm = 0.7;
  all_options.weights = all_options.learned = all_options.gaps = true;
  Case& sparse = add("sparse", {40, 6, 2}, {"logistic"});
  sparse.loss = "squared_error";
  sparse.sparse = true;
  sparse.l1 = 0.01;
  Case& sparse_maxout = add("sparse maxout", {30, 9, 3}, {"maxout"});
  sparse_maxout.sparse = true;
  sparse_maxout.dropout = sparse_maxout.input_dropout = 0.2;
  Case& many_inputs = add("many inputs", {600, 4, 2}, {"relu"});
  many_inputs.rows = 9;
  many_inputs.epochs = 1;
  Case& many_units = add("many units", {3, 5, 520, 2}, {"tanh", "maxout"});
  many_units.rows = 9;
  many_units.epochs = 1;
  Case& wide = add("wide", {130, 100, 3}, {"gelu"});
  wide.epochs = 1;
  add("wide behind another", {5, 130, 100, 3}, {"relu", "tanh"}).epochs = 1;
  for (const Precision precision : {Precision::tf32, Precision::bfloat16}) {
    Case& rounded =
        add(precision == Precision::tf32 ? "tf32" : "bfloat16", {130, 100, 3}, {"tanh"});
    rounded.epochs = 1;
    rounded.precision = precision;
  }
  Case& graph = add("graph", {4, 3, 2}, {"relu"});
  graph.rows = 70;
  graph.batch = 2;
  Case& streamed = add("streamed", {80, 3, 2}, {"relu"});
  streamed.rows = 90;
  streamed.batch = 30;
  streamed.memory = 32 << 10;
  return all;
}

void check_all() {
  for (const Case& c : cases()) {
    check<float>(c);
    const bool wide = std::find(c.units.begin(), c.units.end(), 130) != c.units.end();
    if (!wide) check<double>(c);  // they take long
  }
  const Case small = cases().front();
  const Digest want = work<float>(small);
  if (!kThreadSanitizer) check_failures(small, want);  // with which it takes a minute
  check_threads(small, want);
}

}  // namespace
}  // namespace fastmlp

int main() {
  fastmlp::check_all();
  return fastmlp::failures > 0;
}
