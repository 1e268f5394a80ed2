// Where a dense X is zero. Real X often is: images, counts, one-hot columns. The tiles of the first
// layer's products then leave out the indices at which all of a tile is zero, and its sums are the
// same.
#pragma once

#include "gemm.hpp"

namespace fastmlp {
namespace {

/// Which of a (rows, columns) matrix in panels is not zero, for tiles of rows and of columns. Marks
/// may be too many, never too few. Bits are looked at: -0 and NaN are not zero.
template <class T>
struct Zeros {
  static constexpr int64_t kRows = 8;  // marked together: a byte has a bit for each
  static constexpr int64_t kTile = kTileRows<T>, kStrip = kLanes<T> < 8 ? 8 : kLanes<T>;

  int64_t count = 0, width = 0;   // columns, and these in whole strips
  uint8_t* by_columns = nullptr;  // (tiles of rows, width / 8)
  uint8_t* by_rows = nullptr;     // (rows / kRows, tiles of columns)

  explicit operator bool() const { return by_rows; }

  /// The columns in which the tile of rows at `row` is not all zero.
  Marks columns(int64_t row) const { return {by_columns + row / kTile * width / 8, 1}; }

  /// Which of `rows` rows are not all zero in the tile of columns at `column`; all, where the first
  /// say that leaving out would not pay.
  Marks rows(int64_t column, int64_t rows) const {
    const Marks marks{by_rows + column / kTile, width / kTile};
    return marks.exceed(0.875, rows < 64 ? rows : 64) ? Marks() : marks;
  }

  /// Looks for the zeros of rows [begin, end), from a multiple of kRows on. False where the first
  /// rows have too few to pay: then rows() has all of these, and columns() says nothing.
  bool find(const Panels<T>& x, int64_t begin, int64_t end) const {
    bool many = double(set_in(x, begin)) < 0.65 * double(count);
    for (int64_t row = begin; many && row < end; row += kRows) {
      mark(x, row, row + kRows < end ? kRows : end - row);
      if (row == begin) many = !columns(row).exceed(0.65, count);
    }
    if (!many)
      __builtin_memset(by_rows + begin / kRows * width / kTile, 255,
                       size_t(ceil_div(end - begin, kRows) * width / kTile));
    return many;
  }

  /// How many columns of one row are not zero.
  int64_t set_in(const Panels<T>& x, int64_t row) const {
    Bits<Vec<T>> set{};
    for (int64_t p = 0; p < panel_count<T>(count); ++p) set -= as_bits(load(x.at(p, row))) != 0;
    int64_t total = 0;
    for (int64_t lane = 0; lane < kLanes<T>; ++lane) total += set[lane];
    return total;
  }

  /// Marks kRows rows from `row` on, or the `rows` that there are.
  void mark(const Panels<T>& x, int64_t row, int64_t rows) const {
    typedef uint8_t Bytes __attribute__((vector_size(kLanes<T>)));
    for (int64_t first = 0; first < width; first += kStrip) {
      alignas(64) uint8_t seen[kStrip] = {};  // per column: bit r is of row + r
      for (int64_t i = 0; i < kStrip && first + i < count; i += kLanes<T>) {
        Bits<Vec<T>> bits{};
        for (int64_t r = 0; r < rows; ++r)
          bits |= (as_bits(load(x.at((first + i) / kLanes<T>, row + r))) != 0) & (1 << r);
        const Bytes bytes = __builtin_convertvector(bits, Bytes);
        __builtin_memcpy(seen + i, &bytes, sizeof bytes);
      }
      for (int64_t i = 0; i < kStrip; i += kTile) {
        uint8_t any = 0;
        for (int64_t lane = 0; lane < kTile; ++lane) any |= seen[i + lane];
        by_rows[(row / kRows * width + first + i) / kTile] = any;
      }
      for (int64_t i = 0; i < kStrip; i += 8)
        for (int64_t r = 0; r < kRows; r += kTile)
          by_columns[((row + r) / kTile * width + first + i) / 8] = across(seen + i, r);
    }
  }

  /// Eight bytes as bits: whether each has one of kTile bits from bit r on.
  static uint8_t across(const uint8_t* seen, int64_t r) {
    constexpr uint64_t kOnes = 0x0101010101010101u;
    uint64_t bytes = 0;
    for (int i = 0; i < 8; ++i) bytes |= uint64_t(seen[i]) << 8 * i;
    bytes = bytes >> r & kOnes * ((1 << kTile) - 1);
    bytes |= bytes >> 4;  // what comes in from the next byte does not get down to bit 0
    bytes |= bytes >> 2;
    bytes |= bytes >> 1;
    return uint8_t((bytes & kOnes) * 0x0102040810204080u >> 56);  // bit i is bit 0 of byte i
  }
};

}  // namespace
}  // namespace fastmlp
