// The rule of int8.h on 16 sums of the instruction set at hand.
#pragma once

#include "kernels/int8.h"
#include "kernels/isa.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#elif defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#endif

namespace shufflekit::SHUFFLEKIT_ISA {

inline constexpr int int8_lanes = 16;

// How four vectors have 16 pixels, or each 16 of 64: vector v has pixels 4 v to 4 v + 3, which the packs undo; or pixel v of each four; or two
// of them have the even and the odd ones of half of the pixels.
enum class Int8Order { fours, turns, halves };

// Those of 16 pixels.
struct Sums {
#if defined(__AVX2__)
    __m256i first, second;
#elif defined(__wasm_simd128__)
    v128_t of[4];
#else
    int32_t of[int8_lanes];
#endif
};

#if defined(__AVX2__)

// Products of pairs of words are added to sums.
[[gnu::always_inline]] inline __m256i plus_pairs(__m256i sum, __m256i a, __m256i b) {
#if defined(__AVXVNNI__)
    return _mm256_dpwssd_avx_epi32(sum, a, b);
#else
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
#endif
}

// A sum's bits but for the bounds, which packing and bytes bring: what is beyond 16 bits is beyond a byte too, and NaN becomes the least
// number, as the second operand of a minimum does.
[[gnu::always_inline]] inline __m256i int8_whole(__m256 x) { return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_set1_ps(32767), x)); }

// Of 16 whole numbers, in two vectors.
[[gnu::always_inline]] inline __m128i int8_packed(__m256i first, __m256i second, int32_t zero_point) {
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), 0xd8);
    const __m256i moved = _mm256_adds_epi16(words, _mm256_set1_epi16(static_cast<short>(zero_point)));
    return _mm_packus_epi16(_mm256_castsi256_si128(moved), _mm256_extracti128_si256(moved, 1));
}

// 16 floats to bytes.
#if defined(__AVX512F__)
// A division takes as long as all else. By the inverse, what bytes hold is wrong by 1e-4 at most, so only what is that near to the middle
// of two whole numbers is divided, and what has no inverse.
[[gnu::always_inline]] inline void int8_round(uint8_t* to, const float* x, float scale, int32_t zero_point) {
    const float inverse = 1e-30f < scale && scale < 1e30f ? 1 / scale : __builtin_nanf("");
    const __m512 numbers = _mm512_loadu_ps(x);
    __m512 steps = _mm512_mul_ps(numbers, _mm512_set1_ps(inverse));
    const __m512 apart = _mm512_sub_ps(steps, _mm512_roundscale_ps(steps, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    if (_mm512_cmp_ps_mask(_mm512_abs_ps(apart), _mm512_set1_ps(0.4998f), _CMP_NLT_UQ)) steps = _mm512_div_ps(numbers, _mm512_set1_ps(scale));
    const __m512i whole = _mm512_cvtps_epi32(_mm512_min_ps(_mm512_set1_ps(32767), steps));
    const __m128i bytes = int8_packed(_mm512_castsi512_si256(whole), _mm512_extracti64x4_epi64(whole, 1), zero_point);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
}
#else
[[gnu::always_inline]] inline void int8_round(uint8_t* to, const float* x, float scale, int32_t zero_point) {
    const __m256 steps = _mm256_set1_ps(scale);
    const __m256i first = int8_whole(_mm256_div_ps(_mm256_loadu_ps(x), steps)), second = int8_whole(_mm256_div_ps(_mm256_loadu_ps(x + 8), steps));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), int8_packed(first, second, zero_point));
}
#endif

