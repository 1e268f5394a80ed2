// Passes over the data. The host writes what a number of turns are made with, and launches them
// together; while the device works on them it prepares the next.
#pragma once

#include "../threads.hpp"
#include "held.hpp"
#include "session.hpp"

namespace fastmlp {
namespace {

/// What a pass does, besides what a turn says.
struct PassPlan {
  bool back;     // deltas and the weights phase, not the forward pass alone
  bool updates;  // else the gradient is kept
  double clip_norm = infinity<double>(), max_norm = infinity<double>();  // infinity: no limit

  bool clips() const { return clip_norm < infinity<double>(); }
};

/// Enqueues a layer forward with a product by cuBLASLt, but of maxout to z. All these products are
/// of the turn's rows and no more: what others have left in the rows after them counts nowhere.
template <class T>
void enqueue_forward(const Session<T>& s, int number, int l, int64_t rows) {
  const Layer<T>& layer = s.layers[size_t(l)];
  s.products->multiply(s.stream, {layer.input, rows, layer.in, false},
                       {s.net.parameters(layer), layer.in, layer.linear, false}, layer.delta,
                       false);
  s.stream.launch(finish_forward<T>, element_blocks(s.chunk_rows, layer.linear), 0, s.net, s.turns,
                  number, l);
}

/// The way back through it, to the deltas of the layer below, but of maxout to those of outputs.
template <class T>
void enqueue_backward(const Session<T>& s, int number, int l, int64_t rows) {
  const Layer<T>&layer = s.layers[size_t(l)], &below = s.layers[size_t(l) - 1];
  s.products->multiply(s.stream, {layer.delta, rows, layer.linear, false},
                       {s.net.parameters(layer), layer.in, layer.linear, true},
                       below.is_maxout() ? below.kept : below.delta, false);
  if (!below.is_maxout())
    s.stream.launch(finish_backward<T>, element_blocks(s.chunk_rows, below.out), 0, s.net, s.turns,
                    number, l - 1);
}

/// The gradient by its weights, to where it is kept.
template <class T>
void enqueue_gradient(const Session<T>& s, const Layer<T>& layer, int64_t rows, bool adds) {
  s.products->multiply(s.stream, {layer.input, rows, layer.in, true},
                       {layer.delta, rows, layer.linear, false}, s.net.gradient + layer.block,
                       adds);
}

/// Enqueues the kernels of a turn, of which the device's own is the one of this number.
template <class T>
void enqueue_turn(const Session<T>& s, const View<T>& view, int number, const PassPlan& plan,
                  const Turn<T>& turn) {
  const Stream& stream = s.stream;
  const Net<T>& net = s.net;
  const Turn<T>* turns = s.turns;
  const int n = s.n_layers, tail = s.tail;
  const int64_t blocks = s.row_blocks();
  double* losses = s.losses + number * blocks;
  double* penalties = s.penalties + number * net.units;
  const auto rows = [&](int from, int to) {
    stream.launch(run_rows<T>, blocks, kRowsBytes<T>, net, view, turns, number, from, to, plan.back,
                  losses);
  };
  const auto maxout = [&](int l, bool back) {
    const Layer<T>& layer = s.layers[size_t(l)];
    if (layer.is_maxout())
      stream.launch(finish_maxout<T>, ceil_div(s.chunk_rows * layer.out, kThreads), 0, net, turns,
                    number, l, back);
  };
  const auto product = [&](auto* small, auto* large, int l, int64_t columns) {
    const int size = tile_size(s.chunk_rows, columns, s.layers[size_t(l)].precision);
    const bool is_large = size == kLargeTile;
    stream.launch(is_large ? large : small, tiles_of(s.chunk_rows, columns, size),
                  is_large ? Tile<T, kLargeTile>::kBytes : Tile<T, kSmallTile>::kBytes, net, turns,
                  number, l);
  };
  if (tail > 0) rows(0, s.sparse);
  for (int l = s.sparse; l < tail; ++l) {
    const Layer<T>& layer = s.layers[size_t(l)];
    if (layer.by_library) {
      enqueue_forward(s, number, l, turn.rows);
    } else {
      product(forward_wide<T, kSmallTile>, forward_wide<T, kLargeTile>, l, layer.linear);
    }
    maxout(l, false);
  }
  rows(tail, n);
  if (!plan.back) return;
  for (int l = tail - 1; l >= 1; --l) {
    const Layer<T>& layer = s.layers[size_t(l)];
    if (layer.by_library) {
      enqueue_backward(s, number, l, turn.rows);
    } else {
      product(backward_wide<T, kSmallTile>, backward_wide<T, kLargeTile>, l, layer.in);
    }
    maxout(l - 1, true);
  }
  for (const Layer<T>& layer : s.layers)
    if (layer.by_library) enqueue_gradient(s, layer, turn.rows, !turn.first);
  const auto weights = [&](Use use) {
    stream.launch(run_weights<T>, net.units, kTileBytes<T>, net, view, turns, number, use,
                  penalties);
  };
  weights(plan.updates && !plan.clips() ? Use::update : Use::keep);
  if (!turn.last) return;
  if (plan.clips()) {
    stream.launch(clip<T>, 1, kWarps * sizeof(double), net, plan.clip_norm);
    weights(Use::update_from_kept);
  }
  if (!(plan.max_norm < infinity<double>())) return;
  for (int l = 0; l + 1 < n; ++l)
    stream.launch(limit_norms<T>, ceil_div(s.layers[size_t(l)].linear, kWarp), kThreads * sizeof(T),
                  net, l, T(plan.max_norm));
}

/// The solver's constants of a step.
template <class T>
void write_solver(const SolverOptions& options, SolverClock& clock, Turn<T>* turn) {
  visit_by_host(options.solver, Solvers<T>{}, [&](auto type) {
    using Solver = typename decltype(type)::Of;
    const Solver solver(options, clock);
    std::copy_n(reinterpret_cast<const unsigned char*>(&solver), sizeof solver, turn->solver);
  });
}

constexpr size_t kMostStaged = size_t(64) << 20;  // bytes

/// A pass under way.
template <class T>
class Run {
 public:
  Run(Session<T>& session, const Held<T>& held, const Pass& pass, int64_t batch,
      const SolverOptions* options, const PassPlan& plan, const Epoch& begun)
      : s_(session),
        held_(held),
        pass_(pass),
        batch_(batch),
        options_(options),
        plan_(plan),
        epoch_(begun),
        submitted_(begun.rows),
        clock_{options ? options->steps + begun.steps : 0},
        value_scale_(s_.net.loss >= 0 ? value_scale(s_.net.loss, s_.layers.back().out) : 1),
        view_(held.view) {
    if (pass.order) upload_order();
    if (held.streams()) prepare_staging();
    if (!options) return;
    s_.net.solver = options->solver;
    visit_by_host(options->solver, Solvers<T>{}, [&](auto type) {
      for (int k = 1; k <= decltype(type)::Of::kSlots; ++k) s_.net.slots[k] = s_.slot(k);
    });
  }
  ~Run() {  // an exception leaves bursts behind
    for (Burst<T>& burst : s_.bursts) burst.under_way = false;
    cudaStreamSynchronize(s_.stream);
  }

