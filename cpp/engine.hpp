// The contract of an engine: whatever trains a network, on an instruction set or on a device.
//
// A network maps rows of `units[0]` features through dense layers of `units[1]`, ... neurons to
// `units[n_layers]` outputs. Parameters go in and out as C-contiguous blocks in scikit-learn's
// order and shape: weight (in, out) and bias (out) of the first layer, then of the next; a maxout
// layer of k pieces has k * out columns, piece by piece. After them, layer by layer, the slopes
// (out) of the layers whose activation learns them.
//
// In a recurrent network (`cell`) rows are sequences, and each hidden layer has its own outputs one
// step earlier as inputs too: at a sequence's begin these are 0. Their weights (out, out) come
// after all other blocks, layer by layer; of a gru (out, 3 * out), reset and update gate and
// candidate side by side, with a bias (3 * out) of their own.
//
// A call that has to have memory may throw OutOfMemory, any call of a device DeviceError
// (errors.hpp). What a session then holds is of no use, but to be closed.
#pragma once

#include <cstdint>

namespace fastmlp {

/// A hidden layer's neurons. `activation` is a place in the list of formulas/activations.hpp.
struct Hidden {
  int activation;
  double parameter;  // of the activation
  int pieces;        // of maxout, else 1
  bool learned;      // each neuron has a parameter of its own among the blocks
  double dropout;    // share of outputs that a training step drops
};

/// What hidden layers are. Recurrent are elman: a(x W + b + h U), Elman, Cognitive Science 14,
/// 1990; and gru: see formulas/cells.hpp.
enum class Cell { dense, elman, gru };

/// How a device may round what wide layers multiply, in float32: not at all, or to the numbers of
/// its tensor cores, of 10 or 7 bits after the point. Sums are float32.
enum class Precision { float32, tf32, bfloat16 };

/// What a network is. `loss` is a place in the list of formulas/losses.hpp.
struct Recipe {
  const int64_t* units;  // n_layers + 1 sizes
  int n_layers;
  const Hidden* hidden;  // n_layers - 1 of them; predict() takes n_layers where `loss` is -1
  int loss;              // -1: the network ends with its last hidden layer
  double loss_parameter;
  double label_smoothing;  // share of a class's target that is spread over all classes
  double input_dropout;
  // Penalty: (alpha / 2 * sum of squared weights + l1 * sum of absolute weights) / sum of the
  // batch's sample weights.
  double alpha, l1;
  Cell cell;
  bool per_step;  // a recurrent network's outputs are wanted at every step, else at the last
  int64_t steps;  // of a sequence at most, where a session is opened; 1 where rows are no sequences
  Precision precision;  // float32 on a CPU

  /// What a recurrent unit adds up: a gru's gates are two of its three.
  int gates() const { return cell == Cell::gru ? 3 : 1; }
  /// What a unit of hidden layer l has several of, side by side.
  int pieces(int l) const { return hidden[l].pieces * gates(); }
  bool recurrent() const { return cell != Cell::dense; }
};

/// What a dense X may hold. It is converted as its rows are gathered, batch by batch.
enum class ElementType { f16, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64 };

/// Rows of features: dense with unit column stride, or compressed (CSR) when `indptr` is set. A
/// sequence has a row per step.
template <class T>
struct Rows {
  const char*
      dense;  // row r starts at dense + r * stride, its step t at step_stride * t from there
  int64_t stride, step_stride;  // bytes
  ElementType type;
  const T* values;        // CSR: the stored entries, else null
  const int64_t* indptr;  // CSR: entries of row r are indptr[r] .. indptr[r + 1]; else null
  const int32_t* columns;
};

/// Training data. Row numbers of every part are those of X and y as the user gave them.
template <class T>
struct Data {
  Rows<T> x;
  const T* targets;        // (rows, outputs), or null where `classes` is given
  const int32_t* classes;  // (rows,): the output that is 1, all others 0; one output: its value;
                           // both before label smoothing
  const T* weights;        // (rows,), or null: all 1
  // Of sequences. What lies past their lengths counts for nothing, and may be anything. Where there
  // are outputs at every step, so are targets, and each counts with the weight of its sequence.
  int64_t steps = 1;
  const int64_t* lengths = nullptr;  // (rows,), 1 to `steps`, or null: all have all steps