// Words of 16 pixels, four of the first eight and four of the others in each half. Plain: as is_plain says.
template <bool Plain>
[[gnu::always_inline]] inline __m256i int8_words(const Sums& sums, const Int8End& end, const uint8_t* residual) {
    __m256i whole[2];
    const __m256i sum[2] = {sums.first, sums.second}, zero = _mm256_set1_epi32(end.residual_zero_point);
    const __m256 multiplier = _mm256_set1_ps(end.multiplier), factor = _mm256_set1_ps(end.residual_multiplier);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
        __m256 x = _mm256_mul_ps(_mm256_cvtepi32_ps(sum[half]), multiplier);
        if (residual) {
            const __m256i r = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(residual + 8 * half)));
            x = _mm256_add_ps(x, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(r, zero)), factor));
        }
        whole[half] = Plain ? _mm256_cvtps_epi32(x) : int8_whole(x);
    }
    return _mm256_adds_epi16(_mm256_packs_epi32(whole[0], whole[1]), _mm256_set1_epi16(static_cast<short>(end.zero_point)));
}

template <bool Plain = false>
[[gnu::always_inline]] inline __m128i int8_bytes(const Sums& sums, const Int8End& end, const uint8_t* residual) {
    const __m256i words = _mm256_permute4x64_epi64(int8_words<Plain>(sums, end, residual), 0xd8);
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    if constexpr (Plain) return bytes;
    const __m128i low = _mm_set1_epi8(static_cast<char>(end.low)), high = _mm_set1_epi8(static_cast<char>(end.high));
    return _mm_min_epu8(_mm_max_epu8(bytes, low), high);
}

[[gnu::always_inline]] inline void int8_end(uint8_t* to, const Sums& sums, const Int8End& end, const uint8_t* residual) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), int8_bytes(sums, end, residual));
}

// Of channels whose ends lie together, two at once: to(r) of sums[r], with what residual(r) has.
template <bool Plain, int R, class To, class Residual>
[[gnu::always_inline]] inline void int8_end_rows(const Sums (&sums)[R], const Int8End* ends, To to, Residual residual) {
#pragma GCC unroll 2
    for (int r = 0; r + 1 < R; r += 2) {
        const __m256i words = _mm256_packus_epi16(int8_words<Plain>(sums[r], ends[r], residual(r)), int8_words<Plain>(sums[r + 1], ends[r + 1], residual(r + 1)));
        __m256i bytes = _mm256_permutevar8x32_epi32(words, _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0));
        if constexpr (!Plain) {
            const auto both = [](int32_t a, int32_t b) { return _mm256_set_m128i(_mm_set1_epi8(static_cast<char>(b)), _mm_set1_epi8(static_cast<char>(a))); };
            bytes = _mm256_min_epu8(_mm256_max_epu8(bytes, both(ends[r].low, ends[r + 1].low)), both(ends[r].high, ends[r + 1].high));
        }
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to(r)), _mm256_castsi256_si128(bytes));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to(r + 1)), _mm256_extracti128_si256(bytes, 1));
    }
    if constexpr (R % 2) _mm_storeu_si128(reinterpret_cast<__m128i*>(to(R - 1)), int8_bytes<Plain>(sums[R - 1], ends[R - 1], residual(R - 1)));
}
template <int R, class To, class Residual>
[[gnu::always_inline]] inline void int8_end_rows(const Sums (&sums)[R], const Int8End* ends, bool is_plain, To to, Residual residual) {
    is_plain ? int8_end_rows<true>(sums, ends, to, residual) : int8_end_rows<false>(sums, ends, to, residual);
}

// As floats.
[[gnu::always_inline]] inline void int8_worth(float* to, const Sums& sum, float multiplier) {
    const __m256 factor = _mm256_set1_ps(multiplier);
    _mm256_storeu_ps(to, _mm256_mul_ps(_mm256_cvtepi32_ps(sum.first), factor)), _mm256_storeu_ps(to + 8, _mm256_mul_ps(_mm256_cvtepi32_ps(sum.second), factor));
}

#elif defined(__wasm_simd128__)

