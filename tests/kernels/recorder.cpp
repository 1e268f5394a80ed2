// Trains small networks on the engine's kernels, run by the emulator, and writes down each launch
// with the device's memory before and after it, for tests/test_cuda_ptx.py. Run with a folder.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>

#include "cuda/engine.cu"

namespace fastmlp {
namespace {

std::string folder;
int number = 1000;  // of the launch

/// As compilers mangle it: the name with template arguments. Empty unless it is for T.
template <class T>
std::string name_of(const void* kernel) {
  std::string name;
  const auto is = [&](auto* function, const char* called, const char* size = "") {
    if (reinterpret_cast<const void*>(function) == kernel)
      name = std::string(called) + (sizeof(T) == 4 ? "If" : "Id") + size + "E";
  };
  is(run_rows<T>, "run_rows");
  is(forward_wide<T, 32>, "forward_wide", "Li32E");
  is(forward_wide<T, 64>, "forward_wide", "Li64E");
  is(backward_wide<T, 32>, "backward_wide", "Li32E");
  is(backward_wide<T, 64>, "backward_wide", "Li64E");
  is(finish_maxout<T>, "finish_maxout");
  is(run_weights<T>, "run_weights");
  is(transpose<T>, "transpose");
  is(clip<T>, "clip");
  is(limit_norms<T>, "limit_norms");
  is(sum_up<T>, "sum_up");
  return name;
}

/// A line of JSON, and then bytes: each argument, each allocation before, each after.
void write_down(const emulator::Work& work, bool after) {
  static std::ofstream file;
  const auto each = [](const auto& use) {
    for (const auto& [address, allocation] : emulator::device.memory)
      if (allocation.device) use(address, allocation.bytes);
  };
  if (!after) {
    const void* kernel = work.launched->kernel;
    std::string name = name_of<float>(kernel) + name_of<double>(kernel);
    if (name.empty())
      emulator::fail("a kernel that the recorder does not know", __FILE__, __LINE__);
    std::string sizes, addresses;
    for (const std::string& argument : work.launched->arguments)
      sizes += std::to_string(argument.size()) + ", ";
    for (int time = 0; time < 2; ++time)
      each([&](uintptr_t, size_t bytes) { sizes += std::to_string(bytes) + ", "; });
    each([&](uintptr_t address, size_t) { addresses += std::to_string(address) + ", "; });
    sizes.resize(sizes.size() - 2);
    addresses.resize(addresses.size() - 2);
    file.open(folder + "/launch-" + std::to_string(number++), std::ios::binary);
    file << "{\"kernel\": \"" << name << "\", \"blocks\": " << work.blocks.x
         << ", \"threads\": " << work.threads.x << ", \"shared\": " << work.shared
         << ", \"arguments\": " << work.launched->arguments.size() << ", \"sizes\": [" << sizes
         << "], \"addresses\": [" << addresses << "]}\n";
    for (const std::string& argument : work.launched->arguments) file << argument;
  }
  each([&](uintptr_t address, size_t bytes) {
    file.write(reinterpret_cast<const char*>(address), std::streamsize(bytes));
  });
  if (after) file.close();
}

template <class... Items>
int place_of(const char* name, List<Items...>) {
  int place = 0, found = -1;
  ((found = std::string(name) == Items::name ? place : found, ++place), ...);
  return found;
}

struct Case {
  std::vector<int64_t> units;
  std::vector<Hidden> hidden;
  const char *loss, *solver;
  int64_t rows, batch;
  bool sparse, limits;
  double dropout;
  Precision precision = Precision::float32;
};

/// Training for an epoch, an exact gradient and predictions.
template <class T>
void run_case(const Case& c, const Operations<T>& engine) {
  std::mt19937_64 random(7);
  const auto draw = [&] { return T(std::ldexp(double(random() >> 11), -52) - 1); };  // in [-1, 1)
  const int64_t features = c.units.front(), outputs = c.units.back();
  std::vector<T> x, targets, weights;
  std::vector<int32_t> columns, classes;
  std::vector<int64_t> indptr{0}, order;
  for (int64_t r = 0; r < c.rows; ++r) {
    for (int64_t i = 0; i < features; ++i)
      if (!c.sparse || (r + i) % 3 == 0) x.push_back(draw()), columns.push_back(int32_t(i));
    indptr.push_back(int64_t(x.size()));
    for (int64_t j = 0; j < outputs; ++j) targets.push_back(draw());
    classes.push_back(int32_t(random() % uint64_t(outputs)));
    weights.push_back(T(1.5) + draw());
    order.push_back((r * 4 + 1) % c.rows);
  }
  const bool classifies = std::string(c.loss) == "log_loss";
  Data<T> data{};
  data.x.dense = reinterpret_cast<const char*>(x.data());
  data.x.stride = features * int64_t(sizeof(T));
  data.x.type = sizeof(T) == 4 ? ElementType::f32 : ElementType::f64;
  if (c.sparse)
    data.x.values = x.data(), data.x.indptr = indptr.data(), data.x.columns = columns.data();
  data.targets = classifies ? nullptr : targets.data();
  data.classes = classifies ? classes.data() : nullptr;
  data.weights = weights.data();

  Recipe recipe{};
  recipe.units = c.units.data();
  recipe.n_layers = int(c.units.size()) - 1;
  recipe.hidden = c.hidden.data();
  recipe.loss = place_of(c.loss, Losses{});
  recipe.label_smoothing = classifies ? 0.1 : 0;
  recipe.input_dropout = c.dropout;
  recipe.alpha = 0.1;
  recipe.l1 = 0.01;
  recipe.steps = 1;
  recipe.precision = c.precision;
  std::vector<std::vector<T>> blocks;
  const auto add_block = [&](int64_t count) {
    blocks.emplace_back();
    for (int64_t i = 0; i < count; ++i) blocks.back().push_back(draw() / T(2));
  };
  for (int l = 0; l < recipe.n_layers; ++l) {
    const int64_t linear = c.units[l + 1] * (l + 1 < recipe.n_layers ? c.hidden[l].pieces : 1);
    add_block(c.units[l] * linear);
    add_block(linear);
  }
  for (int l = 0; l + 1 < recipe.n_layers; ++l)
    if (c.hidden[l].learned) add_block(c.units[l + 1]);
  std::vector<T*> pointers;
  for (auto& block : blocks) pointers.push_back(block.data());

  SolverOptions options{};
  options.solver = place_of(c.solver, Solvers<T>{});
  options.rate = 0.05;
  options.momentum = options.beta_1 = 0.9;
  options.beta_2 = 0.99;
  options.epsilon = 1e-6;
  options.nesterov = true;
  options.clip_norm = c.limits ? 0.5 : infinity<double>();
  options.max_norm = c.limits ? 0.6 : infinity<double>();
  options.seed = 11;
  options.bias_rate = 1;

  Held<T>* held = engine.hold(data, c.rows, features, outputs);
  Session<T>* session = engine.open(recipe, c.batch, c.sparse, true);
  engine.write(session, 0, pointers.data());
  const Pass pass{order.data(), c.rows, 1};
  engine.train(session, *held, pass, c.batch, options, Epoch{});
  engine.gradient(session, *held, pass, pointers.data());
  engine.read(session, 0, pointers.data());
  std::vector<T> out(size_t(c.rows * outputs));
  engine.predict(recipe, pointers.data(), *held, pass, out.data(), nullptr, nullptr);
  engine.close(session);
  engine.release(held);
}

Hidden hidden(const char* activation, double parameter = 0, int pieces = 1, double dropout = 0) {
  const int place = place_of(activation, Activations{});
  return {place, parameter, pieces, std::string(activation) == "prelu", dropout};
}

}  // namespace
}  // namespace fastmlp

int main(int, char** argv) {
  using namespace fastmlp;
  folder = argv[1];
  emulator::watch = write_down;
  const Case cases[] = {
      {{5, 7, 6, 4, 3},
       {hidden("tanh", 0, 1, 0.3), hidden("prelu", 0.25), hidden("gelu")},
       "log_loss",
       "adam",
       9,
       5,
       false,
       false,
       0.2},
      {{70, 190, 35, 2},
       {hidden("relu"), hidden("maxout", 0, 2)},
       "squared_error",
       "sgd",
       6,
       6,
       false,
       true,
       0},
      {{11, 6, 3}, {hidden("elu", 1)}, "poisson", "adamax", 7, 4, true, false, 0.3},
  };
  for (const Case& c : cases) {
    run_case<float>(c, operations<float>);
    run_case<double>(c, operations<double>);
  }
  Case rounded = cases[1];
  for (const Precision precision : {Precision::tf32, Precision::bfloat16}) {
    rounded.precision = precision;
    run_case<float>(rounded, operations<float>);
  }
}
