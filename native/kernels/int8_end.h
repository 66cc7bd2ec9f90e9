// The rule of int8.h on 16 sums of the instruction set at hand.
#pragma once

#include "kernels/int8.h"
#include "kernels/isa.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace shufflekit::SHUFFLEKIT_ISA {

inline constexpr int int8_lanes = 16;

#if defined(__AVX2__)

// A sum's bits but for the bounds, which packing and bytes bring: what is beyond 16 bits is beyond a byte too.
[[gnu::always_inline]] inline __m256i int8_whole(__m256 x) { return _mm256_cvtps_epi32(_mm256_min_ps(x, _mm256_set1_ps(32767))); }

[[gnu::always_inline]] inline void int8_end(uint8_t* to, const int32_t* sum, const Int8End& end, const uint8_t* residual) {
    __m256i whole[2];
    const __m256 multiplier = _mm256_set1_ps(end.multiplier), factor = _mm256_set1_ps(end.residual_multiplier);
    const __m256i zero = _mm256_set1_epi32(end.residual_zero_point);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
        __m256 x = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(sum) + half)), multiplier);
        if (residual) {
            const __m256i r = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(residual + 8 * half)));
            x = _mm256_add_ps(x, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(r, zero)), factor));
        }
        whole[half] = int8_whole(x);
    }
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(whole[0], whole[1]), 0xd8);
    const __m256i moved = _mm256_adds_epi16(words, _mm256_set1_epi16(static_cast<short>(end.zero_point)));
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(moved), _mm256_extracti128_si256(moved, 1));
    const __m128i low = _mm_set1_epi8(static_cast<char>(end.low)), high = _mm_set1_epi8(static_cast<char>(end.high));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_min_epu8(_mm_max_epu8(bytes, low), high));
}

#else

[[gnu::always_inline]] inline void int8_end(uint8_t* to, const int32_t* sum, const Int8End& end, const uint8_t* residual) {
    uint8_t bytes[int8_lanes];
    for (int p = 0; p < int8_lanes; ++p) bytes[p] = residual ? int8_ended(sum[p], end, residual[p]) : int8_ended(sum[p], end);
    __builtin_memcpy(to, bytes, sizeof(bytes));
}

#endif

// Of `count` sums in memory for 16, where no more bytes are there to be read or written.
[[gnu::always_inline]] inline void int8_end_some(uint8_t* to, const int32_t* sum, const Int8End& end, const uint8_t* residual, int64_t count) {
    if (count >= int8_lanes) return int8_end(to, sum, end, residual);
    uint8_t bytes[int8_lanes], added[int8_lanes] = {};
    for (int64_t p = 0; residual && p < count; ++p) added[p] = residual[p];
    int8_end(bytes, sum, end, residual ? added : nullptr);
    for (int64_t p = 0; p < count; ++p) to[p] = bytes[p];
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
