// Products of wide layers by NVIDIA's cuBLASLt, for the precisions of tensor cores: it has kernels
// for each kind of them, which come closer to their rate than this engine's own.
//
// It has not run on a device yet, and is off unless the environment variable FASTMLP_CUBLASLT is
// set: to 1, or to the path of libcublasLt.so. If the library cannot be had then, that is an error,
// and never a return to the engine's own products. It is loaded when it is first needed, so that no
// build needs it: what is used of it is declared here, by the names and numbers of NVIDIA's
// documentation, of cuBLAS and of its bindings in nvmath-python.
//
// Results are the same bits from run to run on one kind of device: an algorithm is chosen once for
// each product of a session, among those that do not split sums between blocks.
#pragma once

#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "../engine.hpp"
#include "device.hpp"

namespace fastmlp {
namespace {

/// The library: functions, by its names without cublasLt, and a handle.
class Cublaslt {
 public:
  static constexpr int kFloat = 0;  // CUDA_R_32F
  // operands are floats and rounded when they are multiplied, sums are floats:
  static constexpr int kTf32 = 77;      // CUBLAS_COMPUTE_32F_FAST_TF32
  static constexpr int kBfloat16 = 75;  // CUBLAS_COMPUTE_32F_FAST_16BF
  // attributes of a product, of int32_t
  static constexpr int kTransposesA = 3;     // CUBLASLT_MATMUL_DESC_TRANSA
  static constexpr int kTransposesB = 4;     // CUBLASLT_MATMUL_DESC_TRANSB
  static constexpr int32_t kTransposed = 1;  // CUBLAS_OP_T
  // attributes of a preference, of uint64_t and then of uint32_t
  static constexpr int kMostWorkspace = 1;     // CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES
  static constexpr int kReductionSchemes = 3;  // CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK
  static constexpr int kAlignmentOfA = 5;      // CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES
  static constexpr int kAlignmentOfB = 6, kAlignmentOfC = 7, kAlignmentOfD = 8;
  static constexpr uint32_t kNoReduction = 0;  // CUBLASLT_REDUCTION_SCHEME_NONE

  struct Algorithm {  // cublasLtMatmulAlgo_t
    uint64_t data[8];
  };
  struct Choice {  // cublasLtMatmulHeuristicResult_t
    Algorithm algorithm;
    size_t workspace;
    int status;
    float waves;
    int reserved[4];
  };
  static_assert(sizeof(Choice) == 96);

  /// The process's one, from where the first that needs it is told that it is.
  static const Cublaslt& loaded(const std::string& asked) {
    static const Cublaslt* library = new Cublaslt(asked);  // kept: the driver may end before it
    return *library;
  }

  /// Throws what a call has failed with: CUBLAS_STATUS_SUCCESS is 0.
  void check(int status) const {
    if (status != 0) throw DeviceError("cuBLASLt", GetStatusString(status));
  }

  void* handle = nullptr;
  const char* (*GetStatusString)(int status);
  int (*Create)(void** handle);
  int (*MatmulDescCreate)(void** product, int compute_type, int scale_type);
  int (*MatmulDescDestroy)(void* product);
  int (*MatmulDescSetAttribute)(void* product, int attribute, const void* value, size_t bytes);
  int (*MatrixLayoutCreate)(void** layout, int type, uint64_t rows, uint64_t columns,
                            int64_t leading_dimension);
  int (*MatrixLayoutDestroy)(void* layout);
  int (*MatmulPreferenceCreate)(void** preference);
  int (*MatmulPreferenceDestroy)(void* preference);
  int (*MatmulPreferenceSetAttribute)(void* preference, int attribute, const void* value,
                                      size_t bytes);
  int (*MatmulAlgoGetHeuristic)(void* handle, void* product, void* a, void* b, void* c, void* d,
                                void* preference, int wanted, Choice* choices, int* found);
  int (*Matmul)(void* handle, void* product, const void* alpha, const void* a, void* layout_a,
                const void* b, void* layout_b, const void* beta, const void* c, void* layout_c,
                void* d, void* layout_d, const Algorithm* algorithm, void* workspace,
                size_t workspace_bytes, cudaStream_t stream);

