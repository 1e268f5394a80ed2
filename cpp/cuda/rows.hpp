// The rows phase of narrow layers: a block takes a few rows of the batch all the way through
// gather, forward pass, loss and the chain of deltas back. Activations lie in the device's memory,
// where the weights phase reads them; a block's own come out of its first-level cache.
#pragma once

#include "neurons.hpp"

namespace fastmlp {
namespace {

constexpr int kRows = 4;        // of a block
constexpr int kStaged = 512;    // inputs of these rows in shared memory at a time
constexpr int kLeastShare = 8;  // inputs that a thread sums up at least

/// What a block of the rows phase shares: rows' inputs as [input][row], and sums as
/// [share][row][column].
template <class T>
struct RowsShared {
  alignas(16) T inputs[kStaged * kRows];
  T sums[kThreads * kRows];
};

/// The rows of a block.
struct Stretch {
  int64_t begin;
  int rows;
};

/// Sums up inputs (rows, k) times a matrix (k, n) for the block's rows; then(row, column, sum)
/// takes each. A column's sum is shared by as many threads as there are to spare.
template <class T, class Then>
__device__ void multiply_rows(const Stretch& own, const T* inputs, int64_t k, const T* matrix,
                              int64_t n, RowsShared<T>& shared, const Then& then) {
  const int t = int(threadIdx.x);
  for (int64_t column = 0; column < n; column += kThreads) {
    const int columns = int(n - column < kThreads ? n - column : kThreads);
    const int64_t most = ceil_div(k, kLeastShare), spare = kThreads / columns;
    const int shares = int(most < spare ? most : spare), share = t / columns, j = t % columns;
    T sums[kRows] = {};
    for (int64_t from = 0; from < k; from += kStaged) {
      const int staged = int(k - from < kStaged ? k - from : kStaged);
#pragma unroll 4
      for (int e = t; e < staged * kRows; e += kThreads) {
        const int r = e % kRows, i = e / kRows;
        shared.inputs[e] = r < own.rows ? inputs[(own.begin + r) * k + from + i] : T(0);
      }
      __syncthreads();
      if (share < shares) {
        const int length = int(ceil_div(staged, shares)), begin = share * length;
        const int end = begin + length < staged ? begin + length : staged;
        const T* weights = matrix + from * n + column + j;
        const T* staged_inputs = shared.inputs + begin * kRows;
        add_up(
            end - begin, [=](int64_t i) { return weights[(begin + i) * n]; },
            [&](T w) {
              for (int r = 0; r < kRows; ++r) sums[r] += staged_inputs[r] * w;
              staged_inputs += kRows;
            });
      }
      __syncthreads();
    }
    if (share < shares)
      for (int r = 0; r < kRows; ++r) shared.sums[(share * kRows + r) * columns + j] = sums[r];
    __syncthreads();
    for (int e = t; e < own.rows * columns; e += kThreads) {
      const int r = e / columns;
      T sum = 0;
      for (int s = 0; s < shares; ++s) sum += shared.sums[(s * kRows + r) * columns + e % columns];
      then(own.begin + r, column + e % columns, sum);
    }
    __syncthreads();
  }
}

/// The same for rows of a sparse X.
template <class T, class Then>
__device__ void multiply_entries(const Net<T>& net, const View<T>& data, const Turn<T>& turn,
                                 const Stretch& own, const T* matrix, int64_t n, const Then& then) {
  const DropoutRule<T> mask = net.mask(net.input_dropout, turn, 0);
  for (int64_t e = threadIdx.x; e < own.rows * n; e += kThreads) {
    const int64_t r = own.begin + e / n, j = e % n, position = turn.start + r;
    const int64_t row = data.row_of_x(position);
    const int64_t begin = data.indptr[row];
    const int32_t* columns = data.columns + begin;
    const T* values = data.values + begin;
    T sum = 0;
    add_up(
        data.indptr[row + 1] - begin,
        [=](int64_t at) {
          const T value = values[at];
          const int64_t i = columns[at];
          return (mask.active ? value * mask.factor(position, i) : value) * matrix[i * n + j];
        },
        [&](T product) { sum += product; });
    then(r, j, sum);
  }
  __syncthreads();
}

/// Copies the block's rows of a dense X to the first layer's input.
template <class T>
__device__ void gather(const Net<T>& net, const View<T>& data, const Turn<T>& turn,
                       const Stretch& own) {
  const Layer<T>& layer = net.layers[0];
  const DropoutRule<T> mask = net.mask(net.input_dropout, turn, 0);
  const auto copy = [&](auto type) {
    using S = typename decltype(type)::Of;
    const S* x = reinterpret_cast<const S*>(data.dense);
    const int64_t in = layer.in, first = turn.start + own.begin;
    T* to = layer.input + own.begin * in;
    const S* rows[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      rows[r] = x + data.row_of_x(first + (r < own.rows ? r : 0)) * in;
    for (int64_t i = threadIdx.x; i < in; i += kThreads) {
      T values[kRows];
#pragma unroll
      for (int r = 0; r < kRows; ++r) values[r] = T(rows[r][i]);
#pragma unroll
      for (int r = 0; r < kRows; ++r)
        if (r < own.rows)
          to[r * in + i] = mask.active ? values[r] * mask.factor(first + r, i) : values[r];
    }
  };
  visit(int(data.type),
        List<Half, float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t,
             uint64_t>{},
        copy);
  __syncthreads();
}

/// What an output should be. A share of each class's target is spread over all classes, of which
/// one output has two (Szegedy et al., CVPR 2016).
template <class T>
__device__ T target_of(const Net<T>& net, const View<T>& data, int64_t row, int64_t outputs,
                       int64_t j) {
  if (!data.classes) return data.targets[row * outputs + j];
  const int32_t label = data.classes[row];
  if (outputs == 1) return T(label) * net.kept_target + net.spread_target;
  return net.spread_target + (label == j ? net.kept_target : T(0));
}

/// The softmax of a row of z, in place, by a warp. Returns the logarithm of the sum, and the
/// largest.
template <class T>
struct Softmax {
  T top, total;

  __device__ Softmax(const T* z, int64_t outputs, int lane) {
    top = -infinity<T>();
    for (int64_t j = lane; j < outputs; j += kWarp) top = max(top, z[j]);
    top = warp_max(top);
    T sum = 0;
    for (int64_t j = lane; j < outputs; j += kWarp) sum += exp(z[j] - top);
    total = warp_sum(sum);
  }
  __device__ T probability(T z) const { return exp(z - top) / total; }
};

/// The prediction of a row, by a warp.
template <class T, class L>
__device__ void link_row(const T* z, int64_t outputs, T* out, int lane) {
  if constexpr (L::kRowwise) {
    const Softmax<T> softmax(z, outputs, lane);
    for (int64_t j = lane; j < outputs; j += kWarp) out[j] = softmax.probability(z[j]);
  } else {
    for (int64_t j = lane; j < outputs; j += kWarp) out[j] = L::link(z[j]);
  }
}

/// The loss of a row, by a warp, and z replaced by its delta times `scale`.
template <class T, class L>
__device__ T take_loss(const Net<T>& net, const View<T>& data, int64_t row, T* z, int64_t outputs,
                       T scale, int lane) {
  T loss = 0;
  if constexpr (L::kRowwise) {
    const Softmax<T> softmax(z, outputs, lane);
    for (int64_t j = lane; j < outputs; j += kWarp) {
      const T y = target_of(net, data, row, outputs, j);
      loss -= y * (z[j] - softmax.top);
      if (L::kEntropy) loss += y_log_y(y);
      z[j] = L::delta(softmax.probability(z[j]), y, net.loss_parameter) * scale;
    }
    return warp_sum(loss) + log(softmax.total);
  } else {
    for (int64_t j = lane; j < outputs; j += kWarp) {
      const T y = target_of(net, data, row, outputs, j);
      loss += L::value(z[j], y, net.loss_parameter);
      z[j] = L::delta(z[j], y, net.loss_parameter) * scale;
    }
    return warp_sum(loss);
  }
}

/// Predictions and losses of the block's rows, a row to a warp; the sum of the latter goes to
/// `sum`.
template <class T>
__device__ void finish_rows(const Net<T>& net, const View<T>& data, const Turn<T>& turn,
                            const Stretch& own, double* row_loss, double* sum) {
  const Layer<T>& layer = net.layers[net.n_layers - 1];
  const int64_t outputs = layer.out;
  const int lane = int(threadIdx.x) % kWarp, r = int(threadIdx.x) / kWarp;
  if (r < own.rows && net.loss >= 0) {
    T* z = layer.delta + (own.begin + r) * outputs;
    const int64_t row = data.row(turn.start + own.begin + r);
    const T weight = data.weights ? data.weights[row] : T(1);
    visit(net.loss, Losses{}, [&](auto type) {
      using L = typename decltype(type)::Of;
      if (net.outputs) link_row<T, L>(z, outputs, net.outputs + (own.begin + r) * outputs, lane);
      if (!data.targets && !data.classes) return;
      const T loss = take_loss<T, L>(net, data, row, z, outputs, weight * turn.delta_scale, lane);
      if (lane == 0) row_loss[r] = double(loss) * double(weight);
    });
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    double total = 0;
    for (int i = 0; i < own.rows; ++i) total += row_loss[i];
    *sum = total;
  }
}

/// Layers [from, to) forward, for kRows rows of a turn per block; from the first layer on rows of X
/// are gathered before. Up to the last layer predictions and losses come after, with `back` deltas
/// down to those that go into layer from - 1, or into the first.
template <class T>
__global__ void __launch_bounds__(kThreads, 2)
    run_rows(Net<T> net, View<T> data, const Turn<T>* turns, int number, int from, int to,
             bool back, double* losses) {
  static_assert(kRows <= kWarps);
  RowsShared<T>& shared = *shared_memory<RowsShared<T>>();
  double* row_loss = reinterpret_cast<double*>(&shared + 1);
  const Turn<T>& turn = turns[number];
  Stretch own{int64_t(blockIdx.x) * kRows, kRows};
  if (own.begin >= turn.rows) return;
  if (own.begin + kRows > turn.rows) own.rows = int(turn.rows - own.begin);
  if (from == 0 && !data.indptr) gather(net, data, turn, own);
  for (int l = from; l < to; ++l) {
    const Layer<T>& layer = net.layers[l];
    const Neurons<T> neurons(net, turn, l);
    const T* weights = net.parameters(layer);
    const auto give = [&](int64_t row, int64_t j, T sum) { neurons.activate(row, j, sum); };
    if (l == 0 && data.indptr) {
      multiply_entries(net, data, turn, own, weights, layer.linear, give);
    } else {
      multiply_rows(own, layer.input, layer.in, weights, layer.linear, shared, give);
    }
    if (!layer.is_maxout()) continue;
    for (int64_t e = threadIdx.x; e < own.rows * layer.out; e += kThreads)
      neurons.take_largest(own.begin + e / layer.out, e % layer.out);
    __syncthreads();
  }
  if (to < net.n_layers) return;
  finish_rows(net, data, turn, own, row_loss, losses + blockIdx.x);
  if (!back) return;
  for (int l = net.n_layers - 1; l >= (from > 1 ? from : 1); --l) {
    const Layer<T>& layer = net.layers[l];
    const Neurons<T> below(net, turn, l - 1);
    multiply_rows(own, layer.delta, layer.linear, layer.transposed, layer.in, shared,
                  [&](int64_t row, int64_t j, T sum) { below.times_slope(row, j, sum); });
    if (!below.layer.is_maxout()) continue;
    for (int64_t e = threadIdx.x; e < own.rows * below.layer.out; e += kThreads)
      below.give_to_largest(own.begin + e / below.layer.out, e % below.layer.out);
    __syncthreads();
  }
}

template <class T>
constexpr size_t kRowsBytes = sizeof(RowsShared<T>) + kRows * sizeof(double);

}  // namespace
}  // namespace fastmlp
