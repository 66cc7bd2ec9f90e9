// Channels > pixels, 16 at once.
#include "kernels/average_int8/average_int8.h"

#include "kernels/isa.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

namespace shufflekit::SHUFFLEKIT_ISA {

void average_int8(const AverageInt8& a, int32_t first_channel, int32_t last_channel) {
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        const uint8_t* in = a.in[channel];
        const Int8End& end = a.ends[channel];
        int32_t sum = end.bias;
        int64_t p = 0;
#if defined(__AVX2__)
        __m128i sums = _mm_setzero_si128();
        for (; p + 16 <= a.pixels; p += 16)
            sums = _mm_add_epi64(sums, _mm_sad_epu8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + p)), _mm_setzero_si128()));
        sum = int8_plus(sum, static_cast<int32_t>(_mm_cvtsi128_si64(sums) + _mm_extract_epi64(sums, 1)));
#elif defined(__wasm_simd128__)
        v128_t sums = wasm_i32x4_splat(0);
        for (; p + 16 <= a.pixels; p += 16) sums = wasm_i32x4_add(sums, wasm_u32x4_extadd_pairwise_u16x8(wasm_u16x8_extadd_pairwise_u8x16(wasm_v128_load(in + p))));
        int32_t of_lanes[4];
        wasm_v128_store(of_lanes, sums);
        for (const int32_t each : of_lanes) sum = int8_plus(sum, each);
#endif
        for (; p < a.pixels; ++p) sum = int8_plus(sum, in[p]);
        *a.out[channel] = int8_ended(sum, end);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