// 4 V numbers in steps to bytes. NaN becomes the least, as pmax takes its first operand then. The bits of x + int8_magic are those of
// int8_magic and the whole number, and grow with x where it is too large for that: conversions would take ten instructions in the browser.
template <Int8Order order = Int8Order::fours, int V>
[[gnu::always_inline]] inline void int8_packed(uint8_t* to, const v128_t (&x)[V], int32_t zero_point, int32_t low, int32_t high) {
    const v128_t least = wasm_f32x4_splat(static_cast<float>(low - zero_point)), most = wasm_u8x16_splat(static_cast<uint8_t>(high));
    const v128_t magic = wasm_f32x4_splat(int8_magic), zero = wasm_i32x4_splat(zero_point - __builtin_bit_cast(int32_t, int8_magic));
    const auto whole = [&](int v) __attribute__((always_inline)) { return wasm_i32x4_add(wasm_f32x4_add(wasm_f32x4_pmax(least, x[v < V ? v : V - 1]), magic), zero); };
#pragma GCC unroll 2
    for (int v = 0; v < V; v += 4, to += 16) {
        const v128_t first = wasm_i16x8_narrow_i32x4(whole(v), whole(v + 1)), second = v + 2 < V ? wasm_i16x8_narrow_i32x4(whole(v + 2), whole(v + 3)) : first;
        v128_t bytes = wasm_u8x16_min(wasm_u8x16_narrow_i16x8(first, second), most);
        if constexpr (order == Int8Order::turns) bytes = wasm_i8x16_shuffle(bytes, bytes, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        if constexpr (order == Int8Order::halves) bytes = wasm_i8x16_shuffle(bytes, bytes, 0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
        if (V - v >= 4)
            wasm_v128_store(to, bytes);
        else if (V - v == 2)
            wasm_v128_store64_lane(to, bytes, 0);
        else
            wasm_v128_store32_lane(to, bytes, 0);
    }
}

template <Int8Order order = Int8Order::fours, bool are_floats = false, int V>
[[gnu::always_inline]] inline void int8_end(uint8_t* to, const v128_t (&sums)[V], const Int8End& end, const uint8_t* residual) {
    v128_t x[V];
    const v128_t multiplier = wasm_f32x4_splat(end.multiplier);
#pragma GCC unroll 6
    for (int v = 0; v < V; ++v) x[v] = wasm_f32x4_mul(are_floats ? sums[v] : wasm_f32x4_convert_i32x4(sums[v]), multiplier);
    if (residual) {
        const v128_t zero = wasm_i32x4_splat(end.residual_zero_point), factor = wasm_f32x4_splat(end.residual_multiplier);
#pragma GCC unroll 6
        for (int v = 0; v < V; ++v) {
            v128_t added;
            if constexpr (order == Int8Order::turns)
                added = wasm_v128_and(wasm_u32x4_shr(wasm_v128_load(residual), static_cast<uint32_t>(8 * v)), wasm_i32x4_splat(255));
            else
                added = wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(residual + 4 * v)));
            x[v] = wasm_f32x4_add(x[v], wasm_f32x4_mul(wasm_f32x4_convert_i32x4(wasm_i32x4_sub(added, zero)), factor));
        }
    }
    int8_packed<order>(to, x, end.zero_point, end.low, end.high);
}

[[gnu::always_inline]] inline void int8_end(uint8_t* to, const Sums& sum, const Int8End& end, const uint8_t* residual) { int8_end(to, sum.of, end, residual); }

// Sums that are floats already.
struct FloatSums {
    v128_t of[4];
};
[[gnu::always_inline]] inline void int8_end(uint8_t* to, const FloatSums& sum, const Int8End& end, const uint8_t* residual) {
    int8_end<Int8Order::fours, true>(to, sum.of, end, residual);
}

[[gnu::always_inline]] inline void int8_round(uint8_t* to, const float* x, float scale, int32_t zero_point) {
    v128_t steps[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) steps[v] = wasm_f32x4_div(wasm_v128_load(x + 4 * v), wasm_f32x4_splat(scale));
    int8_packed(to, steps, zero_point, 0, 255);
}

