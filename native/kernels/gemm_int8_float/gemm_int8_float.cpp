// tiles.h of gemm_int8 has the loops.
#include "kernels/gemm_int8_float/gemm_int8_float.h"

#include "kernels/epilogue.h"
#include "kernels/int8_end.h"
#include "kernels/lanes.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

// A block may have more pixels than a plane owns.
[[maybe_unused]] void put(const GemmInt8Float& g, int64_t channel, int64_t pixel, const float* x, int64_t count) {
    float* to = g.out[channel] + pixel;
    const int64_t left = g.pixels - pixel < count ? g.pixels - pixel : count;
    for (int64_t p = 0; p < left; ++p) to[p] = x[p];
}

#if defined(__AVX512VNNI__)
template <int V>
[[gnu::always_inline]] inline void end(const GemmInt8Float& g, int64_t channel, int64_t pixel, const __m512i (&sum)[V]) {
    const __m512 multiplier = _mm512_set1_ps(g.ends[channel].multiplier);
    alignas(64) float x[16 * V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
        const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[v]), multiplier);
        if constexpr (V < 4) {
            _mm512_store_ps(x + 16 * v, product);
        } else {  // vector v has four pixels of each 16
            _mm_store_ps(x + 4 * v, _mm512_extractf32x4_ps(product, 0)), _mm_store_ps(x + 16 + 4 * v, _mm512_extractf32x4_ps(product, 1));
            _mm_store_ps(x + 32 + 4 * v, _mm512_extractf32x4_ps(product, 2)), _mm_store_ps(x + 48 + 4 * v, _mm512_extractf32x4_ps(product, 3));
        }
    }
    put(g, channel, pixel, x, 16 * V);
}
#elif defined(__wasm_simd128__)
template <int V>
[[gnu::always_inline]] inline void end(const GemmInt8Float& g, int64_t channel, int64_t pixel, const v128_t (&sum)[V], int64_t count) {
    with_ends(g.epilogue.activation, [&]<Bounds B>() __attribute__((always_inline)) {
        const v128_t multiplier = wasm_f32x4_splat(g.ends[channel].multiplier);
        const vector low = broadcast<vector>(low_of<B>(g.epilogue, channel)), high = broadcast<vector>(g.epilogue.high());
        float* to = g.out[channel] + pixel;
#pragma GCC unroll 6
        for (int v = 0; v < V; ++v, to += vector_lanes)
            store_lanes(to, bounded<B>((vector)wasm_f32x4_mul(wasm_f32x4_convert_i32x4(sum[v]), multiplier), low, high), count - v * vector_lanes);
    });
}
#else
[[gnu::always_inline]] inline void end(const GemmInt8Float& g, int64_t channel, int64_t pixel, const Sums& sum, int64_t count) {
    float x[int8_lanes];
    int8_worth(x, sum, g.ends[channel].multiplier);
    put(g, channel, pixel, x, count < int8_lanes ? count : int8_lanes);
}
#endif

#if defined(__AVX2__)
void end(const GemmInt8Float& g, int64_t channel, int64_t pixel, int32_t sum) {
    g.out[channel][pixel] = static_cast<float>(sum) * g.ends[channel].multiplier;
}
#endif

}  // namespace
}  // namespace shufflekit::SHUFFLEKIT_ISA

#include "kernels/gemm_int8/tiles.h"  // calls `end`

namespace shufflekit::SHUFFLEKIT_ISA {

void gemm_int8_float(const GemmInt8Float& g, uint8_t* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    multiply(g, scratch, first_pixel, last_pixel, first_panel, last_panel);
#if defined(__wasm_simd128__)
    if (ends_in_registers(g.epilogue)) return;
#else
    if (g.epilogue.activation == Activation::none) return;
#endif
    for (int64_t group = 0; group < g.groups; ++group)
        for (int64_t row = 0; row < g.rows; ++row) {
            const int64_t panel = group * int8_panels(g.rows) + row / int8_panel, channel = group * g.rows + row;
            if (panel >= first_panel && panel < last_panel) activate_stretch(g.out[channel] + first_pixel, last_pixel - first_pixel, g.epilogue.of(channel));
        }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
