// Prediction: forward only, straight from the user's arrays.
#pragma once

#include "rows.hpp"

namespace fastmlp {
namespace {

constexpr int64_t kPredictRows = 64;  // predicted together: their activations stay in cache
constexpr int64_t kPackRows = 32;     // from so many rows on, packing the weights pays

template <class T>
struct Prediction {
  const Recipe& recipe;
  const T* const* blocks;
  const Rows<T>& x;
  const Pass& pass;
  T* out;
  Panels<T>* packed;  // per layer: the vectors not read from the blocks, and the bias below them;
                      // of a narrow layer its weights (outputs, in)
  char* scratch;      // per thread
  size_t scratch_bytes;

  int64_t in(int l) const { return recipe.units[l]; }
  int64_t out_of(int l) const { return recipe.units[l + 1]; }
  bool narrow(int l) const { return is_narrow<T>(in(l), out_of(l)) && !(l == 0 && x.indptr); }
  /// Vectors of layer l that are read straight from the user's matrix.
  int64_t direct(int l) const { return pass.n < kPackRows ? out_of(l) / kLanes<T> : 0; }
  int64_t rest(int l) const { return panel_count<T>(out_of(l)) - direct(l); }
};

template <class T>
struct PredictScratch {
  Panels<T> even, odd;  // what layers 0, 2, ... read and what layers 1, 3, ... read
};

template <class T>
PredictScratch<T> place_predict_scratch(Arena& arena, const Prediction<T>& p) {
  int64_t widest[2] = {1, 1};
  for (int l = 0; l <= p.recipe.n_layers; ++l)
    if (!(l == 0 && p.x.indptr) && p.recipe.units[l] > widest[l % 2])
      widest[l % 2] = p.recipe.units[l];
  const int64_t rows = p.pass.n < kPredictRows ? p.pass.n : kPredictRows;
  PredictScratch<T> scratch;
  scratch.even = arena.panels<T>(rows, widest[0]);
  scratch.odd = arena.panels<T>(rows, widest[1]);
  return scratch;
}

template <class T>
void pack_weights(Arena& arena, Prediction<T>& p, bool real) {
  p.packed = arena.take<Panels<T>>(p.recipe.n_layers);
  for (int l = 0; l < p.recipe.n_layers; ++l) {
    const int64_t first = p.direct(l) * kLanes<T>, width = p.out_of(l) - first;
    const Panels<T> to =
        p.narrow(l) ? arena.panels<T>(p.out_of(l), p.in(l)) : arena.panels<T>(p.in(l) + 1, width);
    if (!real) continue;
    p.packed[l] = to;
    if (p.narrow(l)) {
      each_element(to, p.out_of(l), p.in(l), [&](T& place, int64_t j, int64_t i) {
        place = p.blocks[2 * l][i * p.out_of(l) + j];
      });
      continue;
    }
    for (int64_t row = 0; row <= p.in(l); ++row)
      set_row(to, row,
              (row < p.in(l) ? p.blocks[2 * l] + row * p.out_of(l) : p.blocks[2 * l + 1]) + first,
              width);
  }
}

template <class T>
void predict_rows(void* context, int thread, int n_threads) {
  const Prediction<T>& p = *static_cast<Prediction<T>*>(context);
  Arena arena(p.scratch + size_t(thread) * p.scratch_bytes);
  const PredictScratch<T> scratch = place_predict_scratch(arena, p);
  const Epilogue<T> activation = find_activate<T>(p.recipe.activation, Activations{});
  const int last = p.recipe.n_layers - 1;
  const int64_t outputs = p.out_of(last);
  const Share mine(p.pass.n, kPredictRows, thread, n_threads);
  for (int64_t start = mine.begin; start < mine.end; start += kPredictRows) {
    const int64_t rows = start + kPredictRows < mine.end ? kPredictRows : mine.end - start;
    const auto source = [&](int64_t r) {
      return p.pass.order ? p.pass.order[start + r] : start + r;
    };
    if (!p.x.indptr) gather(p.x, p.in(0), scratch.even, 0, rows, source);
    for (int l = 0; l <= last; ++l) {
      const Panels<T> from = l % 2 ? scratch.odd : scratch.even;
      const Panels<T> to = l % 2 ? scratch.even : scratch.odd;
      const Epilogue<T> epilogue = l < last ? activation : nullptr;
      if (p.narrow(l)) {
        multiply_narrow(from, p.in(l), p.packed[l], p.blocks[2 * l + 1], p.out_of(l), to, 0, rows,
                        epilogue);
        continue;
      }
      const int64_t direct = p.direct(l);
      const Affine<T> affine[2] = {
          {{p.blocks[2 * l], p.out_of(l), kLanes<T>}, p.blocks[2 * l + 1], kLanes<T>, direct},
          {{p.packed[l].data, kLanes<T>, p.packed[l].stride},
           p.packed[l].at(0, p.in(l)),
           p.packed[l].stride,
           p.rest(l)}};
      for (int part = 0; part < 2; ++part) {
        if (affine[part].vectors == 0) continue;
        const Panels<T> place{to.at(part * direct, 0), to.stride};
        if (l > 0 || !p.x.indptr) {
          multiply(from, p.in(l), affine[part], place, 0, rows, epilogue);
        } else {
          for (int64_t r = 0; r < rows; ++r) {
            const int64_t e = p.x.indptr[source(r)];
            multiply_sparse(p.x.values + e, p.x.columns + e, p.x.indptr[source(r) + 1] - e,
                            affine[part], place.at(0, r), place.stride, epilogue);
          }
        }
      }
    }
    const Panels<T> z = last % 2 ? scratch.even : scratch.odd;
    find_link<T>(p.recipe.loss, Losses{})(z, outputs, rows);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t j = 0; j < outputs; ++j)
        p.out[(start + r) * outputs + j] = z.at(j / kLanes<T>, r)[j % kLanes<T>];
  }
}

template <class T>
void predict(const Recipe& recipe, const T* const* blocks, const Rows<T>& x, const Pass& pass,
             T* out) {
  double work = 0;
  for (int l = 0; l < recipe.n_layers; ++l)
    work += double(recipe.units[l] + 1) * double(recipe.units[l + 1]) * double(pass.n);
  int n_threads = usable_threads(pass.n_threads);
  while (n_threads > 1 && (work < kWorkPerThread * n_threads || pass.n < kPredictRows * n_threads))
    --n_threads;

  Prediction<T> p{recipe, blocks, x, pass, out, nullptr, nullptr, 0};
  Arena per_thread(nullptr), measure(nullptr);
  place_predict_scratch(per_thread, p);
  pack_weights(measure, p, false);
  p.scratch_bytes = per_thread.used();
  char* block =
      static_cast<char*>(allocate(measure.used() + per_thread.used() * size_t(n_threads)));
  Arena arena(block);
  pack_weights(arena, p, true);
  p.scratch = block + arena.used();
  run_team(n_threads, predict_rows<T>, &p);
  release(block);
}

}  // namespace
}  // namespace fastmlp