// Bytes of a and b in turn, as words: 4 pixels a vector.
[[gnu::always_inline]] inline void int8_pairs(v128_t a, v128_t b, v128_t (&pairs)[4]) {
    const v128_t low = wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const v128_t high = wasm_i8x16_shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    pairs[0] = wasm_u16x8_extend_low_u8x16(low), pairs[1] = wasm_u16x8_extend_high_u8x16(low);
    pairs[2] = wasm_u16x8_extend_low_u8x16(high), pairs[3] = wasm_u16x8_extend_high_u8x16(high);
}

#else

[[gnu::always_inline]] inline void int8_end(uint8_t* to, const Sums& sum, const Int8End& end, const uint8_t* residual) {
    uint8_t bytes[int8_lanes];
    for (int p = 0; p < int8_lanes; ++p) bytes[p] = residual ? int8_ended(sum.of[p], end, residual[p]) : int8_ended(sum.of[p], end);
    __builtin_memcpy(to, bytes, sizeof(bytes));
}

[[gnu::always_inline]] inline void int8_round(uint8_t* to, const float* x, float scale, int32_t zero_point) {
    for (int p = 0; p < int8_lanes; ++p) to[p] = int8_rounded(x[p] / scale, zero_point, 0, 255);
}

[[gnu::always_inline]] inline void int8_worth(float* to, const Sums& sum, float multiplier) {
    for (int p = 0; p < int8_lanes; ++p) to[p] = static_cast<float>(sum.of[p]) * multiplier;
}

#endif

#if defined(__AVX512VNNI__)

template <bool Plain = false>
[[gnu::always_inline]] inline __m512i int8_whole(__m512 x) {
    return _mm512_cvtps_epi32(Plain ? x : _mm512_min_ps(_mm512_set1_ps(32767), x));
}

// Sums of so many pixels, or of up to 48 as they lie. Plain: as is_plain says.
template <bool Plain, Int8Order order = Int8Order::fours, int V>
[[gnu::always_inline]] inline void int8_end(uint8_t* to, const __m512i (&sum)[V], const Int8End& end, const uint8_t* residual) {
    __m512 x[V];
    const __m512 multiplier = _mm512_set1_ps(end.multiplier);
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) x[v] = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[v]), multiplier);
    if (order != Int8Order::halves && residual) {
        __m512i r[V];
        if constexpr (V == 4 && order == Int8Order::turns) {
            const __m512i bytes = _mm512_loadu_si512(residual);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) r[v] = _mm512_and_si512(_mm512_srli_epi32(bytes, static_cast<unsigned>(8 * v)), _mm512_set1_epi32(255));
        } else if constexpr (V == 4) {
            const __m512i bytes = _mm512_loadu_si512(residual), none = _mm512_setzero_si512();
            const __m512i low = _mm512_unpacklo_epi8(bytes, none), high = _mm512_unpackhi_epi8(bytes, none);
            r[0] = _mm512_unpacklo_epi16(low, none), r[1] = _mm512_unpackhi_epi16(low, none);
            r[2] = _mm512_unpacklo_epi16(high, none), r[3] = _mm512_unpackhi_epi16(high, none);
        } else {
#pragma GCC unroll 3
            for (int v = 0; v < V; ++v) r[v] = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(residual) + v));
        }
        const __m512i zero = _mm512_set1_epi32(end.residual_zero_point);
        const __m512 factor = _mm512_set1_ps(end.residual_multiplier);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) x[v] = _mm512_add_ps(x[v], _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(r[v], zero)), factor));
    }
    const auto low = static_cast<char>(end.low), high = static_cast<char>(end.high);
    if constexpr (V > 1) {
        __m512i whole[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) whole[v] = int8_whole<Plain>(x[v]);
        const __m512i zero = _mm512_set1_epi16(static_cast<short>(end.zero_point));
        const __m512i first = _mm512_adds_epi16(_mm512_packs_epi32(whole[0], whole[1]), zero);
        const __m512i second = V == 2 ? first : _mm512_adds_epi16(_mm512_packs_epi32(whole[V == 2 ? 0 : 2], whole[V - 1]), zero);
        __m512i bytes = _mm512_packus_epi16(first, second);
        if constexpr (!Plain) bytes = _mm512_min_epu8(_mm512_max_epu8(bytes, _mm512_set1_epi8(low)), _mm512_set1_epi8(high));
        if constexpr (order == Int8Order::turns) bytes = _mm512_shuffle_epi8(bytes, _mm512_set4_epi32(0x0f0b0703, 0x0e0a0602, 0x0d090501, 0x0c080400));
        if constexpr (order == Int8Order::halves) {
            bytes = _mm512_shuffle_epi8(bytes, _mm512_set4_epi32(0x0f0b0e0a, 0x0d090c08, 0x07030602, 0x05010400));
            bytes = _mm512_permutexvar_epi64(_mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0), bytes);
        }
        if constexpr (V == 4) {
            _mm512_storeu_si512(to, bytes);
        } else {
            bytes = _mm512_permutexvar_epi32(_mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0), bytes);
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(bytes));
            if constexpr (V == 3) _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 32), _mm512_extracti32x4_epi32(bytes, 2));
        }
    } else {
        const __m512i whole = int8_whole<Plain>(x[0]);
        const __m128i bytes = int8_packed(_mm512_castsi512_si256(whole), _mm512_extracti64x4_epi64(whole, 1), end.zero_point);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), Plain ? bytes : _mm_min_epu8(_mm_max_epu8(bytes, _mm_set1_epi8(low)), _mm_set1_epi8(high)));
    }
}
template <Int8Order order = Int8Order::fours, int V>
[[gnu::always_inline]] inline void int8_end(uint8_t* to, const __m512i (&sum)[V], const Int8End& end, const uint8_t* residual, bool is_plain) {
    is_plain ? int8_end<true, order>(to, sum, end, residual) : int8_end<false, order>(to, sum, end, residual);
}

