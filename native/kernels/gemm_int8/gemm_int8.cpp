// tiles.h has the loops.
#include "kernels/gemm_int8/gemm_int8.h"

#include "kernels/int8_end.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

[[gnu::always_inline]] inline const uint8_t* added(const GemmInt8& g, int64_t channel, int64_t pixel) {
    return g.residual.base ? g.residual[channel] + pixel : nullptr;
}

#if defined(__AVX512VNNI__)
template <int V>
[[gnu::always_inline]] inline void end(const GemmInt8& g, int64_t channel, int64_t pixel, const __m512i (&sum)[V]) {
    int8_end(g.out[channel] + pixel, sum, g.ends[channel], added(g, channel, pixel), g.has_plain_ends);
}
#elif defined(__wasm_simd128__)
template <int V>
[[gnu::always_inline]] inline void end(const GemmInt8& g, int64_t channel, int64_t pixel, const v128_t (&sum)[V], int64_t count) {
    int8_end_some(g.out[channel] + pixel, sum, g.ends[channel], added(g, channel, pixel), count);
}
#elif defined(__AVX2__)
// Of 16 pixels of some channels, in planes of more than one.
template <int R>
[[gnu::always_inline]] inline void end_rows(const GemmInt8& g, int64_t channel, int64_t pixel, const Sums (&sums)[R]) {
    const auto to = [&](int64_t r) { return g.out[channel + r] + pixel; };
    if (!g.residual.base) return int8_end_rows(sums, g.ends + channel, g.has_plain_ends, to, [](int64_t) -> const uint8_t* { return nullptr; });
    int8_end_rows(sums, g.ends + channel, g.has_plain_ends, to, [&](int64_t r) { return g.residual[channel + r] + pixel; });
}
#else
[[gnu::always_inline]] inline void end(const GemmInt8& g, int64_t channel, int64_t pixel, const Sums& sum, int64_t count) {
    const int64_t whole = g.pixels > 1 ? int8_lanes : count;  // a plane owns whole vectors
    int8_end_some(g.out[channel] + pixel, sum, g.ends[channel], added(g, channel, pixel), whole);
}
#endif

#if defined(__AVX2__)
void end(const GemmInt8& g, int64_t channel, int64_t pixel, int32_t sum) {
    const uint8_t* residual = added(g, channel, pixel);
    g.out[channel][pixel] = residual ? int8_ended(sum, g.ends[channel], *residual) : int8_ended(sum, g.ends[channel]);
}
#endif

}  // namespace
}  // namespace shufflekit::SHUFFLEKIT_ISA

#include "kernels/gemm_int8/tiles.h"  // calls `end`

namespace shufflekit::SHUFFLEKIT_ISA {

void gemm_int8(const GemmInt8& g, uint8_t* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    multiply(g, scratch, first_pixel, last_pixel, first_panel, last_panel);
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
