// Small kernels for tests/test_ptx.py, each about something that the interpreter has to know.
#include <cuda_bf16.h>

#include <cstdint>

__constant__ float kTable[4] = {1, 2, 4, 8};
__device__ int counted;

extern "C" __global__ void sums(const float* x, float* total, int n) {
  extern __shared__ float parts[];
  float sum = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[blockIdx.x * n + i];
  for (int with = 16; with > 0; with /= 2) sum += __shfl_xor_sync(~0u, sum, with);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x) return;
  for (unsigned w = 1; w < blockDim.x / 32; ++w) sum += parts[w];
  total[blockIdx.x] = sum;
}

extern "C" __global__ void shuffles(int* out) {
  const int t = threadIdx.x;
  out[t] = __shfl_up_sync(~0u, t, 3);
  out[64 + t] = __shfl_down_sync(~0u, t, 3, 8);
  out[128 + t] = __shfl_sync(~0u, t, 5, 16);
  out[192 + t] = __ballot_sync(~0u, t % 3 == 0);
  out[256 + t] = __any_sync(~0u, t == 40);
  out[320 + t] = __all_sync(~0u, t < 32);
}

extern "C" __global__ void fused(const float* x, const double* y, float* out, double* out_double) {
  const int i = threadIdx.x, n = blockDim.x;
  out[i] = fmaf(x[i], x[n + i], x[2 * n + i]);
  out_double[i] = fma(y[i], y[n + i], y[2 * n + i]);
}

extern "C" __global__ void integers(const int* a, const int* b, int64_t* out) {
  const int i = threadIdx.x, n = blockDim.x;
  const unsigned x = a[i], y = b[i];
  int64_t* at = out + i;
  const auto put = [&](int64_t value) { *at = value, at += n; };
  put(a[i] / b[i]), put(a[i] % b[i]), put(x / y), put(x % y);
  put(a[i] >> (b[i] & 31)), put(x >> (y & 31)), put(x << (y & 31));
  put(__mulhi(a[i], b[i])), put(__umulhi(x, y)), put(int64_t(a[i]) * b[i]);
  put(__popc(x)), put(__clz(a[i])), put(__brev(x)), put(__byte_perm(x, y, 0x5140));
  put(__funnelshift_l(x, y, a[i])), put(min(a[i], b[i])), put(max(x, y)), put(abs(a[i]));
  put((x >> 3) & 0x7f), put((a[i] << 12) >> 20), put((x & y) ^ (x | ~y)), put(int8_t(a[i]));
  put(uint16_t(b[i])), put(a[i] < b[i] ? x : -y), put(int64_t(a[i]) / (int64_t(b[i]) << 9));
}

extern "C" __global__ void assembly(const unsigned* x, const unsigned* y, const unsigned* z,
                                    const float* f, unsigned* out) {
  const int i = threadIdx.x, n = blockDim.x;
  const unsigned a = x[i], b = y[i], c = z[i], start = b % 40, length = c % 40;
  unsigned to[10];
  asm("bfe.u32 %0, %1, %2, %3;" : "=r"(to[0]) : "r"(a), "r"(start), "r"(length));
  asm("bfe.s32 %0, %1, %2, %3;" : "=r"(to[1]) : "r"(a), "r"(start), "r"(length));
  asm("bfi.b32 %0, %1, %2, %3, %4;" : "=r"(to[2]) : "r"(a), "r"(b), "r"(start), "r"(length));
  asm("lop3.b32 %0, %1, %2, %3, 0x28;" : "=r"(to[3]) : "r"(a), "r"(b), "r"(c));
  asm("slct.b32.f32 %0, %1, %2, %3;" : "=r"(to[4]) : "r"(a), "r"(b), "f"(f[i]));
  asm("set.lt.u32.f32 %0, %1, 0f3F800000;" : "=r"(to[5]) : "f"(f[i]));
  asm("{ .reg .pred p, q; setp.gt.u32 p, %1, %2; setp.ltu.and.f32 q|p, %3, 0f00000000, p;\n"
      "  selp.u32 %0, 1, 0, q; }"
      : "=r"(to[6])
      : "r"(a), "r"(b), "f"(f[i]));
  asm("mad.lo.u32 %0, %1, %2, %3;" : "=r"(to[7]) : "r"(b), "r"(c), "r"(a));
  asm("shf.r.wrap.b32 %0, %1, %2, %3;" : "=r"(to[8]) : "r"(a), "r"(b), "r"(c));
  asm("ex2.approx.f32 %0, 0f3F000000;" : "=r"(to[9]));
  for (int k = 0; k < 10; ++k) out[k * n + i] = to[k];
}

