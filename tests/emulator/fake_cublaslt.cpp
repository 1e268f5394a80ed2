// A stand-in for NVIDIA's cuBLASLt on the emulated device, as far as the engine uses it: a library
// of its own, with the C interface as it is documented, and not as the engine declares it.
//
// It is strict where the real one is: an algorithm is good for the sizes, operations, alignments
// and workspace that it was chosen for, and sums that may be split between blocks are made in
// another order each time.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <set>

namespace {

enum Status {
  success = 0,
  not_initialized = 1,
  invalid_value = 7,
  execution_failed = 13,
  not_supported = 15
};  // cublasStatus_t
enum Compute { fast_16bf = 75, fast_tf32 = 77 };  // cublasComputeType_t

struct Layout {
  uint64_t rows, columns;
  int64_t leading;
};
struct Product {
  int compute;
  int32_t transposes_a = 0, transposes_b = 0;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t reductions = 7, alignment[4] = {256, 256, 256, 256};  // of a, b, c, d
};
struct Algorithm {  // cublasLtMatmulAlgo_t, 64 bytes
  uint32_t m, n, k, compute, transposes, reductions, alignment[4];
  uint64_t workspace, mark, unused;
};
static_assert(sizeof(Algorithm) == 64);
struct Heuristic {  // cublasLtMatmulHeuristicResult_t
  Algorithm algorithm;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

constexpr uint64_t kMark = 0x636f6e7369737421;
using Enqueue = int (*)(void* stream, void (*)(const void*), const void*, size_t);
Enqueue enqueue = nullptr;
uint64_t products = 0, choices = 0, additions = 0;
int alive = 0;      // descriptors
int fails = 0;      // the call of cublasLtMatmul that does, 1: the next
bool finds = true;  // algorithms
std::set<const void*> known;

/// What a call does when the stream comes to it.
struct Call {
  const float *a, *b, *c;
  float *d, *workspace;
  uint32_t m, n, k, compute, transposes;
  int64_t leading_a, leading_b, leading_c, leading_d;
  float alpha, beta;
  uint32_t first;  // of what is summed over, in whose turn the others follow
};

/// The nearest with a last bit of 2^bits, ties to even.
float rounded(float x, int bits) {
  if (!std::isfinite(x)) return x;
  uint32_t word;
  std::memcpy(&word, &x, sizeof word);
  word += (1u << (bits - 1)) - 1 + (word >> bits & 1);
  word &= ~((1u << bits) - 1);
  std::memcpy(&x, &word, sizeof word);
  return x;
}

void multiply(const void* argument) {
  const Call& call = *static_cast<const Call*>(argument);
  const int bits = call.compute == fast_tf32 ? 13 : 16;
  const bool ta = call.transposes & 1, tb = call.transposes & 2;
  if (call.workspace) std::memset(call.workspace, 0xff, 16);
  for (uint32_t j = 0; j < call.n; ++j)
    for (uint32_t i = 0; i < call.m; ++i) {
      float sum = 0;
      for (uint32_t step = 0; step < call.k; ++step) {
        const uint32_t l = (step + call.first) % call.k;
        const float a = call.a[ta ? l + i * call.leading_a : i + l * call.leading_a];
        const float b = call.b[tb ? j + l * call.leading_b : l + j * call.leading_b];
        sum += rounded(a, bits) * rounded(b, bits);
      }
      const float before = call.beta == 0 ? 0 : call.beta * call.c[i + j * call.leading_c];
      call.d[i + j * call.leading_d] = call.alpha * sum + before;
    }
}

template <class T>
int create(void** made, T value) {
  *made = new T(value);
  known.insert(*made);
  ++alive;
  return success;
}

template <class T>
int destroy(void* made) {
  if (known.erase(made) == 0) return invalid_value;
  delete static_cast<T*>(made);
  --alive;
  return success;
}

template <class Field>
int set(Field* field, const void* value, size_t bytes) {
  if (bytes != sizeof(Field)) return invalid_value;
  std::memcpy(field, value, bytes);
  return success;
}

/// The sizes of a product, or false where its matrices do not fit.
bool measure(const Product& p, const Layout& a, const Layout& b, const Layout& d, uint32_t* m,
             uint32_t* n, uint32_t* k) {
  *m = uint32_t(p.transposes_a ? a.columns : a.rows);
  *k = uint32_t(p.transposes_a ? a.rows : a.columns);
  *n = uint32_t(p.transposes_b ? b.rows : b.columns);
  for (const Layout* each : {&a, &b, &d})
    if (each->leading < int64_t(each->rows)) return false;
  return *k == (p.transposes_b ? b.columns : b.rows) && *m == d.rows && *n == d.columns;
}

bool is_aligned(const void* data, uint32_t bytes) {
  return reinterpret_cast<uintptr_t>(data) % bytes == 0;
}

}  // namespace

#define API extern "C" __attribute__((visibility("default")))

// ---- for tests ----

API void fake_cublaslt_use(Enqueue function) { enqueue = function; }
API uint64_t fake_cublaslt_products() { return products; }
API uint64_t fake_cublaslt_additions() { return additions; }
API uint64_t fake_cublaslt_choices() { return choices; }
API int fake_cublaslt_alive() { return alive; }
API void fake_cublaslt_fail(int nth) { fails = nth; }
API void fake_cublaslt_find(bool any) { finds = any; }

// ---- the library ----

API int cublasLtCreate(void** handle) {
  if (!enqueue) return not_initialized;
  *handle = &products;
  return success;
}

API const char* cublasLtGetStatusString(int status) {
  switch (status) {
    case success:
      return "success";
    case not_initialized:
      return "the library was not initialized";
    case invalid_value:
      return "an unsupported value or parameter was passed to the function";
    case execution_failed:
      return "the GPU program failed to execute";
    case not_supported:
      return "the functionality requested is not supported";
  }
  return "<unknown>";
}

API int cublasLtMatmulDescCreate(void** product, int compute, int scale_type) {
  if ((compute != fast_tf32 && compute != fast_16bf) || scale_type != 0) return invalid_value;
  return create(product, Product{compute});
}
API int cublasLtMatmulDescDestroy(void* product) { return destroy<Product>(product); }
API int cublasLtMatmulDescSetAttribute(void* product, int attribute, const void* value,
                                       size_t bytes) {
  auto& p = *static_cast<Product*>(product);
  if (attribute == 3) return set(&p.transposes_a, value, bytes);  // CUBLASLT_MATMUL_DESC_TRANSA
  if (attribute == 4) return set(&p.transposes_b, value, bytes);  // CUBLASLT_MATMUL_DESC_TRANSB
  return invalid_value;
}

API int cublasLtMatrixLayoutCreate(void** layout, int type, uint64_t rows, uint64_t columns,
                                   int64_t leading) {
  return type == 0 ? create(layout, Layout{rows, columns, leading}) : int(invalid_value);
}
API int cublasLtMatrixLayoutDestroy(void* layout) { return destroy<Layout>(layout); }

API int cublasLtMatmulPreferenceCreate(void** preference) {
  return create(preference, Preference{});
}
API int cublasLtMatmulPreferenceDestroy(void* preference) {
  return destroy<Preference>(preference);
}
API int cublasLtMatmulPreferenceSetAttribute(void* preference, int attribute, const void* value,
                                             size_t bytes) {
  auto& p = *static_cast<Preference*>(preference);
  if (attribute == 1) return set(&p.workspace, value, bytes);   // ..._PREF_MAX_WORKSPACE_BYTES
  if (attribute == 3) return set(&p.reductions, value, bytes);  // ..._REDUCTION_SCHEME_MASK
  if (attribute >= 5 && attribute <= 8)                         // ..._MIN_ALIGNMENT_A_BYTES, ...
    return set(&p.alignment[attribute - 5], value, bytes);
  return invalid_value;
}

API int cublasLtMatmulAlgoGetHeuristic(void* handle, void* product, void* a, void* b, void* c,
                                       void* d, void* preference, int wanted, Heuristic* results,
                                       int* found) {
  *found = 0;
  if (handle != &products || wanted < 1 || c != d) return invalid_value;
  if (!finds) return not_supported;
  const auto& p = *static_cast<const Product*>(product);
  const auto& preferred = *static_cast<const Preference*>(preference);
  Heuristic result{};
  Algorithm& made = result.algorithm;
  if (!measure(p, *static_cast<Layout*>(a), *static_cast<Layout*>(b), *static_cast<Layout*>(d),
               &made.m, &made.n, &made.k))
    return invalid_value;
  made.compute = uint32_t(p.compute);
  made.transposes = uint32_t(p.transposes_a | p.transposes_b << 1);
  made.reductions = preferred.reductions;
  std::memcpy(made.alignment, preferred.alignment, sizeof made.alignment);
  made.workspace = result.workspace = preferred.workspace >= 16 ? 16 : 0;
  made.mark = kMark;
  *results = result;
  *found = 1;
  ++choices;
  return success;
}

API int cublasLtMatmul(void* handle, void* product, const void* alpha, const void* a,
                       void* layout_a, const void* b, void* layout_b, const void* beta,
                       const void* c, void* layout_c, void* d, void* layout_d,
                       const Algorithm* algorithm, void* workspace, size_t workspace_bytes,
                       void* stream) {
  if (handle != &products || !algorithm || algorithm->mark != kMark) return invalid_value;
  if (fails > 0 && --fails == 0) return execution_failed;
  const auto& p = *static_cast<const Product*>(product);
  const auto &la = *static_cast<Layout*>(layout_a), &lb = *static_cast<Layout*>(layout_b),
             &lc = *static_cast<Layout*>(layout_c), &ld = *static_cast<Layout*>(layout_d);
  Call call{};
  if (!measure(p, la, lb, ld, &call.m, &call.n, &call.k)) return invalid_value;
  call.transposes = uint32_t(p.transposes_a | p.transposes_b << 1);
  call.compute = uint32_t(p.compute);
  const void* data[] = {a, b, c, d};
  for (int i = 0; i < 4; ++i)
    if (!is_aligned(data[i], algorithm->alignment[i])) return invalid_value;
  if (algorithm->m != call.m || algorithm->n != call.n || algorithm->k != call.k ||
      algorithm->compute != call.compute || algorithm->transposes != call.transposes ||
      workspace_bytes < algorithm->workspace || !is_aligned(workspace, 256))
    return invalid_value;
  call.a = static_cast<const float*>(a);
  call.b = static_cast<const float*>(b);
  call.c = static_cast<const float*>(c);
  call.d = static_cast<float*>(d);
  call.workspace = algorithm->workspace ? static_cast<float*>(workspace) : nullptr;
  call.leading_a = la.leading;
  call.leading_b = lb.leading;
  call.leading_c = lc.leading;
  call.leading_d = ld.leading;
  call.alpha = *static_cast<const float*>(alpha);
  call.beta = *static_cast<const float*>(beta);
  call.first = algorithm->reductions ? uint32_t(products) : 0;
  ++products;
  additions += call.beta != 0;
  return enqueue(stream, multiply, &call, sizeof call) == 0 ? success : execution_failed;
}