 private:
  explicit Cublaslt(const std::string& asked) : library_(open(asked)) {
    find(&GetStatusString, "cublasLtGetStatusString");
    find(&Create, "cublasLtCreate");
    find(&MatmulDescCreate, "cublasLtMatmulDescCreate");
    find(&MatmulDescDestroy, "cublasLtMatmulDescDestroy");
    find(&MatmulDescSetAttribute, "cublasLtMatmulDescSetAttribute");
    find(&MatrixLayoutCreate, "cublasLtMatrixLayoutCreate");
    find(&MatrixLayoutDestroy, "cublasLtMatrixLayoutDestroy");
    find(&MatmulPreferenceCreate, "cublasLtMatmulPreferenceCreate");
    find(&MatmulPreferenceDestroy, "cublasLtMatmulPreferenceDestroy");
    find(&MatmulPreferenceSetAttribute, "cublasLtMatmulPreferenceSetAttribute");
    find(&MatmulAlgoGetHeuristic, "cublasLtMatmulAlgoGetHeuristic");
    find(&Matmul, "cublasLtMatmul");
    check(Create(&handle));
  }

  /// Where the loader finds it, or NVIDIA's packages on PyPI put it, beside this one.
  static std::vector<std::string> places(const std::string& asked) {
    if (asked != "1") return {asked};
    std::vector<std::string> all{"libcublasLt.so.13", "libcublasLt.so.12"};
    Dl_info own{};
    static const char here = 0;
    if (dladdr(&here, &own) == 0) return all;
    const std::string module = own.dli_fname;  // .../fastmlp/_native.so
    const std::string packages = module.substr(0, module.rfind('/', module.rfind('/') - 1));
    all.push_back(packages + "/nvidia/cu13/lib/libcublasLt.so.13");
    all.push_back(packages + "/nvidia/cublas/lib/libcublasLt.so.12");
    return all;
  }

  static void* open(const std::string& asked) {
    std::string why;
    for (const std::string& place : places(asked)) {
      if (void* library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
      if (why.empty()) why = dlerror();
    }
    why += "; install it (`pip install nvidia-cublas`), set the variable to its path, or unset it";
    throw DeviceError("FASTMLP_CUBLASLT asks for cuBLASLt, which cannot be loaded", why.c_str());
  }

  template <class Function>
  void find(Function* function, const char* name) {
    *function = reinterpret_cast<Function>(dlsym(library_, name));
    if (!*function) throw DeviceError("cuBLASLt lacks a function", name);
  }

  void* library_;
};

/// The library that the environment asks for; or null.
const Cublaslt* cublaslt() {
  const char* asked = std::getenv("FASTMLP_CUBLASLT");
  if (!asked || !*asked || asked == std::string("0")) return nullptr;
  return &Cublaslt::loaded(asked);
}

/// A matrix laid out row by row, and multiplied as it is or transposed.
struct Operand {
  const void* data;
  int64_t rows, columns;
  bool transposed;
};

/// A session's products by the library, which counts matrices by columns: its a and b are the right
/// and the left operand here, whose transposes it sees.
class Products {
 public:
  Products(const Cublaslt& library, Precision precision, size_t workspace)
      : library_(library),
        type_(precision == Precision::tf32 ? Cublaslt::kTf32 : Cublaslt::kBfloat16),
        workspace_(workspace, "products by cuBLASLt") {}