  /// Makes it, or as much of it as it may; returns where it stands. after(burst) is called as each
  /// burst has been launched, and before the next one is.
  template <class After>
  Epoch make(After after) {
    Stopper stopper(pass_.stop, pass_.context);
    bool ends = false;  // once told to end it is not asked again
    for (int next = 0;; next ^= 1) {
      Burst<T>& burst = s_.bursts[next];
      if (burst.under_way) {
        retire(burst);
        if (!ends) stopper.ask(within_ > 0);
      }
      ends |= submitted_ >= pass_.n || stopper.answered(true) || stopper.answered(false);
      if (!ends) {
        fill(burst);
        submit(burst);
        after(burst);
      } else if (!s_.bursts[next ^ 1].under_way) {
        break;
      }
    }
    if (epoch_.rows > pass_.n) epoch_.rows = pass_.n;
    return epoch_;
  }

 private:
  void upload_order() {
    if (int64_t(s_.order.bytes()) < pass_.n * int64_t(sizeof(int64_t)))
      s_.order = Memory(size_t(pass_.n) * sizeof(int64_t), "the order of the rows");
    s_.stream.upload(s_.order.template as<int64_t>(), pass_.order, pass_.n);
    view_.order = s_.order.template as<int64_t>();
  }

  void prepare_staging() {
    most_staged_ = std::min(kMostStaged, free_memory() / 4);
    const Rows<T>& x = held_.host.x;
    if (!x.indptr) return;
    const Positions source{pass_.order, 0};
    entries_before_.push_back(0);
    for (int64_t i = 0; i < pass_.n; ++i)
      entries_before_.push_back(entries_before_.back() + row_entries(x, source(i)));
  }