extern "C" __global__ void conversions(const float* x, const double* y, double* out) {
  const int i = threadIdx.x, n = blockDim.x;
  double* at = out + i;
  const auto put = [&](double value) { *at = value, at += n; };
  put(int(x[i])), put(unsigned(x[i])), put(__float2int_rn(x[i])), put(__float2int_rd(x[i]));
  put(__float2int_ru(x[i])), put(float(y[i])), put(int(y[i])), put(double(int64_t(y[i])));
  put(rintf(x[i])), put(floor(y[i])), put(float(int(x[i]))), put(fminf(x[i], 1));
  put(fmax(y[i], -1.0)), put(__bfloat162float(__float2bfloat16(x[i]))), put(x[i] == x[i]);
  put(x[i] != x[i] ? 1 : 2), put(!(x[i] < 1)), put(float(uint64_t(i) << 40)), put(fabs(y[i]));
}

/// D = A B + C of one warp: A (16, 8) and B (8, 8) row by row.
extern "C" __global__ void mma_tf32(const float* a, const float* b, const float* c, float* d) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  const auto tf32 = [](float x) {
    unsigned y;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
    return y;
  };
  const unsigned a0 = tf32(a[g * 8 + t]), a1 = tf32(a[(g + 8) * 8 + t]);
  const unsigned a2 = tf32(a[g * 8 + t + 4]), a3 = tf32(a[(g + 8) * 8 + t + 4]);
  const unsigned b0 = tf32(b[t * 8 + g]), b1 = tf32(b[(t + 4) * 8 + g]);
  const float* from = c + g * 8 + 2 * t;
  float* to = d + g * 8 + 2 * t;
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7},\n"
      "  {%8, %9}, {%10, %11, %12, %13};"
      : "=f"(to[0]), "=f"(to[1]), "=f"(to[64]), "=f"(to[65])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1), "f"(from[0]), "f"(from[1]),
        "f"(from[64]), "f"(from[65]));
}

/// The same of A (16, 16) and B (16, 8) in bfloat16.
extern "C" __global__ void mma_bf16(const float* a, const float* b, const float* c, float* d) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  const auto pair = [](float low, float high) {
    const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
    unsigned bits;
    memcpy(&bits, &both, 4);
    return bits;
  };
  const auto of_a = [&](int row, int k) { return pair(a[row * 16 + k], a[row * 16 + k + 1]); };
  const auto of_b = [&](int k) { return pair(b[k * 8 + g], b[(k + 1) * 8 + g]); };
  const unsigned a0 = of_a(g, 2 * t), a1 = of_a(g + 8, 2 * t);
  const unsigned a2 = of_a(g, 2 * t + 8), a3 = of_a(g + 8, 2 * t + 8);
  const unsigned b0 = of_b(2 * t), b1 = of_b(2 * t + 8);
  const float* from = c + g * 8 + 2 * t;
  float* to = d + g * 8 + 2 * t;
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7},\n"
      "  {%8, %9}, {%10, %11, %12, %13};"
      : "=f"(to[0]), "=f"(to[1]), "=f"(to[64]), "=f"(to[65])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1), "f"(from[0]), "f"(from[1]),
        "f"(from[64]), "f"(from[65]));
}

__device__ __noinline__ float steps_to_one(int n, float* last) {
  int steps = 0;
  for (; n != 1; ++steps) n = n % 2 ? 3 * n + 1 : n / 2;
  *last = kTable[steps % 4];
  return float(steps);
}

extern "C" __global__ void calls(float* out) {
  const int t = threadIdx.x;
  float last = 0;
  out[t] = t % 2 ? steps_to_one(t + 1, &last) : -1;
  out[blockDim.x + t] = last;
  if (t == 0) counted = blockDim.x;
}

extern "C" __global__ void indexed(const int* which, float4* x, int n) {
  float own[16];  // of local memory
  for (int i = 0; i < 16; ++i) own[i] = float(i * i);
  const int t = threadIdx.x;
  const float4 of = x[t];
  x[t] = {own[which[t] & 15], of.x, of.y + of.z, of.w};
}

// What a kernel may not do.
extern "C" __global__ void outside(float* x) { x[threadIdx.x + 1] = 1; }
extern "C" __global__ void misaligned(char* x) { *reinterpret_cast<int*>(x + 2) = 1; }
extern "C" __global__ void unwritten(float* x) {
  extern __shared__ float parts[];
  x[threadIdx.x] = parts[threadIdx.x];
}
extern "C" __global__ void beyond_shared(float* x) {
  extern __shared__ float parts[];
  parts[threadIdx.x + 1] = x[threadIdx.x];
}
extern "C" __global__ void apart() {
  if (threadIdx.x < 40) __syncthreads();
}
extern "C" __global__ void elsewhere(int* x) {
  if (threadIdx.x < 32) {
    __syncthreads();
    x[threadIdx.x] = 1;
  } else {
    x[threadIdx.x] = 2;
    __syncthreads();
  }
}
extern "C" __global__ void lone_shuffle(int* x) {
  if (threadIdx.x < 7) x[threadIdx.x] = __shfl_xor_sync(~0u, x[threadIdx.x], 1);
}
extern "C" __global__ void trapped(const int* x) {
  if (x[threadIdx.x]) __trap();
}
extern "C" __global__ void atomic(int* x) { atomicAdd(x, 1); }
