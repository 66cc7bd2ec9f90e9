// Channels > pixels, a vector at a time where the set has tables: with VBMI a half of the table is two registers; AVX2 looks a byte up in 16
// tables by its low half, and the bits of the high half choose among what they say.
#include "kernels/lookup/lookup.h"

#include "kernels/isa.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

// Some first pixels of a plane; returns how many.
[[gnu::always_inline]] inline int64_t look_up([[maybe_unused]] const uint8_t* in, [[maybe_unused]] uint8_t* out, [[maybe_unused]] const uint8_t* table,
                                              [[maybe_unused]] int64_t pixels) {
#if defined(__AVX512VBMI__)
    if (pixels < 8) return 0;  // as many loads as the table takes
    __m512i part[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) part[i] = _mm512_loadu_si512(table + 64 * i);
    for (int64_t p = 0; p < pixels; p += 64) {
        const __mmask64 inside = pixels - p >= 64 ? ~__mmask64{0} : (__mmask64{1} << (pixels - p)) - 1;
        const __m512i x = _mm512_maskz_loadu_epi8(inside, in + p);
        const __m512i low = _mm512_permutex2var_epi8(part[0], x, part[1]), high = _mm512_permutex2var_epi8(part[2], x, part[3]);
        _mm512_mask_storeu_epi8(out + p, inside, _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high));
    }
    return pixels;
#elif defined(__AVX2__)
    const __m256i fifteen = _mm256_set1_epi8(15);
    int64_t p = 0;
    for (; p + 32 <= pixels; p += 32) {
        const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + p)), place = _mm256_and_si256(x, fifteen);
        const auto of_sixteen = [&](int i) __attribute__((always_inline)) {
            return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table) + i)), place);
        };
        // Bit 4 of a byte moved to its highest, by which a blend goes, then bits 5, 6 and 7.
        const __m256i bit[4] = {_mm256_slli_epi16(x, 3), _mm256_slli_epi16(x, 2), _mm256_slli_epi16(x, 1), x};
        __m256i quarter[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i)
            quarter[i] = _mm256_blendv_epi8(_mm256_blendv_epi8(of_sixteen(4 * i), of_sixteen(4 * i + 1), bit[0]),
                                            _mm256_blendv_epi8(of_sixteen(4 * i + 2), of_sixteen(4 * i + 3), bit[0]), bit[1]);
        const __m256i found = _mm256_blendv_epi8(_mm256_blendv_epi8(quarter[0], quarter[1], bit[2]), _mm256_blendv_epi8(quarter[2], quarter[3], bit[2]), bit[3]);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + p), found);
    }
    return p;
#else
    return 0;
#endif
}

}  // namespace

void lookup(const Lookup& l, int32_t first_channel, int32_t last_channel) {
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        const uint8_t *in = l.in[channel], *table = l.table + int64_t{channel} * 256;
        uint8_t* out = l.out[channel];
        for (int64_t p = look_up(in, out, table, l.pixels); p < l.pixels; ++p) out[p] = table[in[p]];
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
