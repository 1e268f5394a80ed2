#include "../network.hpp"

#include <limits>
#include <memory>
#include <tuple>

#include "../formulas/solvers.hpp"
#include "plan.hpp"
#include "samples.hpp"

namespace fastmlp {
namespace {

using namespace py::literals;
using EpochTuple = std::tuple<int64_t, int64_t, double, double, int64_t>;  // an Epoch

EpochTuple as_tuple(const Epoch& e) { return {e.rows, e.counted, e.loss, e.penalty, e.steps}; }

/// Samples as this network takes them.
template <class T>
class TrainingSamples : public SamplesArgument<T> {
 public:
  TrainingSamples(const Network<T>& net, const py::object& x, const py::object& targets,
                  const py::object& weights, const py::object& lengths)
      : SamplesArgument<T>({net.engine(), net.features(), net.outputs(), net.per_step(),
                            net.cell() != Cell::dense},
                           x, targets, weights, lengths) {
    const SamplesArgument<T>& samples = *this;
    require(samples->has_targets(), "targets: the samples have none");
    require(samples->sparse() == net.sparse(), "X: sparse and dense mixed");
    require(samples->steps() <= net.steps(), "X: sequences of more than `steps` steps");
  }
};

/// Calls use(held, pass) for rows that are one batch, with the GIL released; what a signal's
/// handler raised meanwhile is raised.
template <class T, class Use>
void over_one_batch(const Network<T>& net, const py::object& x, const py::object& targets,
                    const py::object& weights, const Order& order, const py::object& lengths,
                    int n_threads, const py::object& part, Use use) {
  require(net.keeps_gradient(), "keep_gradient: the network was made without");
  const TrainingSamples<T> samples(net, x, targets, weights, lengths);
  Pass pass = pass_over(order, samples->n(), n_threads);
  require(pass.n >= 1 && pass.n <= net.batch(), "X: no rows, or more than `batch`");
  Stop asked{py::none()};
  asked.set_on(&pass);
  PartArgument own(part, py::dtype::of<T>());
  own.set_on(&pass, &asked);
  {
    const Released release(net.work(3 * pass.n));
    use(samples->held(), pass);
  }
  asked.raise();
}

template <class T>
void bind_class(py::module_& m, const char* name) {
  using Net = Network<T>;
  py::class_<Net>(m, name)
      .def(py::init([](const std::vector<int64_t>& units, const py::list& hidden,
                       const std::string& loss, double loss_parameter, double label_smoothing,
                       double input_dropout, double alpha, double l1, int64_t batch, bool sparse,
                       bool keep_gradient, const std::string& cell, bool per_step, int64_t steps,
                       const std::string& precision, const std::string& engine) {
             require(units.size() >= 2, "units: at least features and outputs");
             require(*std::min_element(units.begin(), units.end()) >= 1, "units: must be positive");
             require(batch >= 1, "batch: must be positive");
             require(input_dropout >= 0 && input_dropout < 1, "input_dropout: must be in [0, 1)");
             Plan plan{units, {}, {}};
             plan_hidden(hidden, &plan);
             plan_cell(cell, per_step, steps, &plan);
             require(cell.empty() || !sparse, "sparse: sequences cannot be");
             finish_plan(loss, loss_parameter, label_smoothing, &plan);
             plan.recipe.input_dropout = input_dropout;
             plan.recipe.alpha = alpha;
             plan.recipe.l1 = l1;
             const Engine& chosen = find_engine(engine.c_str());
             plan_precision(precision, sizeof(T) == 4, chosen, &plan);
             const Released release;
             return std::make_unique<Net>(chosen, plan.recipe, batch, sparse, keep_gradient);
           }),
           "units"_a, "hidden"_a, "loss"_a, py::kw_only(), "loss_parameter"_a = 0.0,
           "label_smoothing"_a = 0.0, "input_dropout"_a = 0.0, "alpha"_a, "l1"_a = 0.0, "batch"_a,
           "sparse"_a = false, "keep_gradient"_a = false, "cell"_a = "", "per_step"_a = false,
           "steps"_a = 1, "precision"_a = "float32", "engine"_a = "")
      .def(
          "write",
          [](Net& net, int slot, const py::list& arrays) {
            require(slot >= 0 && slot <= kDiagnosed, "slot: must be 0, 1, 2, 3 or 4");
            const auto blocks = block_pointers<T>(arrays, net.shapes());
            const Released release(net.work(1));
            net.write(slot, blocks.data());
          },
          "slot"_a, "blocks"_a,
          "Sets the parameters (slot 0), a solver's state (1, 2, 3), or what `diagnose` compares "
          "with "
          "(4).")
      .def(
          "read",
          [](const Net& net, int slot) {
            require(slot >= 0 && slot <= kDiagnosed, "slot: must be 0, 1, 2, 3 or 4");
            std::vector<T*> blocks;
            py::list arrays = new_blocks(net.shapes(), &blocks);
            {
              const Released release(net.work(1));
              net.read(slot, blocks.data());
            }
            return arrays;
          },
          "slot"_a, "New arrays [weight, bias, ...] of a slot.")
      .def(
          "train",
          [](Net& net, const py::object& x, const py::object& targets, const py::object& weights,
             const Order& order, const std::string& solver, int64_t steps, double rate,
             double momentum, bool nesterov, double beta_1, double beta_2, double epsilon,
             double rho, double weight_decay, bool summed, double clip_norm, double max_norm,
             uint64_t seed, double bias_rate, const py::object& lengths, const EpochTuple& begun,
             const py::object& stop, const py::object& part, int n_threads) {
            const TrainingSamples<T> samples(net, x, targets, weights, lengths);
            Pass pass = pass_over(order, samples->n(), n_threads);
            Stop asked{stop};
            asked.set_on(&pass);
            PartArgument own(part, py::dtype::of<T>());
            own.set_on(&pass, &asked);
            require(pass.n >= 1, "X: no rows");
            const int64_t batch = pass.part ? pass.part->batch : net.batch();
            const auto [worked, counted, loss, penalty, made] = begun;
            const Epoch from{worked, counted, loss, penalty, made};
            require(from.rows >= 0 && from.rows < pass.n && from.rows % batch == 0,
                    "epoch: must have been stopped between two batches");
            require(clip_norm > 0 && max_norm > 0, "clip_norm, max_norm: must be positive");
            require(net.keeps_gradient() ||
                        (clip_norm == std::numeric_limits<double>::infinity() && !pass.part),
                    "keep_gradient: the network was made without; clip_norm and part need it");
            const SolverOptions options{find_name("solver", solver_names(), solver),
                                        steps,
                                        rate,
                                        momentum,
                                        beta_1,
                                        beta_2,
                                        epsilon,
                                        rho,
                                        weight_decay,
                                        nesterov,
                                        summed,
                                        clip_norm,
                                        max_norm,
                                        seed,
                                        bias_rate};
            Epoch epoch;
            {
              const Released release(net.work(3 * pass.n + 20 * (1 + pass.n / batch)));
              epoch = net.train(samples->held(), pass, batch, options, from);
            }
            asked.look_again();
            return py::make_tuple(as_tuple(epoch), asked.exception);
          },
          "x"_a, "targets"_a = py::none(), "weights"_a = py::none(), "order"_a = py::none(),
          py::kw_only(), "solver"_a, "steps"_a, "rate"_a, "momentum"_a = 0.0, "nesterov"_a = false,
          "beta_1"_a = 0.0, "beta_2"_a = 0.0, "epsilon"_a = 0.0, "rho"_a = 0.0,
          "weight_decay"_a = 0.0, "summed"_a = false,
          "clip_norm"_a = std::numeric_limits<double>::infinity(),
          "max_norm"_a = std::numeric_limits<double>::infinity(), "seed"_a = uint64_t(0),
          "bias_rate"_a = 1.0, "lengths"_a = py::none(), "epoch"_a = EpochTuple(),
          "stop"_a = py::none(), "part"_a = py::none(), "n_threads"_a,
          "One epoch over the rows in `order`, or its rest. Returns where it stands then: the rows "
          "worked on, those of them that count, the sum of their losses, the penalty in it, the "
          "steps made; and an exception that ended it after a whole number of steps, or None. "
          "`stop` is called before a step is whole: it must not touch the network. With a `part` "
          "(places, n, batch, reduce) the epoch is made by several processes, as engine.hpp has "
          "it.")
      .def_property_readonly(
          "engine", [](const Net& net) { return net.engine().name; }, "The engine's name.")
      .def_property_readonly("steps", &Net::steps_made, "The updates that `train` has made in all.")
      .def_property_readonly(
          "reached", [](const Net& net) { return as_tuple(net.reached()); },
          "What `train` has last returned of the epoch, also where an exception kept it back.")
      .def(
          "gradient",
          [](Net& net, const py::object& x, const py::object& targets, const py::object& weights,
             const Order& order, const py::object& lengths, const py::object& part, int n_threads) {
            std::vector<T*> blocks;
            const py::list arrays = new_blocks(net.shapes(), &blocks);
            double loss = 0;
            over_one_batch(net, x, targets, weights, order, lengths, n_threads, part,
                           [&](const Held<T>& held, const Pass& pass) {
                             loss = net.gradient(held, pass, blocks.data());
                           });
            return py::make_tuple(loss, arrays);
          },
          "x"_a, "targets"_a = py::none(), "weights"_a = py::none(), "order"_a = py::none(),
          py::kw_only(), "lengths"_a = py::none(), "part"_a = py::none(), "n_threads"_a,
          "The loss over the rows in `order`, and its gradient as [weight, bias, ...]; with a "
          "`part`, over the rows of all processes.")
      .def(
          "diagnose",
          [](Net& net, const py::object& x, const py::object& targets, const py::object& weights,
             const Order& order, const py::object& lengths, int n_threads) {
            py::array_t<double> numbers({net.layers(), int64_t(kDiagnoses)});
            double* place = numbers.mutable_data();
            over_one_batch(net, x, targets, weights, order, lengths, n_threads, py::none(),
                           [&](const Held<T>& held, const Pass& pass) {
                             require(pass.n <= kDiagnosedRows, "order: more than 64 rows");
                             net.diagnose(held, pass, place);
                           });
            return numbers;
          },
          "x"_a, "targets"_a = py::none(), "weights"_a = py::none(), "order"_a = py::none(),
          py::kw_only(), "lengths"_a = py::none(), "n_threads"_a,
          "Per layer, over the up to 64 rows in `order`: the norm of the gradient; the standard "
          "deviation of the change of the weights since the last call, divided by theirs; the "
          "shares of dead and of saturated units.");
}

}  // namespace

void bind_network(py::module_& m) {
  bind_class<float>(m, "Network32");
  bind_class<double>(m, "Network64");
}

}  // namespace fastmlp
