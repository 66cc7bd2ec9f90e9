// Rounds > chains, the chains unrolled into registers. What is multiplied is the same each time, which the compiler must not see: it would
// multiply once. Nor must it see what becomes of a sum: GCC 12 would keep it in memory too.
#include "kernels/multiply_add_int8/multiply_add_int8.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#endif

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

#if defined(__AVX512VNNI__)
using Lanes = __m512i;
constexpr int products = 4;
Lanes spread(int byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
Lanes counted(int number) { return _mm512_set1_epi32(number); }
[[gnu::always_inline]] inline Lanes plus(Lanes sum, Lanes a, Lanes b) { return _mm512_dpbusd_epi32(sum, a, b); }
#define SHUFFLEKIT_REGISTER "v"
#elif defined(__AVXVNNI__)
using Lanes = __m256i;
constexpr int products = 4;
Lanes spread(int byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
Lanes counted(int number) { return _mm256_set1_epi32(number); }
[[gnu::always_inline]] inline Lanes plus(Lanes sum, Lanes a, Lanes b) { return _mm256_dpbusd_avx_epi32(sum, a, b); }
#define SHUFFLEKIT_REGISTER "x"
#elif defined(__AVX2__)
using Lanes = __m256i;
constexpr int products = 2;  // of weights with 8 bits, as words
Lanes spread(int byte) { return _mm256_set1_epi16(static_cast<short>(byte)); }
Lanes counted(int number) { return _mm256_set1_epi32(number); }
[[gnu::always_inline]] inline Lanes plus(Lanes sum, Lanes a, Lanes b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
#define SHUFFLEKIT_REGISTER "x"
#elif defined(__ARM_FEATURE_DOTPROD)
using Lanes = int32x4_t;
Lanes spread(int byte) { return vreinterpretq_s32_s8(vdupq_n_s8(static_cast<int8_t>(byte))); }
Lanes counted(int number) { return vdupq_n_s32(number); }
#if defined(__ARM_FEATURE_MATMUL_INT8)
constexpr int products = 8;
[[gnu::always_inline]] inline Lanes plus(Lanes sum, Lanes a, Lanes b) { return vusmmlaq_s32(sum, vreinterpretq_u8_s32(a), vreinterpretq_s8_s32(b)); }
#else
constexpr int products = 4;
[[gnu::always_inline]] inline Lanes plus(Lanes sum, Lanes a, Lanes b) { return vdotq_s32(sum, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b)); }
#endif
#define SHUFFLEKIT_REGISTER "w"
#elif SHUFFLEKIT_VECTOR_BYTES > 4
using Lanes = int32_t __attribute__((vector_size(SHUFFLEKIT_VECTOR_BYTES)));
constexpr int products = 1;
Lanes spread(int byte) { return Lanes{} + byte; }
Lanes counted(int number) { return Lanes{} + number; }
[[gnu::always_inline]] inline Lanes plus(Lanes sum, Lanes a, Lanes b) { return sum + a * b; }
#define SHUFFLEKIT_REGISTER "w"
#else
using Lanes = int32_t;
constexpr int products = 1;
Lanes spread(int byte) { return byte; }
Lanes counted(int number) { return number; }
[[gnu::always_inline]] inline Lanes plus(Lanes sum, Lanes a, Lanes b) { return sum + a * b; }
#define SHUFFLEKIT_REGISTER "r"
#endif

}  // namespace

extern const int multiply_add_int8_lanes = sizeof(Lanes) / sizeof(int32_t), multiply_add_int8_products = products;

int64_t multiply_add_int8(int64_t rounds, int a, int b) {
    Lanes x[multiply_add_int8_chains], first = spread(a);
    const Lanes second = spread(b);
#pragma GCC unroll 12
    for (int chain = 0; chain < multiply_add_int8_chains; ++chain) x[chain] = counted(chain);
    for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 12
        for (int chain = 0; chain < multiply_add_int8_chains; ++chain) {
            Lanes sum = plus(x[chain], first, second);
            asm volatile("" : "+" SHUFFLEKIT_REGISTER(first), "+" SHUFFLEKIT_REGISTER(sum));
            x[chain] = sum;
        }
    Lanes sums[multiply_add_int8_chains];  // or Clang 22 keeps the first of x in memory, for this last loop
#pragma GCC unroll 12
    for (int chain = 0; chain < multiply_add_int8_chains; ++chain) sums[chain] = x[chain];
    int64_t sum = 0;
    for (int chain = 0; chain < multiply_add_int8_chains; ++chain) {
        int32_t lanes[sizeof(Lanes) / sizeof(int32_t)];
        __builtin_memcpy(lanes, &sums[chain], sizeof(lanes));
        for (const int32_t lane : lanes) sum += lane;
    }
    return sum;
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
