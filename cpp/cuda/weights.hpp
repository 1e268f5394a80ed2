// The weights phase: a block makes the gradient of one tile of a layer's weights over all rows of
// the turn, and applies the solver's update while it is at hand.
#pragma once

#include "tiles.hpp"

namespace fastmlp {
namespace {

/// A thread's parameters, a few at a time: all of them are read before any is changed.
constexpr int kTogether = 4;

template <class T>
struct Some {
  int64_t place[kTogether];  // in a slot, -1: none
  T sum[kTogether];          // of the turn's rows, unless the gradient was kept
  bool is_weight[kTogether];
};

/// Adds a gradient to what was kept of it, gives it its penalty and scale where it is whole, and
/// uses it; sums up what the penalty takes, and the squares of the gradient.
template <class T>
struct Change {
  const Net<T>& net;
  const Turn<T>& turn;
  Use use;
  bool summed;  // the turn's gradient by weights is in what was kept already
  double penalty = 0, squares = 0;

  /// Whether parameters move.
  __device__ bool moves() const {
    return use == Use::update_from_kept || (use == Use::update && turn.last);
  }

  /// Whether a sum is only a part of the gradient, to be added to what was kept.
  __device__ bool adds(bool is_weight) const {
    return use == Use::update_from_kept || !turn.first || (summed && is_weight);
  }

  /// The gradient by one parameter w.
  __device__ T gradient(T sum, T kept, T w, bool is_weight) {
    if (use == Use::update_from_kept) return kept * *net.factor;
    T g = adds(is_weight) ? sum + kept : sum;
    if (!turn.last) return g;
    if (is_weight) {
      g += net.alpha * w;
      penalty += 0.5 * double(net.alpha) * double(w * w);
      if (net.l1 != 0) {
        g += net.l1 * sign(w);
        penalty += double(net.l1) * double(abs(w));
      }
    }
    g *= turn.scale;
    squares += double(g) * double(g);
    return g;
  }

  template <class Solver>
  __device__ void apply(const Solver& solver, const Some<T>& some) {
    T w[kTogether], kept[kTogether], state[kTogether][Solver::kSlots];
    const bool moving = moves();
#pragma unroll
    for (int n = 0; n < kTogether; ++n) {
      const int64_t place = some.place[n];
      if (place < 0) continue;
      w[n] = net.slots[0][place];
      kept[n] = adds(some.is_weight[n]) ? net.gradient[place] : T(0);
      for (int k = 0; k < Solver::kSlots; ++k)
        state[n][k] = moving ? net.slots[1 + k][place] : T(0);
    }
#pragma unroll
    for (int n = 0; n < kTogether; ++n) {
      const int64_t place = some.place[n];
      if (place < 0) continue;
      const T g = gradient(some.sum[n], kept[n], w[n], some.is_weight[n]);
      if (!moving) {
        net.gradient[place] = g;
        continue;
      }
      solver.update(w[n], g, state[n], some.is_weight[n]);
      for (int k = 0; k < Solver::kSlots; ++k) net.slots[1 + k][place] = state[n][k];
      net.slots[0][place] = w[n];
    }
  }

