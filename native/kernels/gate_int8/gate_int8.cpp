// Channels > pixels, 16 at once. Bytes lie as words beside a 0 each, so that pairs are products.
#include "kernels/gate_int8/gate_int8.h"

#include "kernels/int8_end.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

[[gnu::always_inline]] inline Sums sixteen(const uint8_t* in, int32_t factor, int32_t first) {
#if defined(__AVX2__)
    const __m256i factors = _mm256_set1_epi32(static_cast<uint16_t>(factor)), firsts = _mm256_set1_epi32(first);
    const auto eight = [&](const uint8_t* p) __attribute__((always_inline)) {
        return plus_pairs(firsts, _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))), factors);
    };
    return {eight(in), eight(in + 8)};
#elif defined(__wasm_simd128__)
    const v128_t factors = wasm_i32x4_splat(static_cast<uint16_t>(factor)), firsts = wasm_i32x4_splat(first), bytes = wasm_v128_load(in);
    const v128_t words[2] = {wasm_u16x8_extend_low_u8x16(bytes), wasm_u16x8_extend_high_u8x16(bytes)};
    Sums sum;
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
        const v128_t pairs = v % 2 ? wasm_u32x4_extend_high_u16x8(words[v / 2]) : wasm_u32x4_extend_low_u16x8(words[v / 2]);
        sum.of[v] = wasm_i32x4_add(firsts, wasm_i32x4_dot_i16x8(pairs, factors));
    }
    return sum;
#else
    Sums sum;
    for (int p = 0; p < int8_lanes; ++p) sum.of[p] = int8_plus(first, in[p] * factor);
    return sum;
#endif
}

}  // namespace

void gate_int8(const GateInt8& g, int32_t first_channel, int32_t last_channel) {
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        const uint8_t* in = g.in[channel];
        uint8_t* out = g.out[channel];
        const int32_t factor = g.factor(channel), first = g.first(channel);
        const Int8End end = g.ends[channel];  // by itself: what is stored could change it, for all that the compiler knows
        if (g.pixels == 1)
            *out = int8_ended(int8_plus(first, *in * factor), end);
        else
            for (int64_t p = 0; p < g.pixels; p += int8_lanes) int8_end(out + p, sixteen(in + p, factor, first), end, nullptr);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
