// Passes over the data: the epoch's steps, by a team of threads or by its leader alone.
#pragma once

#include "sequences.hpp"
#include "weights.hpp"

namespace fastmlp {
namespace {

/// What the threads of one pass share. With options the pass makes a step per batch; without, it
/// leaves the gradient over its one batch in the layers' `gradient`.
template <class T>
struct Job {
  Session<T>& s;
  const Data<T>& data;
  Pass pass;
  int64_t batch;
  const SolverOptions* options;
  double value_scale;
  int64_t entries;  // sparse rows: the most in a batch
  char* scratch;    // and `scratch_bytes` for each thread's Columns
  size_t scratch_bytes;
  int most_threads;
  Epoch epoch;    // where it stood when the team began
  Epoch reached;  // and when it had ended
  // in cache lines of their own: all threads read the one in the rows phase, while those that are
  // done already write the other
  alignas(64) Stopper stopper;
  alignas(64) Barrier barrier{};
  bool zeros = false;  // are to be left out of the gradient, says the leader
  bool leave = false;  // all threads are to return after the step at hand, says the leader
  bool ends = false;   // the pass, too
  // of a step that other processes have a part in: what their sums are, unless that failed
  bool failed = false;
  double loss = 0, weight = 0;
};

/// This process's part of a pass's positions [start, end), as positions of its order.
struct Span {
  int64_t begin, end;

  Span(const Pass& pass, int64_t start, int64_t end)
      : begin(first_at(pass, start)), end(first_at(pass, end)) {}

