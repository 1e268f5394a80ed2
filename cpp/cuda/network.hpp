// A network and its data as kernels see them: plain values that point into the device's memory.
#pragma once

#include "../arena.hpp"
#include "../data.hpp"
#include "../engine.hpp"
#include "../formulas/activations.hpp"
#include "../formulas/dropout.hpp"
#include "../formulas/losses.hpp"
#include "../formulas/solvers.hpp"
#include "device.hpp"

namespace fastmlp {
namespace {

/// A layer with the activation that follows it. Of a step's rows: z (rows, linear) is what its
/// weights give, a (rows, out) what the activation makes of it. The pieces of a maxout layer lie
/// side by side in z.
///
/// Its block of parameters is the weights (in, linear) and below them, as one more row, the biases.
template <class T>
struct Layer {
  int64_t in, out, linear;  // linear = pieces * out
  int pieces, activation;
  Keeps keeps;
  bool hidden, learned;  // has an activation; its parameter is learned
  bool wide;             // products are made tile by tile, not row by row
  bool by_library;       // it is wide, and the products are cuBLASLt's
  Precision precision;   // of its products: float32 unless it is wide
  int tile;              // of its gradient: rows and columns
  int64_t tiles, units;  // of the weights phase; with the units of slopes
  T parameter;
  DropoutRule<T> dropout;  // of its outputs, without a key
  int64_t block, slopes;   // where its parameters are in a slot, and slopes (out), if it learns any
  T* transposed;           // (linear, in): a copy of the weights for the way back; or null
  T* input;                // (rows, in)
  T* delta;                // (rows, linear): of the last layer, maxout and by_library first z
  T* output;  // (rows, out): the next layer's input; of the last layer null unless hidden
  T* kept;    // (rows, out): what the activation keeps of z; of maxout the derivative by a

  FASTMLP_HD bool is_maxout() const { return pieces > 1; }
  FASTMLP_HD int64_t parameters() const { return (in + 1) * linear; }
};

constexpr int kMaxSolverBytes = 8 * sizeof(double);

/// One stretch of a batch, most often all of it, and what is done with its gradient. The host
/// writes a number of them ahead.
template <class T>
struct Turn {
  int64_t start, rows;  // positions start .. start + rows of the order
  T scale;              // 1 / sum of the batch's weights
  T delta_scale;        // on every delta, 1 but in an exact gradient
  uint64_t masks;       // of dropout: what its keys are made of
  bool first, last;     // of its batch: what was kept of the gradient counts but in the first
  bool drops;
  alignas(8) unsigned char solver[kMaxSolverBytes];  // the constants of its step

  template <class Solver>
  __device__ Solver solver_as() const {
    Solver constants = *reinterpret_cast<const Solver*>(solver);
    return constants;
  }
};

/// What the weights phase does with a gradient.
enum class Use { update, keep, update_from_kept };

/// The data of a pass. Rows of X are those of the order, or where they are streamed those that
/// follow position `streamed_from`, in the order's turn.
template <class T>
struct View {
  const char* dense;  // (rows, features) without gaps, of this type; or null:
  ElementType type;
  const T* values;  // CSR, with the columns of each row rising
  const int64_t* indptr;
  const int32_t* columns;
  const T* targets;
  const int32_t* classes;
  const T* weights;
  const int64_t* order;
  int64_t streamed_from;  // -1: X is all here

  __device__ int64_t row(int64_t position) const { return order ? order[position] : position; }
  __device__ int64_t row_of_x(int64_t position) const {
    return streamed_from < 0 ? row(position) : position - streamed_from;
  }
};

template <class T>
struct Net {
  const Layer<T>* layers;  // on the device
  int n_layers, loss, solver;
  T loss_parameter, kept_target, spread_target;  // label smoothing: see Targets
  T alpha, l1;
  DropoutRule<T> input_dropout;
  T* slots[1 + kMaxSlots];  // parameters, and the solver's state
  T* gradient;              // where it is kept
  int64_t units;            // of the weights phase
  double* squares;          // (units,): sums over each unit's gradient, where it is kept
  T* factor;                // what a kept gradient is multiplied by
  T* outputs;               // (rows, outputs): predictions, or null

  __device__ DropoutRule<T> mask(const DropoutRule<T>& rule, const Turn<T>& turn, int layer) const {
    DropoutRule<T> mask = rule;
    mask.active = rule.active && turn.drops;
    mask.key = DropoutRule<T>::key_of(turn.masks, layer);
    return mask;
  }
  FASTMLP_HD const T* parameters(const Layer<T>& layer) const { return slots[0] + layer.block; }
};

}  // namespace
}  // namespace fastmlp