  /// What the rows at positions [begin, end) take, where X is streamed.
  size_t staged_bytes(int64_t begin, int64_t end) const {
    const Rows<T>& x = held_.host.x;
    if (!x.indptr) return size_t(end - begin) * held_.row_bytes;
    return Entries<T>::bytes(end - begin, entries(begin, end));
  }
  int64_t entries(int64_t begin, int64_t end) const {
    return entries_before_[size_t(end)] - entries_before_[size_t(begin)];
  }

  /// Uploads the rows of X at positions [begin, end) in their order.
  void stage(Burst<T>& burst, int64_t begin, int64_t end) {
    const size_t bytes = staged_bytes(begin, end);
    if (burst.rows.bytes() < bytes) burst.rows = Memory(bytes, "rows to be streamed", true);
    if (s_.rows.bytes() < bytes) {
      s_.stream.wait();  // for the burst that is at work on those that are there
      s_.rows = Memory();
      s_.rows = Memory(bytes, "streamed rows");
    }
    const Rows<T>& x = held_.host.x;
    const Positions source{pass_.order, begin};
    char *const from = burst.rows.template as<char>(), *const to = s_.rows.template as<char>();
    if (x.indptr) {
      const int64_t all = entries(begin, end);
      Arena here(from), there(to);
      pack_entries(x, end - begin, Entries<T>(here, end - begin, all), source);
      Entries<T>(there, end - begin, all).show(&view_);
    } else {
      pack_rows(x.dense, x.stride, held_.row_bytes, end - begin, from, source);
      view_.type = x.type;
      view_.dense = to;
    }
    view_.streamed_from = begin;
    s_.stream.upload(to, from, int64_t(bytes));
  }

  /// Writes the next turns.
  void fill(Burst<T>& burst) {
    const double works = 1 + kBurstWork / s_.chunk_work;
    const int most = plan_.back ? int(std::min<double>(kTurns, works)) : 1;
    Turn<T>* turns = burst.turns;
    burst.n = 0;
    burst.made.clear();
    while (burst.n < most && submitted_ < pass_.n) {
      const int64_t end = std::min(submitted_ + batch_, pass_.n);
      if (within_ == 0)
        total_ = plan_.back ? weight_sum(held_.host, pass_, submitted_, end, false) : 1;
      Made made{submitted_, end, total_, true};
      if (total_ == 0) {  // rows that count for nothing move nothing
        submitted_ += batch_;
        burst.made.push_back(made);
        continue;
      }
      Turn<T> turn{};
      turn.start = submitted_ + within_;
      turn.rows = std::min(s_.chunk_rows, end - turn.start);
      if (held_.streams() && burst.n > 0 &&
          staged_bytes(turns[0].start, turn.start + turn.rows) > most_staged_)
        break;
      turn.first = within_ == 0;
      turn.last = made.last = turn.start + turn.rows == end;
      turn.scale = options_ && options_->summed ? T(1) : T(1 / total_);
      turn.delta_scale = options_ ? T(1) : T(value_scale_);
      if (turn.first) ++clock_.step;
      if (options_) {
        turn.drops = true;
        turn.masks = DropoutRule<T>::step_key(options_->seed, clock_.step);
        write_solver(*options_, clock_, &turn);
      }
      turns[burst.n++] = turn;
      burst.made.push_back(made);
      within_ = made.last ? 0 : within_ + turn.rows;
      if (made.last) submitted_ += batch_;
    }
  }

  /// Uploads what the burst's turns need, and launches them.
  void submit(Burst<T>& burst) {
    const Turn<T>* turns = burst.turns;
    s_.stream.upload(s_.turns, turns, burst.n);
    if (held_.streams() && burst.n > 0)
      stage(burst, turns[0].start, turns[burst.n - 1].start + turns[burst.n - 1].rows);
    if (are_whole(burst, turns)) {
      const GraphKey key{held_.serial,  view_.order,     s_.net.solver,
                         plan_.updates, plan_.clip_norm, plan_.max_norm};
      if (key != s_.recorded && key == s_.seen) {  // kernels were loaded, and products made, before
        s_.recorded = {};
        s_.graph.record(s_.stream, [&] { enqueue(burst, turns); });
        s_.recorded = key;
      }
      s_.seen = key;
      if (key == s_.recorded) {
        s_.graph.launch(s_.stream);
      } else {
        enqueue(burst, turns);
      }
    } else {
      enqueue(burst, turns);
    }
    s_.stream.download(burst.sums, s_.sums, 2 * burst.n);
    burst.done.record(s_.stream);
    burst.under_way = true;
  }

