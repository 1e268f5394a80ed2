#include "../perceptron.hpp"

#include "arguments.hpp"
#include "calls.hpp"

namespace fastmlp {
namespace {

using namespace py::literals;

/// A perceptron with the data that it learns from, checked once and not at each epoch.
template <class T>
struct Learner {
  RowsArgument<T> rows;
  Data<T> data;
  Perceptron<T> perceptron;

  Learner(const py::object& x, const py::object& targets, const py::object& weights,
          const Array<T>& coef, double intercept, const PerceptronOptions& options)
      : rows(x, coef.size()),
        data(training_data(rows, targets, weights, 1)),
        perceptron(contiguous<T>(coef, {coef.size()}, "coef"), coef.size(), intercept, options) {
    require(rows.rows.indptr || py::isinstance<Array<T>>(x), "X: wrong dtype");
    require(data.classes, "targets: must be classes");
  }
};

template <class T>
void bind_class(py::module_& m, const char* name) {
  py::class_<Learner<T>>(m, name)
      .def(py::init([](const py::object& x, const py::object& targets, const py::object& weights,
                       const Array<T>& coef, double intercept, double alpha, double l1_ratio,
                       double rate, double bias_rate) {
             return Learner<T>(x, targets, weights, coef, intercept,
                               {alpha, l1_ratio, rate, bias_rate});
           }),
           "x"_a, "targets"_a, "weights"_a, "coef"_a.noconvert(), "intercept"_a, py::kw_only(),
           "alpha"_a, "l1_ratio"_a, "rate"_a, "bias_rate"_a, py::keep_alive<1, 2>(),
           py::keep_alive<1, 3>(), py::keep_alive<1, 4>())
      .def(
          "epoch",
          [](Learner<T>& self, const Order& order, const py::object& stop) {
            Pass pass = pass_over(order, self.rows.n, 1);
            Stop asked{stop};
            asked.set_on(&pass);
            double cost;
            {
              const Released release;
              cost = self.perceptron.epoch(self.data, pass);
            }
            asked.look_again();
            return py::make_tuple(cost, asked.exception);
          },
          "order"_a, "stop"_a = py::none(),
          "Learns from the rows in `order`; returns the sum of their costs, and an exception that "
          "ended it between two rows or None.")
      .def(
          "read",
          [](const Learner<T>& self) {
            const std::vector<T>& stored = self.perceptron.stored();
            return py::make_tuple(Array<T>(py::ssize_t(stored.size()), stored.data()),
                                  self.perceptron.scale(), self.perceptron.intercept());
          },
          "The weights, a factor that they are still to be multiplied by, and the intercept.");
}

}  // namespace

void bind_perceptron(py::module_& m) {
  m.def(
      "shuffle",
      [](const Array<int64_t>& order, uint32_t seed) {
        const int64_t n = order.size();
        contiguous<int64_t>(order, {n}, "order");
        require(order.writeable(), "order: read-only");
        shuffle(const_cast<int64_t*>(order.data()), n, seed);
      },
      "order"_a.noconvert(), "seed"_a, "Shuffles in place, by scikit-learn's xorshift generator.");
  bind_class<float>(m, "Perceptron32");
  bind_class<double>(m, "Perceptron64");
}

}  // namespace fastmlp