  /// Calls each(apply) with a function that takes a thread's parameters.
  template <class Each>
  __device__ void with_solver(const Each& each) {
    visit(net.solver, Solvers<T>{}, [&](auto type) {
      using Solver = typename decltype(type)::Of;
      static_assert(sizeof(Solver) <= kMaxSolverBytes);
      const Solver solver = turn.template solver_as<Solver>();
      each([&](const Some<T>& some) { apply(solver, some); });
    });
  }
};

/// The first of a sparse row's entries whose column is `column` or beyond.
template <class T>
__device__ int64_t first_entry(const View<T>& data, int64_t row, int64_t column) {
  int64_t low = data.indptr[row];
  for (int64_t high = data.indptr[row + 1]; low < high;) {
    const int64_t middle = (low + high) / 2;
    if (data.columns[middle] < column) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/// The gradient of a tile whose rows are features of a sparse X, and one more for the biases, into
/// the tile's shared memory. A warp has some of its rows, a lane a column.
template <class T>
__device__ void multiply_columns(const Tile<T, kSmallTile>& tile, const Net<T>& net,
                                 const View<T>& data, const Turn<T>& turn, const Corner& at) {
  constexpr int kOwn = kSmallTile / kWarps;
  static_assert(kSmallTile == kWarp);
  const Layer<T>& layer = net.layers[0];
  const DropoutRule<T> mask = net.mask(net.input_dropout, turn, 0);
  const int lane = int(threadIdx.x) % kWarp, own = int(threadIdx.x) / kWarp * kOwn;
  const int64_t feature = at.row + own, j = at.column + lane, bias = layer.in - feature;
  const bool has_bias = bias >= 0 && bias < kOwn;
  T sums[kOwn] = {};
  for (int64_t from = 0; from < turn.rows; from += kWarp) {
    // a lane looks for what the warp's features have in one of the next rows
    int64_t first = 0, beyond = 0;
    if (from + lane < turn.rows) {
      const int64_t row = data.row_of_x(turn.start + from + lane);
      first = first_entry(data, row, feature);
      beyond = first_entry(data, row, feature + kOwn);
    }
    const int rows = int(turn.rows - from < kWarp ? turn.rows - from : kWarp);
    for (int r = 0; r < rows; ++r) {
      const int64_t begin = __shfl_sync(0xffffffffu, first, r),
                    end = __shfl_sync(0xffffffffu, beyond, r);
      if (begin == end && !has_bias) continue;
      const T delta = j < layer.linear ? layer.delta[(from + r) * layer.linear + j] : T(0);
      for (int64_t e = begin; e < end; ++e) {
        const int64_t i = data.columns[e];
        T value = data.values[e];
        if (mask.active) value *= mask.factor(turn.start + from + r, i);
#pragma unroll
        for (int k = 0; k < kOwn; ++k)
          if (feature + k == i) sums[k] += value * delta;
      }
#pragma unroll
      for (int k = 0; k < kOwn; ++k)
        if (k == bias) sums[k] += delta;
    }
  }
  for (int g = 0; g < Tile<T, kSmallTile>::kGroups; ++g)
    for (int k = 0; k < kOwn; ++k)
      tile.shared[(g * kSmallTile + own + k) * kSmallTile + lane] = g == 0 ? sums[k] : T(0);
  __syncthreads();
}

/// A tile of a layer's weights, with the biases as one more row below them: of a layer whose
/// products are cuBLASLt's the only one that is summed up here.
template <class T, int kSize>
__device__ void change_tile(const Net<T>& net, const View<T>& data, const Turn<T>& turn, Use use,
                            int l, int64_t number, double* penalty, double* squares) {
  const Tile<T, kSize> tile{shared_memory<T>()};
  const Layer<T>& layer = net.layers[l];
  const Corner at(number, layer.linear, kSize);
  const int64_t multiplied = layer.by_library ? 0 : layer.in;  // rows
  const bool sums = use != Use::update_from_kept && (multiplied > 0 || at.row + kSize > layer.in);
  bool sparse = false;
  if constexpr (kSize == kSmallTile) sparse = l == 0 && data.indptr;
  if (sums) {
    if (sparse) {
      if constexpr (kSize == kSmallTile) multiply_columns(tile, net, data, turn, at);
    } else {
      const int64_t in = layer.in, linear = layer.linear;
      const T *input = layer.input, *delta = layer.delta;
      tile.template multiply<false>(
          layer.precision, turn.rows,
          [=](int r, int64_t k) {
            const int64_t i = at.row + r;
            return i < multiplied ? input[k * in + i] : i == in ? T(1) : T(0);
          },
          [=](int64_t k, int c) {
            const int64_t j = at.column + c;
            return j < linear ? delta[k * linear + j] : T(0);
          });
    }
  }
  Change<T> change{net, turn, use, layer.by_library};
  const auto place_of = [&](int e) {
    const int64_t i = at.row + e / kSize, j = at.column + e % kSize;
    return i <= layer.in && j < layer.linear ? layer.block + i * layer.linear + j : -1;
  };
  change.with_solver([&](const auto& apply) {
#pragma unroll 1
    for (int first = int(threadIdx.x); first < kSize * kSize; first += kTogether * kThreads) {
      Some<T> some;
#pragma unroll
      for (int n = 0; n < kTogether; ++n) {
        const int e = first + n * kThreads;
        some.place[n] = place_of(e);
        some.is_weight[n] = at.row + e / kSize < layer.in;
        some.sum[n] = sums && !(layer.by_library && some.is_weight[n]) ? tile.total(e) : T(0);
      }
      apply(some);
    }
  });
  if (change.moves() && layer.transposed) {  // turned in shared memory: both are written in rows
    __syncthreads();
    for (int e = int(threadIdx.x); e < kSize * kSize; e += kThreads) {
      const int64_t place = place_of(e);
      tile.shared[e % kSize * (kSize + 1) + e / kSize] = place < 0 ? T(0) : net.slots[0][place];
    }
    __syncthreads();
    for (int e = int(threadIdx.x); e < kSize * kSize; e += kThreads) {
      const int64_t j = at.column + e / kSize, i = at.row + e % kSize;
      if (i < layer.in && j < layer.linear)
        layer.transposed[j * layer.in + i] = tile.shared[e / kSize * (kSize + 1) + e % kSize];
    }
  }
  *penalty = block_sum(change.penalty, tile.room());
  *squares = block_sum(change.squares, tile.room());
}

/// The slopes of some neurons: their gradient is the sum over the rows of what was kept.
template <class T>
__device__ void change_slopes(const Net<T>& net, const Turn<T>& turn, Use use, int l,
                              int64_t number, double* squares) {
  const Layer<T>& layer = net.layers[l];
  const int64_t j = number * kThreads + threadIdx.x;
  Change<T> change{net, turn, use, false};
  if (j < layer.out) {
    Some<T> some{{layer.slopes + j, -1, -1, -1}, {}, {}};
    const T* kept = layer.kept + j;
    const int64_t out = layer.out, rows = use == Use::update_from_kept ? 0 : turn.rows;
    add_up(rows, [=](int64_t r) { return kept[r * out]; }, [&](T x) { some.sum[0] += x; });
    change.with_solver([&](const auto& apply) { apply(some); });
  }
  *squares = block_sum(change.squares, Tile<T, kSmallTile>{shared_memory<T>()}.room());
}

/// A unit of the weights phase to a block: a layer's tiles come first, then its slopes, kThreads of
/// them at a time.
template <class T>
__global__ void __launch_bounds__(kThreads, kBlocks<T>)
    run_weights(Net<T> net, View<T> data, const Turn<T>* turns, int number, Use use,
                double* penalties) {
  const Turn<T>& turn = turns[number];
  int64_t unit = blockIdx.x;
  int l = 0;
  for (; unit >= net.layers[l].units; ++l) unit -= net.layers[l].units;
  const Layer<T>& layer = net.layers[l];
  double penalty = 0, squares = 0;
  if (unit >= layer.tiles) {
    change_slopes(net, turn, use, l, unit - layer.tiles, &squares);
  } else if (layer.tile == kLargeTile) {
    change_tile<T, kLargeTile>(net, data, turn, use, l, unit, &penalty, &squares);
  } else {
    change_tile<T, kSmallTile>(net, data, turn, use, l, unit, &penalty, &squares);
  }
  if (threadIdx.x != 0 || use == Use::update_from_kept) return;
  penalties[blockIdx.x] = penalty;
  net.squares[blockIdx.x] = squares;
}

template <class T>
constexpr size_t kTileBytes =
    Tile<T, kSmallTile>::kBytes > Tile<T, kLargeTile>::kBytes ? Tile<T, kSmallTile>::kBytes
                                                              : Tile<T, kLargeTile>::kBytes;

/// What the whole gradient, as it was kept, is multiplied by for its norm to be at most `most`.
template <class T>
__global__ void __launch_bounds__(kThreads, 2) clip(Net<T> net, double most) {
  double* room = shared_memory<double>();
  double sum = 0;
  for (int64_t u = threadIdx.x; u < net.units; u += kThreads) sum += net.squares[u];
  sum = block_sum(sum, room);
  if (threadIdx.x != 0) return;
  const double norm = sqrt(sum);
  // NaN where the norm is not finite: seen
  *net.factor = norm <= most ? T(1) : T(most / norm + (norm - norm));
}

/// The weights into each neuron of a hidden layer scaled down to a norm of at most `most`
/// (Srivastava et al., JMLR 15, 2014). A lane has a column, a warp every kWarps-th row of it.
template <class T>
__global__ void __launch_bounds__(kThreads, 2) limit_norms(Net<T> net, int l, T most) {
  T* sums = shared_memory<T>();  // (kWarps, kWarp)
  const Layer<T>& layer = net.layers[l];
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  const int64_t j = int64_t(blockIdx.x) * kWarp + lane;
  T* const weights = net.slots[0] + layer.block;
  const int64_t linear = layer.linear,
                rows = j < linear ? (layer.in - warp + kWarps - 1) / kWarps : 0;
  T squares = 0;
  add_up(
      rows, [=](int64_t n) { return weights[(warp + n * kWarps) * linear + j]; },
      [&](T w) { squares += w * w; });
  sums[threadIdx.x] = squares;
  __syncthreads();
  squares = 0;
  for (int w = 0; w < kWarps; ++w) squares += sums[w * kWarp + lane];
  const T norm = sqrt(squares);
  if (j >= layer.linear || norm <= most) return;
  const T factor = most / norm + (norm - norm);  // a norm that is not finite makes weights NaN
  for (int64_t i = warp; i < layer.in; i += kWarps) {
    const T w = weights[i * layer.linear + j] * factor;
    weights[i * layer.linear + j] = w;
    if (layer.transposed) layer.transposed[j * layer.in + i] = w;
  }
}

/// The copy of a layer's weights for the way back, made anew.
template <class T>
__global__ void __launch_bounds__(kThreads, 2) transpose(Net<T> net, int l) {
  const Layer<T>& layer = net.layers[l];
  const int64_t e = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (e < layer.in * layer.linear)
    layer.transposed[e] = net.slots[0][layer.block + e % layer.in * layer.linear + e / layer.in];
}

/// The sums of a turn, (losses, penalty), from those of its blocks, always in the same order.
template <class T>
__global__ void __launch_bounds__(kThreads, 2)
    sum_up(const Turn<T>* turns, const double* losses, int64_t most_blocks, const double* penalties,
           int64_t units, double* sums) {
  double* room = shared_memory<double>();
  const int64_t number = blockIdx.x, blocks = ceil_div(turns[number].rows, kRows);
  double loss = 0, penalty = 0;
  for (int64_t b = threadIdx.x; b < blocks; b += kThreads) loss += losses[number * most_blocks + b];
  for (int64_t u = threadIdx.x; u < units; u += kThreads) penalty += penalties[number * units + u];
  loss = block_sum(loss, room);
  penalty = block_sum(penalty, room);
  if (threadIdx.x != 0) return;
  sums[2 * number] = loss;
  sums[2 * number + 1] = penalty;
}

}  // namespace
}  // namespace fastmlp