  int64_t length(int64_t row) const { return lengths ? lengths[row] : steps; }
};

/// A part of a pass that several processes make together, each over rows of its own. A step's batch
/// is `batch` rows of the whole pass. Each process finds its rows' part of the gradient; the sums
/// over all processes then are what each makes the step with.
struct Part {
  const int64_t* places;  // (rows,): where order[0], order[1], ... stand in the whole pass; rising
  int64_t rows;           // of this process
  int64_t batch;
  enum class Answer { goes_on, ends, failed };
  /// Replaces numbers by their sums over all processes, on the calling thread. Says whether to go
  /// on, to end after the step at hand (all processes are told the same), or that it has failed:
  /// the step is given up.
  Answer (*reduce)(void* context, void* numbers, int64_t count) noexcept;
  void* context;
};

/// A pass over `n` rows, order[0], order[1], ... of the data; a null order is 0, 1, ... Where only
/// a `part` of them is this process's, its rows are order[0] .. order[part->rows].
struct Pass {
  const int64_t* order;
  int64_t n;
  int n_threads;  // at most; results do not depend on it
  /// Asked some twenty times a second, on the calling thread, whether to end: after the step at
  /// hand (on a device those it has been given), or `within` it, which then moves nothing. Null:
  /// never.
  bool (*stop)(void* context, bool within) = nullptr;
  void* context = nullptr;
  const Part* part = nullptr;  // null: all rows are this process's
};

struct SolverOptions {
  int solver;     // place in the list of formulas/solvers.hpp
  int64_t steps;  // steps taken before the epoch
  double rate, momentum, beta_1, beta_2, epsilon, rho, weight_decay;
  bool nesterov;
  bool summed;       // the gradient is the sum over a batch's rows, not their mean
  double clip_norm;  // the most that the whole gradient's norm may be; infinity: no limit
  double max_norm;   // the most for the weights into one hidden neuron, likewise
  uint64_t seed;     // of dropout
  double bias_rate;  // what sgd multiplies the rate of biases by
};

/// Where an epoch stands, that of all processes where several make it. A call that was stopped can
/// be gone on from, to the same bits.
struct Epoch {
  int64_t rows = 0;     // worked on: whole batches, at the end all
  int64_t counted = 0;  // those in batches whose weights do not sum to zero: others make no step
  double loss = 0;      // sum over these, each batch's loss weighing its rows
  double penalty = 0;   // what the penalty has in it
  int64_t steps = 0;    // updates made
};

/// Data in the hands of an engine, for any number of passes. A device has it in memory of its own.
template <class T>
struct Held;

/// A network's parameters, solver state and work space in the layout that an engine computes in.
template <class T>
struct Session;

constexpr int kDiagnosed = 4;  // the slot after those of the solvers
constexpr int kDiagnoses = 4;
constexpr int64_t kDiagnosedRows = 64;

template <class T>
struct Operations {
  /// Data of so many rows of `features` and targets of `outputs` values. What they point to must
  /// stay as it is until they are released.
  Held<T>* (*hold)(const Data<T>&, int64_t rows, int64_t features, int64_t outputs);
  void (*release)(Held<T>*);
  /// Room for steps over batches of up to `batch` rows, compressed ones if `sparse`;
  /// `keep_gradient` where gradient() is to be called.
  Session<T>* (*open)(const Recipe&, int64_t batch, bool sparse, bool keep_gradient);
  void (*close)(Session<T>*);
  /// Slot 0 is the parameters, 1, 2, ... the solver's state, kDiagnosed what the next diagnose() is
  /// to compare the weights with.
  void (*write)(Session<T>*, int slot, const T* const* blocks);
  void (*read)(const Session<T>*, int slot, T* const* blocks);
  /// One epoch of mini-batches of `batch` rows, the last one what is left; or its rest. A pass with
  /// a part asks for a network that keeps its gradient, here and in gradient().
  Epoch (*train)(Session<T>*, const Held<T>&, const Pass&, int64_t batch, const SolverOptions&,
                 const Epoch& begun);
  /// The loss over all rows and its exact gradient, the latter into `blocks`; neither if stopped.
  double (*gradient)(Session<T>*, const Held<T>&, const Pass&, T* const* blocks);
  /// kDiagnoses numbers per layer, from one batch of up to kDiagnosedRows rows (of sequences as
  /// many as the work space holds at once) that moves nothing: the norm of the exact gradient; the
  /// standard deviation of the change of the weights since the last time (slot kDiagnosed), divided
  /// by that of the weights; the shares of units that are dead for all rows, and saturated for
  /// most. The network must keep its gradient.
  void (*diagnose)(Session<T>*, const Held<T>&, const Pass&, double* numbers);
  /// The predictions of a network given by `blocks`, into out (n, outputs), and unless `hidden` is
  /// null the activations of its hidden layers into hidden[0] (n, units[1]), ... Where the data has
  /// targets, returns their mean loss too, without penalty, rows weighing their sample weights.
  /// None of it is of use if it was stopped. Of a recurrent network hidden layers, and outputs at
  /// every step, are (n, steps, ...), 0 past a sequence's end; they begin at `state`, (n,
  /// units[1]),
  /// ..., or at 0 if it is null.
  double (*predict)(const Recipe&, const T* const* blocks, const Held<T>&, const Pass&, T* out,
                    T* const* hidden, const T* const* state);
  /// Floating-point operations per second that one thread of a CPU, or a whole device, reaches on
  /// registers alone: the floor that benchmarks are compared with.
  double (*peak)();
};

struct Engine {
  const char* name;
  const char* device;      // "cpu"; others are used where they are asked for only
  const char* (*lacks)();  // what this machine lacks now to run it; null: nothing
  const char* (*card)();   // the device's own name where nothing is lacking; "" of a CPU
  Operations<float> f32;
  Operations<double> f64;
};

/// All engines of this build, the preferred first.
extern const Engine* const kEngines[];
extern const int kNumEngines;

/// The engine called `name`; with none FASTMLP_ENGINE's, if that is one of the device or the device
/// is the CPU, and without that the first of the device that this machine can run. Throws
/// std::invalid_argument where there is none.
const Engine& find_engine(const char* name, const char* device = "cpu");

}  // namespace fastmlp