  /// Whether a burst is of steps that a graph can make. A graph keeps the size of products by
  /// cuBLASLt: then a smaller batch is not among them.
  bool are_whole(const Burst<T>& burst, const Turn<T>* turns) const {
    bool whole = burst.n == kTurns && plan_.back && !held_.streams();
    for (int i = 0; i < burst.n; ++i)
      whole = whole && turns[i].first && turns[i].last &&
              (!s_.products || turns[i].rows == s_.chunk_rows);
    return whole;
  }

  void enqueue(const Burst<T>& burst, const Turn<T>* turns) const {
    for (int i = 0; i < burst.n; ++i) enqueue_turn(s_, view_, i, plan_, turns[i]);
    s_.stream.launch(sum_up<T>, burst.n, kWarps * sizeof(double), s_.turns, s_.losses,
                     s_.row_blocks(), s_.penalties, s_.net.units, s_.sums);
  }

  /// Waits for a burst, and adds what its turns have made to the epoch.
  void retire(Burst<T>& burst) {
    burst.done.wait();
    burst.under_way = false;
    const double* sums = burst.sums;
    for (const Made& made : burst.made) {
      if (made.total == 0) {
        epoch_.rows = made.begin + batch_;
        continue;
      }
      data_loss_ += sums[0];
      const double penalty = sums[1], rows = double(made.end - made.begin);
      sums += 2;
      if (!made.last) continue;
      const double share = plan_.back ? rows / made.total : 1;
      epoch_.loss += (data_loss_ * value_scale_ + penalty) * share;
      epoch_.penalty += penalty * share;
      epoch_.counted += made.end - made.begin;
      epoch_.rows = made.begin + batch_;
      ++epoch_.steps;
      data_loss_ = 0;
    }
  }

  Session<T>& s_;
  const Held<T>& held_;
  const Pass& pass_;
  const int64_t batch_;
  const SolverOptions* options_;
  const PassPlan plan_;
  Epoch epoch_;         // of what the device has done
  int64_t submitted_;   // rows of whole batches that it has been given
  int64_t within_ = 0;  // rows of the next batch that it has been given, too
  double total_ = 0;    // of that batch's weights
  SolverClock clock_;
  const double value_scale_;
  double data_loss_ = 0;
  // where X is streamed: bytes for a burst of several turns, and a sparse one's sums up to
  // positions
  size_t most_staged_ = 0;
  std::vector<int64_t> entries_before_;
  View<T> view_;
};

template <class T>
Epoch run(Session<T>* s, const Held<T>& held, const Pass& pass, int64_t batch,
          const SolverOptions* options, const Epoch& begun) {
  const OnDevice device;
  if (pass.part)
    throw std::invalid_argument("device='cuda': training on several ranks is for the CPU only.");
  PassPlan plan{true, options != nullptr};
  if (options) {
    plan.clip_norm = options->clip_norm;
    plan.max_norm = options->max_norm;
  }
  return Run<T>(*s, held, pass, batch, options, plan, begun).make([](const Burst<T>&) {});
}

template <class T>
Epoch train(Session<T>* s, const Held<T>& held, const Pass& pass, int64_t batch,
            const SolverOptions& options, const Epoch& begun) {
  return run(s, held, pass, batch, &options, begun);
}

template <class T>
double gradient(Session<T>* s, const Held<T>& held, const Pass& pass, T* const* blocks) {
  const OnDevice device;
  s->stream.clear(s->net.gradient, s->total);  // what rows that count for nothing have
  const Epoch epoch =
      run(s, held, pass, pass.n, static_cast<const SolverOptions*>(nullptr), Epoch{});
  read_all(*s, s->net.gradient, blocks);
  return epoch.loss / double(pass.n);
}

}  // namespace
}  // namespace fastmlp