  /// Enqueues the product of two matrices to `out`, or with `adds` to be added to what is there.
  /// What a size needs is made at its first use, and cannot be while a graph is recorded.
  void multiply(const Stream& stream, const Operand& left, const Operand& right, void* out,
                bool adds) {
    const Key key{left.data, right.data, left.rows, left.columns};
    auto known = known_.find(key);
    if (known == known_.end()) known = known_.emplace(key, choose(left, right, out)).first;
    const Product& p = known->second;
    const float one = 1, beta = adds ? 1 : 0;
    library_.check(library_.Matmul(library_.handle, p.product.get(), &one, right.data,
                                   p.right.get(), left.data, p.left.get(), &beta, out, p.out.get(),
                                   out, p.out.get(), &p.algorithm, workspace_.as<void>(),
                                   workspace_.bytes(), stream));
  }

 private:
  using Object = std::unique_ptr<void, int (*)(void*)>;  // of the library's
  using Key = std::tuple<const void*, const void*, int64_t, int64_t>;

  struct Product {
    Object product, left, right, out;
    Cublaslt::Algorithm algorithm;
  };

  Object layout(int64_t rows, int64_t columns) const {
    void* made = nullptr;
    library_.check(library_.MatrixLayoutCreate(&made, Cublaslt::kFloat, uint64_t(columns),
                                               uint64_t(rows), columns));
    return {made, library_.MatrixLayoutDestroy};
  }

  Object product(const Operand& left, const Operand& right) const {
    void* made = nullptr;
    library_.check(library_.MatmulDescCreate(&made, type_, Cublaslt::kFloat));
    Object product{made, library_.MatmulDescDestroy};
    const auto transpose = [&](int attribute) {
      const int32_t yes = Cublaslt::kTransposed;
      library_.check(library_.MatmulDescSetAttribute(made, attribute, &yes, sizeof yes));
    };
    if (right.transposed) transpose(Cublaslt::kTransposesA);
    if (left.transposed) transpose(Cublaslt::kTransposesB);
    return product;
  }

  /// Of addresses, up to what the library takes for granted if it is not told.
  static uint32_t alignment(const void* data) {
    uint32_t bytes = 256;
    while (reinterpret_cast<uintptr_t>(data) % bytes != 0) bytes /= 2;
    return bytes;
  }

  Object preference(const void* left, const void* right, const void* out) const {
    void* made = nullptr;
    library_.check(library_.MatmulPreferenceCreate(&made));
    Object preference{made, library_.MatmulPreferenceDestroy};
    const auto prefer = [&](int attribute, auto value) {
      library_.check(library_.MatmulPreferenceSetAttribute(made, attribute, &value, sizeof value));
    };
    prefer(Cublaslt::kMostWorkspace, uint64_t(workspace_.bytes()));
    prefer(Cublaslt::kReductionSchemes, Cublaslt::kNoReduction);
    prefer(Cublaslt::kAlignmentOfA, alignment(right));
    prefer(Cublaslt::kAlignmentOfB, alignment(left));
    prefer(Cublaslt::kAlignmentOfC, alignment(out));
    prefer(Cublaslt::kAlignmentOfD, alignment(out));
    return preference;
  }

  Product choose(const Operand& left, const Operand& right, const void* out) const {
    Product p{product(left, right),
              layout(left.rows, left.columns),
              layout(right.rows, right.columns),
              layout(left.transposed ? left.columns : left.rows,
                     right.transposed ? right.rows : right.columns),
              {}};
    const Object preferred = preference(left.data, right.data, out);
    Cublaslt::Choice choice{};
    int found = 0;
    library_.check(library_.MatmulAlgoGetHeuristic(library_.handle, p.product.get(), p.right.get(),
                                                   p.left.get(), p.out.get(), p.out.get(),
                                                   preferred.get(), 1, &choice, &found));
    if (found == 0) throw DeviceError("cuBLASLt", "it has no algorithm for a product");
    library_.check(choice.status);
    p.algorithm = choice.algorithm;
    return p;
  }

  const Cublaslt& library_;
  const int type_;
  const Memory workspace_;
  std::map<Key, Product> known_;
};

}  // namespace
}  // namespace fastmlp
