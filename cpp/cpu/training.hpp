// Passes over the data: the epoch's steps, by a team of threads or by its leader alone.
#pragma once

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
  Barrier barrier{};
  int64_t next = 0;    // position of the next batch
  int64_t steps = 0;   // made so far
  double loss = 0;     // summed so far
  bool leave = false;  // all threads are to return after the step at hand, says the leader
};

/// The sum of the weights of positions [start, end) of the pass.
template <class T>
double weight_sum(const Job<T>& job, int64_t start, int64_t end) {
  if (!job.data.weights) return double(end - start);
  double sum = 0;
  for (int64_t i = start; i < end; ++i)
    sum += double(job.data.weights[job.pass.order ? job.pass.order[i] : i]);
  return sum;
}

/// Places a thread's Columns for up to `entries` entries; returns the bytes they take.
template <class T>
size_t place_columns(char* block, int64_t features, int64_t entries, Columns<T>* columns) {
  Arena arena(block);
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
    for (int64_t i = start; i < end; ++i) {
      const int64_t row = job.pass.order ? job.pass.order[i] : i;
      entries += x.indptr[row + 1] - x.indptr[row];
    }
    most = entries > most ? entries : most;
  }
  return most;
}

/// Batches from job.next on, to the end of the pass or until the leader, thread 0, says otherwise.
template <class T>
void run_pass(void* context, int thread, int n_threads) {
  Job<T>& job = *static_cast<Job<T>*>(context);
  Session<T>& s = job.s;
  const bool leads = thread == 0, watches = leads && job.most_threads > 1;
  const int64_t n = job.pass.n;
  Columns<T> columns{};
  if (job.scratch)
    place_columns(job.scratch + size_t(thread) * job.scratch_bytes, s.layers[0].in, job.entries,
                  &columns);
  const int64_t first = first_unit(s, thread, n_threads);
  const int64_t beyond = first_unit(s, thread + 1, n_threads);
  int64_t start = job.next, steps = job.steps;
  Watch& watch = s.watch;
  for (bool leave = false; start < n && !leave; start += job.batch) {
    const int64_t end = start + job.batch < n ? start + job.batch : n;
    const double total = weight_sum(job, start, end);
    if (total == 0) continue;  // rows that count for nothing move nothing
    ++steps;
    double data_loss = 0;
    if (watches) watch.step_begins();
    for (int64_t row = start; row < end; row += s.chunk_rows) {
      const int64_t rows = row + s.chunk_rows < end ? s.chunk_rows : end - row;
      const bool last = row + rows == end;
      const Chunk<T> chunk{
          job.data,     job.pass.order, row,          rows,
          row == start, last,           T(1 / total), job.options ? T(1) : T(job.value_scale)};
      const Share mine(rows, kTileRows<T>, thread, n_threads);
      run_rows(s, chunk, mine.begin, mine.end);
      job.barrier.wait(n_threads);
      if (leads)
        for (int64_t r = 0; r < rows; ++r) data_loss += s.row_loss[r];
      const WeightsPhase<T> phase{s, chunk, first, beyond, columns};
      if (job.options && last) {
        find_solver<T>(job.options->solver, Solvers<T>{})(phase, *job.options,
                                                          job.options->steps + steps);
      } else {
        phase.run(KeepGradient<T>{});
      }
      if (watches && last) job.leave = watch.step_ends(!watch.team_rests(), end - start);
      job.barrier.wait(n_threads);
    }
    leave = job.leave;
    if (leads) {
      double squares = 0;
      for (int64_t u = 0; u < s.units; ++u) squares += s.penalty[u];
      job.loss +=
          (data_loss * job.value_scale + 0.5 * s.alpha * squares) / total * double(end - start);
    }
  }
  if (leads) {
    job.next = start;
    job.steps = steps;
  }
}

/// Multiply-adds of a step over `rows` rows, and about as much for each weight's update as a
/// score of them.
template <class T>
double step_work(const Layer<T>* layers, int n_layers, int64_t rows) {
  double work = 0;
  for (int l = 0; l < n_layers; ++l)
    work += double(layers[l].in + 1) * double(layers[l].out) * double(3 * rows + 20);
  return work;
}

template <class T>
EpochResult run_job(Session<T>* s, const Data<T>& data, const Pass& pass, int64_t batch,
                    const SolverOptions* options) {
  const int64_t rows = s->chunk_rows < batch ? s->chunk_rows : batch;
  const double most = step_work(s->layers, s->n_layers, rows) / kWorkPerThread;
  int n_threads = usable_threads(pass.n_threads);
  if (n_threads > most) n_threads = most < 1 ? 1 : int(most);
  const bool mean = mean_over_outputs(s->loss, Losses{});
  const double value_scale = mean ? 1.0 / double(last_layer(*s).out) : 1.0;
  Job<T> job{*s, data, pass, batch, options, value_scale, 0, nullptr, 0, n_threads};
  if (data.x.indptr) {
    Columns<T> measure;
    job.entries = most_entries(job);
    job.scratch_bytes = place_columns<T>(nullptr, s->layers[0].in, job.entries, &measure);
    job.scratch = static_cast<char*>(allocate(job.scratch_bytes * size_t(n_threads)));
  }
  while (job.next < pass.n) {
    job.leave = false;
    run_team(s->watch.team_rests() ? 1 : n_threads, run_pass<T>, &job);
  }
  release(job.scratch);
  return {job.loss / double(pass.n), job.steps};
}

template <class T>
EpochResult train(Session<T>* s, const Data<T>& data, const Pass& pass, int64_t batch,
                  const SolverOptions& options) {
  return run_job(s, data, pass, batch, &options);
}

template <class T>
double gradient(Session<T>* s, const Data<T>& data, const Pass& pass, T* const* blocks) {
  const EpochResult result = run_job(s, data, pass, pass.n, static_cast<SolverOptions*>(nullptr));
  read_all(s, [](const Trained<T>& trained) { return trained.gradient; }, blocks);
  return result.loss;
}

}  // namespace
}  // namespace fastmlp
