// Data on the device, or to be streamed there.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "network.hpp"

namespace fastmlp {

template <class T>
struct Held {
  Data<T> host;
  int64_t rows;
  size_t row_bytes;  // of a dense X
  Memory x, others;  // of X on the device, unless it is streamed; of targets and weights
  View<T> view{};
  int64_t serial;  // tells one from another

  bool streams() const { return view.streamed_from >= 0; }
};

namespace {

int64_t bytes_of(ElementType type) {
  constexpr int64_t bytes[] = {2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8};
  return bytes[int(type)];
}

/// Copies rows of a dense X one after another; row(i) of them as row i.
template <class Row>
void pack_rows(const char* from, int64_t stride, size_t row_bytes, int64_t n, char* to, Row row) {
  for (int64_t i = 0; i < n; ++i)
    std::copy_n(from + row(i) * stride, row_bytes, to + size_t(i) * row_bytes);
}

/// Uploads a dense X that is not already without gaps some rows at a time.
template <class T>
void upload_dense(Held<T>& held, const Stream& stream) {
  const Rows<T>& x = held.host.x;
  char* to = held.x.template as<char>();
  if (x.stride == int64_t(held.row_bytes)) {
    stream.upload(to, x.dense, held.rows * int64_t(held.row_bytes));
    return;
  }
  constexpr size_t kPacked = size_t(16) << 20;
  const int64_t some = std::max<int64_t>(1, int64_t(kPacked / held.row_bytes));
  std::vector<char> packed(size_t(std::min(some, held.rows)) * held.row_bytes);
  for (int64_t first = 0; first < held.rows; first += some) {
    const int64_t n = std::min(some, held.rows - first);
    pack_rows(x.dense, x.stride, held.row_bytes, n, packed.data(),
              [&](int64_t i) { return first + i; });
    stream.upload(to + size_t(first) * held.row_bytes, packed.data(), n * int64_t(held.row_bytes));
    stream.wait();
  }
}

/// A sparse X in one block of memory.
template <class T>
struct Entries {
  T* values;
  int32_t* columns;
  int64_t* starts;

  Entries(Arena& arena, int64_t rows, int64_t entries)
      : values(arena.take<T>(entries)),
        columns(arena.take<int32_t>(entries)),
        starts(arena.take<int64_t>(rows + 1)) {}

  static size_t bytes(int64_t rows, int64_t entries) {
    Arena measure(nullptr);
    Entries(measure, rows, entries);
    return measure.used();
  }
  void show(View<T>* view) const {
    view->values = values;
    view->columns = columns;
    view->indptr = starts;
  }
};

template <class T>
int64_t row_entries(const Rows<T>& x, int64_t row) {
  return x.indptr[row + 1] - x.indptr[row];
}

/// Copies rows of a sparse X, row(i) of them as row i, the columns of each in rising order: the
/// weights phase looks for them.
template <class T, class Row>
void pack_entries(const Rows<T>& x, int64_t n, const Entries<T>& to, Row row) {
  std::vector<std::pair<int32_t, T>> sorted;
  to.starts[0] = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t from = x.indptr[row(i)], count = row_entries(x, row(i)), begin = to.starts[i];
    to.starts[i + 1] = begin + count;
    const int32_t* columns = x.columns + from;
    if (std::is_sorted(columns, columns + count)) {
      std::copy_n(columns, count, to.columns + begin);
      std::copy_n(x.values + from, count, to.values + begin);
      continue;
    }
    sorted.clear();
    for (int64_t e = 0; e < count; ++e) sorted.emplace_back(columns[e], x.values[from + e]);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (int64_t e = 0; e < count; ++e)
      std::tie(to.columns[begin + e], to.values[begin + e]) = sorted[size_t(e)];
  }
}

template <class T>
void upload_sparse(Held<T>& held, const Stream& stream) {
  const Rows<T>& x = held.host.x;
  const int64_t entries = x.indptr[held.rows] - x.indptr[0];
  std::vector<char> packed(Entries<T>::bytes(held.rows, entries));
  Arena here(packed.data()), there(held.x.template as<void>());
  pack_entries(x, held.rows, Entries<T>(here, held.rows, entries), [](int64_t i) { return i; });
  Entries<T>(there, held.rows, entries).show(&held.view);
  stream.upload(held.x.template as<char>(), packed.data(), int64_t(packed.size()));
  stream.wait();
}

/// Targets and sample weights, which are always on the device.
template <class T>
void upload_others(Held<T>& held, int64_t outputs, const Stream& stream) {
  const Data<T>& data = held.host;
  T *targets = nullptr, *weights = nullptr;
  int32_t* classes = nullptr;
  held.others = in_one_piece("targets", false, [&](Arena& pieces) {
    if (data.targets) targets = pieces.take<T>(held.rows * outputs);
    if (data.classes) classes = pieces.take<int32_t>(held.rows);
    if (data.weights) weights = pieces.take<T>(held.rows);
  });
  if (targets) stream.upload(targets, data.targets, held.rows * outputs);
  if (classes) stream.upload(classes, data.classes, held.rows);
  if (weights) stream.upload(weights, data.weights, held.rows);
  held.view.targets = targets;
  held.view.classes = classes;
  held.view.weights = weights;
}

/// Memory for X, unless that is more than 80 % of what there is: networks need some, too.
bool take_room(size_t bytes, Memory* memory) {
  if (double(bytes) > 0.8 * double(free_memory())) return false;
  try {
    *memory = Memory(bytes, "X");
  } catch (const OutOfMemory&) {  // another process has taken it meanwhile
    return false;
  }
  return true;
}

/// The memory that X takes on the device.
template <class T>
size_t bytes_of_x(const Held<T>& held) {
  const Rows<T>& x = held.host.x;
  if (!x.indptr) return held.row_bytes * size_t(held.rows);
  return Entries<T>::bytes(held.rows, x.indptr[held.rows] - x.indptr[0]);
}

template <class T>
Held<T>* hold(const Data<T>& data, int64_t rows, int64_t features, int64_t outputs) {
  const OnDevice device;
  if (data.steps > 1 || data.lengths)
    throw std::invalid_argument("device='cuda': sequences are for the CPU only.");
  static std::atomic<int64_t> holds{0};
  auto held = std::make_unique<Held<T>>();
  held->host = data;
  held->rows = rows;
  held->row_bytes = size_t(features * bytes_of(data.x.type));
  held->serial = ++holds;
  const Stream stream;
  upload_others(*held, outputs, stream);
  // Without room X is streamed: the rows of a burst are put together while the one before is worked
  // on.
  const size_t bytes = bytes_of_x(*held);
  if (!take_room(bytes, &held->x)) {
    held->view.streamed_from = 0;
    stream.wait();  // other streams read the targets
    return held.release();
  }
  held->view.streamed_from = -1;
  if (data.x.indptr) {
    upload_sparse(*held, stream);
  } else {
    held->view.type = data.x.type;
    held->view.dense = held->x.template as<char>();
    upload_dense(*held, stream);
  }
  stream.wait();
  return held.release();
}

template <class T>
void release(Held<T>* held) {
  forget(held);
}

}  // namespace
}  // namespace fastmlp