 private:
  static int64_t first_at(const Pass& pass, int64_t position) {
    if (!pass.part) return position;
    int64_t low = 0, high = pass.part->rows;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (pass.part->places[middle] < position) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
};

/// Places a thread's Columns for up to `entries` entries; returns the bytes they take.
template <class T>
size_t place_columns(char* block, int64_t features, int64_t entries, Columns<T>* columns) {
  PanelArena arena(block);
  columns->starts = arena.take<int64_t>(features + 1);
  columns->rows = arena.take<int32_t>(entries);
  columns->values = arena.take<T>(entries);
  return arena.used();
}

/// The most entries in a batch of the pass.
template <class T>
int64_t most_entries(const Job<T>& job) {
  const Rows<T>& x = job.data.x;
  int64_t most = 0;
  for (int64_t start = 0; start < job.pass.n; start += job.batch) {
    const int64_t end = start + job.batch < job.pass.n ? start + job.batch : job.pass.n;
    int64_t entries = 0;
    const Span own(job.pass, start, end);
    for (int64_t i = own.begin; i < own.end; ++i) {
      const int64_t row = job.pass.order ? job.pass.order[i] : i;
      entries += x.indptr[row + 1] - x.indptr[row];
    }
    most = entries > most ? entries : most;
  }
  return most;
}

/// A thread's share of the rows phase. `scratch` as in run_rows.
template <class T>
void run_rows_phase(Job<T>& job, const Chunk<T>& chunk, int thread, int n_threads, T* scratch) {
  Session<T>& s = job.s;
  const bool leads = thread == 0;
  if (s.cell != Cell::dense) {
    const Share mine(chunk.rows, kTileRows<T>, thread, n_threads);
    Sequences<T>{s, chunk, mine.begin, mine.end, job.stopper, leads}.run();
    return;
  }
  const Share mine(chunk.rows, Zeros<T>::kRows, thread, n_threads);
  for (int64_t r = mine.begin; r < mine.end && !job.stopper.answered(true); r += s.piece_rows) {
    const bool more = r + s.piece_rows < mine.end;
    const bool zeros = run_rows(s, chunk, r, more ? r + s.piece_rows : mine.end, scratch);
    if (leads) job.zeros = zeros;
    if (leads && more) job.stopper.ask(true);
  }
}

/// Makes of a step's kept gradient, of `loss` and `weight` the sums over all processes.
template <class T>
void reduce(Job<T>& job, double loss, double weight) {
  Session<T>& s = job.s;
  T* beside = s.beside_gradient;
  beside[0] = T(loss);
  beside[1] = T(weight);
  const Part& part = *job.pass.part;
  const double began = seconds();
  const Part::Answer answer = job.stopper.in_callers_mode(
      [&] { return part.reduce(part.context, s.gradient, beside + kBesideGradient - s.gradient); });
  s.watch.waited(seconds() - began);
  job.failed = answer == Part::Answer::failed;
  job.ends = job.leave = answer != Part::Answer::goes_on;
  job.loss = double(beside[0]);
  job.weight = double(beside[1]);
}

/// Batches from job.epoch on, to the end of the pass or until the leader, thread 0, says otherwise.
template <class T>
void run_pass(void* context, int thread, int n_threads) {
  Job<T>& job = *static_cast<Job<T>*>(context);
  Session<T>& s = job.s;
  const bool leads = thread == 0, watches = leads && job.most_threads > 1;
  const int64_t n = job.pass.n;
  const Part* part = job.pass.part;
  Columns<T> columns{};
  if (job.scratch)
    place_columns(job.scratch + size_t(thread) * job.scratch_bytes, s.layers[0].in, job.entries,
                  &columns);
  const int64_t first = first_unit(s, thread, n_threads);
  const int64_t beyond = first_unit(s, thread + 1, n_threads);
  Epoch epoch = job.epoch;  // of the sums only the leader's
  Watch& watch = s.watch;
  const SolverOptions options = job.options ? *job.options : SolverOptions{};
  SolverClock clock{options.steps + epoch.steps};
  const bool clips = job.options && options.clip_norm < infinity<double>();
  const bool limits = job.options && options.max_norm < infinity<double>();
  if (watches) watch.begins();
  for (bool leave = false; epoch.rows < n && !leave; epoch.rows += job.batch) {
    const int64_t start = epoch.rows, end = start + job.batch < n ? start + job.batch : n;
    const Span own(job.pass, start, end);
    double total = weight_sum(job.data, job.pass, own.begin, own.end, s.per_step);
    if (total == 0 && !part) continue;  // rows that count for nothing move nothing
    ++clock.step;
    bool given_up = false;
    double data_loss = 0;
    // With a part the gradient of all chunks is kept, of no rows too, and reduced; a last chunk,
    // without rows, makes the step of it.
    const int64_t filled = ceil_div(own.end - own.begin, s.chunk_rows);
    const int64_t chunks = !part ? filled : filled > 0 ? filled + 1 : 2;
    for (int64_t c = 0; c < chunks; ++c) {
      const int64_t row =
          own.begin + c * s.chunk_rows < own.end ? own.begin + c * s.chunk_rows : own.end;
      const int64_t rows = row + s.chunk_rows < own.end ? s.chunk_rows : own.end - row;
      const bool last = c == chunks - 1;
      if (part && last) {
        if (leads) reduce(job, data_loss, total);
        job.barrier.wait(n_threads);
        given_up = job.failed;
        data_loss = job.loss;
        total = job.weight;
        if (given_up || total == 0) break;
      }
      const Chunk<T> chunk{job.data,
                           job.pass.order,
                           row,
                           rows,
                           c == 0,
                           last,
                           options.summed ? T(1) : T(1 / total),
                           job.options ? T(1) : T(job.value_scale),
                           job.options ? clock.step : 0,
                           options.seed,
                           most_steps(job.data, job.pass, row, row + rows),
                           part ? part->places : nullptr};
      run_rows_phase(job, chunk, thread, n_threads, columns.values);
      if (leads && !last) job.stopper.ask(true);
      job.barrier.wait(n_threads);
      given_up = job.stopper.answered(true);
      if (given_up) break;
      if (leads)
        for (int64_t r = 0; r < (s.per_step ? rows * chunk.steps : rows); ++r)
          data_loss += s.row_loss[r];
      WeightsPhase<T> phase{s, chunk, first, beyond, columns, job.zeros && rows > 0, T(1)};
      const Step<T> step = find_step<T>(options.solver, Solvers<T>{});
      if (!job.options || !last || clips) {
        phase.run(KeepGradient<T>{});
      } else {
        step(phase, options, clock, false);
      }
      if (clips && last) {
        job.barrier.wait(n_threads);
        double squares = 0;
        for (int64_t u = 0; u < s.units; ++u) squares += s.sums[u].squared_gradient;
        const double norm = __builtin_sqrt(squares);
        if (!(norm <= options.clip_norm))  // NaN where the norm is not finite: seen
          phase.gradient_factor = T(options.clip_norm / norm + (norm - norm));
        step(phase, options, clock, true);
      }
      if (limits && last) {
        job.barrier.wait(n_threads);
        limit_norms(s, T(options.max_norm), thread, n_threads);
      }
      if (leads && last) {
        if (!part) {
          job.stopper.ask(false);
          job.leave = job.ends = job.stopper.answered(false);
        }
        if (watches) job.leave |= watch.step_ends(!watch.team_rests(), own.end - own.begin);
      }
      job.barrier.wait(n_threads);
    }
    if (given_up) break;
    leave = job.leave;
    if (total == 0) {
      --clock.step;
      continue;
    }
    ++epoch.steps;
    epoch.counted += end - start;
    if (leads) {
      double penalty = 0;
      for (int64_t u = 0; u < s.units; ++u) penalty += s.sums[u].penalty;
      const double share = double(end - start) / total;
      epoch.loss += (data_loss * job.value_scale + penalty) * share;
      epoch.penalty += penalty * share;
    }
  }
  if (leads) job.reached = epoch;
}

/// Multiply-adds of a step over `rows` rows, and about as much for each weight's update as a
/// score of them.
template <class T>
double step_work(const Layer<T>* layers, int n_layers, int64_t rows) {
  double work = 0;
  for (int l = 0; l < n_layers; ++l)
    work += double(layers[l].in + 1) * double(layers[l].out * layers[l].pieces) *
            double(3 * rows * layers[l].steps + 20);
  return work;
}

template <class T>
Epoch run_job(Session<T>* s, const Data<T>& data, const Pass& pass, int64_t batch,
              const SolverOptions* options, const Epoch& begun) {
  const int64_t rows = s->chunk_rows < batch ? s->chunk_rows : batch;
  const double most = step_work(s->layers, s->all_layers, rows) / kWorkPerThread;
  int n_threads = usable_threads(pass.n_threads);
  if (n_threads > most) n_threads = most < 1 ? 1 : int(most);
  const double scale = value_scale(s->loss, last_layer(*s).out);
  Job<T> job{*s,
             data,
             pass,
             batch,
             options,
             scale,
             0,
             nullptr,
             0,
             n_threads,
             begun,
             begun,
             Stopper(pass.stop, pass.context)};
  if (data.x.indptr) {
    Columns<T> measure;
    job.entries = most_entries(job);
    job.scratch_bytes = place_columns<T>(nullptr, s->layers[0].in, job.entries, &measure);
    job.scratch = static_cast<char*>(
        allocate(job.scratch_bytes * size_t(n_threads), "the columns of a sparse batch"));
  }
  while (job.epoch.rows < pass.n && !job.stopper.answered(true) && !job.ends) {
    job.leave = false;
    run_team(s->watch.team_rests() ? 1 : n_threads, run_pass<T>, &job);
    job.epoch = job.reached;
  }
  release(job.scratch);
  if (job.epoch.rows > pass.n) job.epoch.rows = pass.n;
  return job.epoch;
}

template <class T>
Epoch train(Session<T>* s, const Held<T>& held, const Pass& pass, int64_t batch,
            const SolverOptions& options, const Epoch& begun) {
  return run_job(s, held.data, pass, batch, &options, begun);
}

template <class T>
double gradient(Session<T>* s, const Held<T>& held, const Pass& pass, T* const* blocks) {
  const Epoch epoch =
      run_job(s, held.data, pass, pass.n, static_cast<SolverOptions*>(nullptr), Epoch{});
  read_all(s, [](const Trained<T>& trained) { return trained.gradient; }, blocks);
  return epoch.loss / double(pass.n);
}

}  // namespace
}  // namespace fastmlp
