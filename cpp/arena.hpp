// Memory handed out piece by piece from one block.
#pragma once

#include <cstddef>
#include <cstdint>

#include "formulas/value.hpp"

namespace fastmlp {
namespace {

FASTMLP_HD constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Hands out pieces of a block, each aligned for any vector; without a block it only measures.
class Arena {
 public:
  explicit Arena(void* block) : block_(static_cast<char*>(block)) {}

  template <class U>
  U* take(int64_t count) {
    char* piece = block_ ? block_ + used_ : nullptr;
    const int64_t bytes = count * int64_t(sizeof(U));
    used_ += size_t(ceil_div(bytes, kAlign) * kAlign);
#ifdef FASTMLP_GUARD  // pieces stand apart, for AddressSanitizer to see what runs out of one
    used_ += kAlign;
    if (piece) FASTMLP_GUARD(piece + bytes, size_t(block_ + used_ - (piece + bytes)));
#endif
    return reinterpret_cast<U*>(piece);
  }

  size_t used() const { return used_; }

 private:
  static constexpr int64_t kAlign = 64;
  char* block_;
  size_t used_ = 0;
};

}  // namespace
}  // namespace fastmlp