#endif

// Up to 32 bytes. A memcpy of so few is a call, in WebAssembly one out of it, which took longer than a row of a depthwise convolution.
[[gnu::always_inline]] inline void copy_few(uint8_t* to, const uint8_t* from, int64_t count) {
    const auto copy = [&](auto first) __attribute__((always_inline)) {
        auto last = first;  // which the first may overlap
        constexpr auto size = sizeof(first);
        __builtin_memcpy(&first, from, size), __builtin_memcpy(&last, from + count - size, size);
        __builtin_memcpy(to, &first, size), __builtin_memcpy(to + count - size, &last, size);
    };
    if (count >= 8) return copy(uint64_t{});
    if (count >= 4) return copy(uint32_t{});
    if (count >= 2) return copy(uint16_t{});
    if (count == 1) *to = *from;
}

// Of `count` of 16 sums, where no more bytes are there to be read or written.
template <class S>
[[gnu::always_inline]] inline void int8_end_some(uint8_t* to, const S& sum, const Int8End& end, const uint8_t* residual, int64_t count) {
    if (count >= int8_lanes) return int8_end(to, sum, end, residual);
    uint8_t bytes[int8_lanes], added[int8_lanes] = {};
    if (residual) copy_few(added, residual, count);
    int8_end(bytes, sum, end, residual ? added : nullptr);
    copy_few(to, bytes, count);
}

#if defined(__wasm_simd128__)
// Likewise of 4 V.
template <Int8Order order = Int8Order::fours, int V>
[[gnu::always_inline]] inline void int8_end_some(uint8_t* to, const v128_t (&sum)[V], const Int8End& end, const uint8_t* residual, int64_t count) {
    if (count >= 4 * V) return int8_end<order>(to, sum, end, residual);
    uint8_t bytes[4 * V], added[4 * V] = {};
    if (residual) copy_few(added, residual, count);
    int8_end<order>(bytes, sum, end, residual ? added : nullptr);
    copy_few(to, bytes, count);
}
#endif

}  // namespace shufflekit::SHUFFLEKIT_ISA
