// What nvcc compiles to nothing, without a word, with --expt-relaxed-constexpr: `as_bits` cannot be
// a constant expression, so it is a host function, and the call of it is dropped.
template <class V>
constexpr int as_bits(V x) {
  int bits;
  __builtin_memcpy(&bits, &x, sizeof x);
  return bits;
}
template <class V>
constexpr int outer(V x) {
  return as_bits(x) + 1;
}
extern "C" __global__ void dropped(int* out, float x) { *out = outer(x); }
