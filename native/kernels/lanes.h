// Lanes of two vectors in other orders, and numbers for lanes.
#pragma once

#include "kernels/isa.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace shufflekit::SHUFFLEKIT_ISA {

#if SHUFFLEKIT_VECTOR_BYTES == 4
using mask = int32_t;
inline vector even_lanes(vector a, vector) { return a; }
inline vector odd_lanes(vector, vector b) { return b; }
inline vector shift_lanes(vector a, vector) { return a; }
inline vector unshift_lanes(vector, vector b) { return b; }
inline vector low_pairs(vector a, vector) { return a; }
inline vector high_pairs(vector, vector b) { return b; }
inline mask every_lane(int32_t first, int32_t) { return first; }
#else
using mask = decltype(vector{} < vector{});
#if SHUFFLEKIT_VECTOR_BYTES == 64
#define SHUFFLEKIT_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define SHUFFLEKIT_ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define SHUFFLEKIT_SHIFT 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
#define SHUFFLEKIT_UNSHIFT 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
#define SHUFFLEKIT_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define SHUFFLEKIT_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define SHUFFLEKIT_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#elif SHUFFLEKIT_VECTOR_BYTES == 32
#define SHUFFLEKIT_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define SHUFFLEKIT_ODD 1, 3, 5, 7, 9, 11, 13, 15
#define SHUFFLEKIT_SHIFT 7, 8, 9, 10, 11, 12, 13, 14
#define SHUFFLEKIT_UNSHIFT 1, 2, 3, 4, 5, 6, 7, 8
#define SHUFFLEKIT_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define SHUFFLEKIT_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#define SHUFFLEKIT_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7
#else
#define SHUFFLEKIT_EVEN 0, 2, 4, 6
#define SHUFFLEKIT_ODD 1, 3, 5, 7
#define SHUFFLEKIT_SHIFT 3, 4, 5, 6
#define SHUFFLEKIT_UNSHIFT 1, 2, 3, 4
#define SHUFFLEKIT_LOW 0, 4, 1, 5
#define SHUFFLEKIT_HIGH 2, 6, 3, 7
#define SHUFFLEKIT_NUMBERS 0, 1, 2, 3
#endif
[[gnu::always_inline]] inline vector even_lanes(vector a, vector b) { return __builtin_shufflevector(a, b, SHUFFLEKIT_EVEN); }
[[gnu::always_inline]] inline vector odd_lanes(vector a, vector b) { return __builtin_shufflevector(a, b, SHUFFLEKIT_ODD); }
// The last lane of a, then all but the last of b.
[[gnu::always_inline]] inline vector shift_lanes(vector a, vector b) { return __builtin_shufflevector(a, b, SHUFFLEKIT_SHIFT); }
// All but the first of a, then the first of b.
[[gnu::always_inline]] inline vector unshift_lanes(vector a, vector b) { return __builtin_shufflevector(a, b, SHUFFLEKIT_UNSHIFT); }
// The lower halves of a and b, and their upper halves, lane by lane in turn: what even_lanes and odd_lanes take apart.
[[gnu::always_inline]] inline vector low_pairs(vector a, vector b) { return __builtin_shufflevector(a, b, SHUFFLEKIT_LOW); }
[[gnu::always_inline]] inline vector high_pairs(vector a, vector b) { return __builtin_shufflevector(a, b, SHUFFLEKIT_HIGH); }
#undef SHUFFLEKIT_LOW
#undef SHUFFLEKIT_HIGH
#undef SHUFFLEKIT_EVEN
#undef SHUFFLEKIT_SHIFT
#undef SHUFFLEKIT_UNSHIFT
#undef SHUFFLEKIT_ODD

inline mask every_lane(int32_t first, int32_t step) { return mask{SHUFFLEKIT_NUMBERS} * step + first; }
#undef SHUFFLEKIT_NUMBERS
#endif

// W vectors as rows of W, one behind another: log2(W) times, each half's neighbours take turns. L of L lanes become their lanes.
template <int W>
[[gnu::always_inline]] inline void transpose(vector (&x)[W]) {
    constexpr int half = W / 2;
#pragma GCC unroll 4
    for (int turns = 1; turns < W; turns *= 2) {
        vector y[W];
#pragma GCC unroll 8
        for (int i = 0; i < half; ++i) y[2 * i] = low_pairs(x[i], x[i + half]), y[2 * i + 1] = high_pairs(x[i], x[i + half]);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) x[i] = y[i];
    }
}

// Lanes [first, last) of vectors in memory: no others are touched, and what is loaded is zero there.
class SomeLanes {
  public:
#if SHUFFLEKIT_VECTOR_BYTES == 64
    [[gnu::always_inline]] SomeLanes(int64_t first, int64_t last) : lanes_(static_cast<__mmask16>(below(last) & ~below(first))) {}
    [[gnu::always_inline]] vector load(const float* p) const { return (vector)_mm512_maskz_loadu_ps(lanes_, p); }
    [[gnu::always_inline]] void store(float* p, vector x) const { _mm512_mask_storeu_ps(p, lanes_, (__m512)x); }

  private:
    [[gnu::always_inline]] static unsigned below(int64_t n) { return n <= 0 ? 0u : n >= 16 ? 0xffffu : (1u << n) - 1; }
    const __mmask16 lanes_;
#else
    SomeLanes(int64_t first, int64_t last)
        : first_(first > 0 ? first : 0), last_(last < vector_lanes ? last : vector_lanes), all_(first <= 0 && last >= vector_lanes) {}
    vector load(const float* p) const {
        if (all_) return SHUFFLEKIT_ISA::load(p);
        float lanes[vector_lanes] = {};
        for (int64_t i = first_; i < last_; ++i) lanes[i] = p[i];
        return SHUFFLEKIT_ISA::load(lanes);
    }
    void store(float* p, vector x) const {
        if (all_) return SHUFFLEKIT_ISA::store(p, x);
        float lanes[vector_lanes];
        SHUFFLEKIT_ISA::store(lanes, x);
        for (int64_t i = first_; i < last_; ++i) p[i] = lanes[i];
    }

  private:
    const int64_t first_, last_;
    const bool all_;
#endif
};

[[gnu::always_inline]] inline vector load_lanes(const float* p, int64_t first, int64_t last) { return SomeLanes(first, last).load(p); }
[[gnu::always_inline]] inline void store_lanes(float* p, vector x, int64_t count) { SomeLanes(0, count).store(p, x); }

}  // namespace shufflekit::SHUFFLEKIT_ISA
