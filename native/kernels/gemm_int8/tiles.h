// Pixels (blocks) > groups > panels > depth; a tile of 4 rows x a block's pixels of sums stays in registers. Operands of a block are
// interleaved once for all panels of a group, so that what is multiplied together lies together, in scratch that stays in the L1 cache.
// With VNNI a block is 64 pixels: 16 sums + 4 operands + 1 weight = 21 of 32 registers. The packs that end a tile undo the order in
// which unpacking left the pixels. The last 16 pixels or less are a block of one vector.
// Without it, products of pairs go through 16 bits and sums through 32: nothing saturates.
//
// Who includes this has said before what becomes of sums: end(gemm, channel, pixel, sums, ...).
#pragma once

#include "kernels/gemm_int8/gemm_int8.h"
#include "kernels/int8_end.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

using Four = int32_t __attribute__((aligned(1), may_alias));

struct Panel {
    const int8_t* weights;
    const Int8End* ends;  // of its rows
    int64_t channel;      // of the first of them among all groups' rows
    int32_t rows;
};

// The plane of an operand; behind the last of a group any one, for weights that are 0.
template <class G>
[[gnu::always_inline]] inline const uint8_t* operand(const G& g, int64_t group, int64_t k) {
    return g.in[group * g.depth + (k < g.depth ? k : g.depth - 1)];
}

// task(panel) for panels [first, last) of one group.
template <class G, class Task>
[[gnu::always_inline]] inline void each_panel(const G& g, int64_t group, int64_t first, int64_t last, Task task) {
    const int64_t panels = int8_panels(g.rows);
    for (int64_t i = first; i < last; ++i) {
        const int64_t row = i * int8_panel, channel = group * g.rows + row;
        const int32_t rows = g.rows - row < int8_panel ? static_cast<int32_t>(g.rows - row) : int8_panel;
        task(Panel{g.weights + (group * panels + i) * int8_fours(g.depth) * 16, g.ends + channel, channel, rows});
    }
}

#if defined(__AVX512VNNI__)

// V vectors of 16 pixels: with four of them, vector v has pixels 4 v to 4 v + 3 of each 16.
template <int V, class G>
[[gnu::always_inline]] inline void interleave(const G& g, int64_t group, int64_t pixel, uint8_t* to) {
    for (int64_t k = 0; k < g.depth; k += 4, to += 64 * V) {
        const uint8_t *a = operand(g, group, k) + pixel, *b = operand(g, group, k + 1) + pixel;
        const uint8_t *c = operand(g, group, k + 2) + pixel, *d = operand(g, group, k + 3) + pixel;
        if constexpr (V == 4) {
            const __m512i A = _mm512_loadu_si512(a), B = _mm512_loadu_si512(b), C = _mm512_loadu_si512(c), D = _mm512_loadu_si512(d);
            const __m512i ab0 = _mm512_unpacklo_epi8(A, B), ab1 = _mm512_unpackhi_epi8(A, B);
            const __m512i cd0 = _mm512_unpacklo_epi8(C, D), cd1 = _mm512_unpackhi_epi8(C, D);
            _mm512_store_si512(to, _mm512_unpacklo_epi16(ab0, cd0));
            _mm512_store_si512(to + 64, _mm512_unpackhi_epi16(ab0, cd0));
            _mm512_store_si512(to + 128, _mm512_unpacklo_epi16(ab1, cd1));
            _mm512_store_si512(to + 192, _mm512_unpackhi_epi16(ab1, cd1));
        } else {
            const auto load = [](const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); };
            const __m128i A = load(a), B = load(b), C = load(c), D = load(d);
            const __m128i ab0 = _mm_unpacklo_epi8(A, B), ab1 = _mm_unpackhi_epi8(A, B);
            const __m128i cd0 = _mm_unpacklo_epi8(C, D), cd1 = _mm_unpackhi_epi8(C, D);
            auto* out = reinterpret_cast<__m128i*>(to);
            _mm_store_si128(out, _mm_unpacklo_epi16(ab0, cd0)), _mm_store_si128(out + 1, _mm_unpackhi_epi16(ab0, cd0));
            _mm_store_si128(out + 2, _mm_unpacklo_epi16(ab1, cd1)), _mm_store_si128(out + 3, _mm_unpackhi_epi16(ab1, cd1));
        }
    }
}

// Every loop over sums is unrolled: one that is not would put them all on the stack.
template <int R, int V, class G>
[[gnu::always_inline]] inline void tile(const G& g, const Panel& panel, const uint8_t* x, int64_t pixel) {
    __m512i sum[R][V];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[r][v] = _mm512_set1_epi32(panel.ends[r].bias);
    const int8_t* weights = panel.weights;
    for (int64_t k = 0; k < g.depth; k += 4, x += 64 * V, weights += 16) {
        __m512i operands[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) operands[v] = _mm512_load_si512(x + 64 * v);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
            const __m512i four = _mm512_set1_epi32(reinterpret_cast<const Four*>(weights)[r]);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) sum[r][v] = _mm512_dpbusd_epi32(sum[r][v], operands[v], four);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) end(g, panel.channel + r, pixel, sum[r]);
}

template <int V, class G>
void block(const G& g, const Panel& panel, const uint8_t* x, int64_t pixel) {
    switch (panel.rows) {
        case 1: return tile<1, V>(g, panel, x, pixel);
        case 2: return tile<2, V>(g, panel, x, pixel);
        case 3: return tile<3, V>(g, panel, x, pixel);
        default: return tile<4, V>(g, panel, x, pixel);
    }
}

// One pixel: a vector has four of the depth for four rows.
template <class G>
void linear(const G& g, const Panel& panel, const uint8_t* x) {
    __m512i sum[2] = {};
    const int64_t fours = int8_fours(g.depth);
    int64_t k = 0;
    for (; k + 8 <= fours; k += 8)
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i)
            sum[i] = _mm512_dpbusd_epi32(sum[i], _mm512_load_si512(x + (k + 4 * i) * 16), _mm512_loadu_si512(panel.weights + (k + 4 * i) * 16));
    for (; k < fours; k += 4) {
        const auto inside = static_cast<__mmask16>(fours - k < 4 ? (1 << 4 * (fours - k)) - 1 : 0xffff);
        sum[0] = _mm512_dpbusd_epi32(sum[0], _mm512_load_si512(x + k * 16), _mm512_maskz_loadu_epi32(inside, panel.weights + k * 16));
    }
    const __m512i both = _mm512_add_epi32(sum[0], sum[1]);
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(both), _mm512_extracti64x4_epi64(both, 1));
    alignas(16) int32_t of_rows[4];
    _mm_store_si128(reinterpret_cast<__m128i*>(of_rows), _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)));
    for (int32_t r = 0; r < panel.rows; ++r) {
        end(g, panel.channel + r, 0, int8_plus(of_rows[r], panel.ends[r].bias));
    }
}

// Each four of the operands four times.
template <class G>
void spread(const G& g, int64_t group, uint8_t* to) {
    const int64_t fours = int8_fours(g.depth);
    for (int64_t k = 0; k < fours; ++k)
        for (int64_t i = 0; i < 4; ++i) {
            const uint8_t value = *operand(g, group, 4 * k + i);
            for (int64_t row = 0; row < 4; ++row) to[k * 16 + row * 4 + i] = value;
        }
}

template <class G>
void of_group(const G& g, uint8_t* scratch, int64_t group, int64_t first_pixel, int64_t last_pixel, int64_t first, int64_t last) {
    if (g.pixels == 1) {
        spread(g, group, scratch);
        return each_panel(g, group, first, last, [&](const Panel& panel) { linear(g, panel, scratch); });
    }
    int64_t pixel = first_pixel;
    for (; last_pixel - pixel > 16; pixel += int8_block) {
        interleave<4>(g, group, pixel, scratch);
        each_panel(g, group, first, last, [&](const Panel& panel) { block<4>(g, panel, scratch, pixel); });
    }
    if (pixel >= last_pixel) return;
    interleave<1>(g, group, pixel, scratch);
    each_panel(g, group, first, last, [&](const Panel& panel) { block<1>(g, panel, scratch, pixel); });
}

#else

constexpr int lanes = int8_lanes;  // pixels of a block

#if defined(__AVX2__)

// Fours of operands as words, 4 pixels a vector.
template <class G>
void interleave(const G& g, int64_t group, int64_t pixel, int64_t, uint8_t* to) {
    auto* words = reinterpret_cast<__m256i*>(to);
    for (int64_t k = 0; k < g.depth; k += 4, words += 4) {
        const auto plane = [&](int64_t i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(operand(g, group, k + i) + pixel)); };
        const __m128i a = plane(0), b = plane(1), c = plane(2), d = plane(3);
        const __m128i ab0 = _mm_unpacklo_epi8(a, b), ab1 = _mm_unpackhi_epi8(a, b), cd0 = _mm_unpacklo_epi8(c, d), cd1 = _mm_unpackhi_epi8(c, d);
        words[0] = _mm256_cvtepu8_epi16(_mm_unpacklo_epi16(ab0, cd0)), words[1] = _mm256_cvtepu8_epi16(_mm_unpackhi_epi16(ab0, cd0));
        words[2] = _mm256_cvtepu8_epi16(_mm_unpacklo_epi16(ab1, cd1)), words[3] = _mm256_cvtepu8_epi16(_mm_unpackhi_epi16(ab1, cd1));
    }
}

// Two rows at a time: 8 sums + 4 operands + 1 weight = 13 of 16 registers. A pixel's sum is that of two neighbouring lanes.
template <int R, class G>
[[gnu::always_inline]] inline void rows_of(const G& g, const Panel& panel, int row, const uint8_t* x, int64_t pixel, int64_t count) {
    __m256i sum[R][4] = {};
    const int8_t* weights = panel.weights + 4 * row;
    for (int64_t k = 0; k < g.depth; k += 4, x += 128, weights += 16) {
        __m256i operands[4];
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) operands[v] = _mm256_load_si256(reinterpret_cast<const __m256i*>(x) + v);
#pragma GCC unroll 2
        for (int r = 0; r < R; ++r) {
            const __m256i four = _mm256_cvtepi8_epi16(_mm_set1_epi32(reinterpret_cast<const Four*>(weights)[r]));
#pragma GCC unroll 4
            for (int v = 0; v < 4; ++v) sum[r][v] = _mm256_add_epi32(sum[r][v], _mm256_madd_epi16(operands[v], four));
        }
    }
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
        alignas(32) int32_t pixels[lanes];
        const __m256i bias = _mm256_set1_epi32(panel.ends[row + r].bias);
        for (int v = 0; v < 4; v += 2) {  // pairs come out as 0 1 4 5 2 3 6 7
            const __m256i both = _mm256_permute4x64_epi64(_mm256_hadd_epi32(sum[r][v], sum[r][v + 1]), 0xd8);
            _mm256_store_si256(reinterpret_cast<__m256i*>(pixels + 4 * v), _mm256_add_epi32(both, bias));
        }
        end(g, panel.channel + row + r, pixel, pixels, count);
    }
}

template <class G>
void block(const G& g, const Panel& panel, const uint8_t* x, int64_t pixel, int64_t count) {
    for (int row = 0; row < panel.rows; row += 2)
        panel.rows - row == 1 ? rows_of<1>(g, panel, row, x, pixel, count) : rows_of<2>(g, panel, row, x, pixel, count);
}

#elif defined(__wasm_simd128__)

template <class G>
void interleave(const G& g, int64_t group, int64_t pixel, int64_t, uint8_t* to) {
    for (int64_t k = 0; k < int8_fours(g.depth) * 4; k += 2, to += 64) {
        v128_t pairs[4];
        int8_pairs(wasm_v128_load(operand(g, group, k) + pixel), wasm_v128_load(operand(g, group, k + 1) + pixel), pairs);
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) wasm_v128_store(to + 16 * v, pairs[v]);
    }
}

// Two rows at a time: 8 sums + 1 operand + 2 weights + 1 product = 12 of 16 registers.
template <int R, class G>
[[gnu::always_inline]] inline void rows_of(const G& g, const Panel& panel, int row, const uint8_t* x, int64_t pixel, int64_t count) {
    v128_t sum[R][4];
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) sum[r][v] = wasm_i32x4_splat(panel.ends[row + r].bias);
    const int8_t* weights = panel.weights + 4 * row;
    for (int64_t k = 0; k < g.depth; k += 4, x += 128, weights += 16) {
#pragma GCC unroll 2
        for (int pair = 0; pair < 2; ++pair) {
            v128_t two[R];
#pragma GCC unroll 2
            for (int r = 0; r < R; ++r) two[r] = wasm_i16x8_extend_low_i8x16(wasm_v128_load16_splat(weights + 4 * r + 2 * pair));
#pragma GCC unroll 4
            for (int v = 0; v < 4; ++v) {
                const v128_t operands = wasm_v128_load(x + 64 * pair + 16 * v);
#pragma GCC unroll 2
                for (int r = 0; r < R; ++r) sum[r][v] = wasm_i32x4_add(sum[r][v], wasm_i32x4_dot_i16x8(operands, two[r]));
            }
        }
    }
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
        int32_t pixels[lanes];
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) wasm_v128_store(pixels + 4 * v, sum[r][v]);
        end(g, panel.channel + row + r, pixel, pixels, count);
    }
}

template <class G>
void block(const G& g, const Panel& panel, const uint8_t* x, int64_t pixel, int64_t count) {
    for (int row = 0; row < panel.rows; row += 2)
        panel.rows - row == 1 ? rows_of<1>(g, panel, row, x, pixel, count) : rows_of<2>(g, panel, row, x, pixel, count);
}

#else

template <class G>
void interleave(const G& g, int64_t group, int64_t pixel, int64_t count, uint8_t* to) {
    for (int64_t k = 0; k < g.depth; ++k) {
        const uint8_t* from = operand(g, group, k) + pixel;
        for (int64_t p = 0; p < lanes; ++p) to[k * lanes + p] = p < count ? from[p] : 0;
    }
}

template <class G>
void block(const G& g, const Panel& panel, const uint8_t* x, int64_t pixel, int64_t count) {
    for (int32_t row = 0; row < panel.rows; ++row) {
        int32_t sum[lanes];
        for (int32_t& each : sum) each = panel.ends[row].bias;
        for (int64_t k = 0; k < g.depth; ++k) {
            const auto weight = static_cast<int16_t>(panel.weights[k / 4 * 16 + row * 4 + k % 4]);
            for (int p = 0; p < lanes; ++p) sum[p] = int8_plus(sum[p], static_cast<int16_t>(x[k * lanes + p]) * weight);
        }
        end(g, panel.channel + row, pixel, sum, count);
    }
}

#endif

template <class G>
void of_group(const G& g, uint8_t* scratch, int64_t group, int64_t first_pixel, int64_t last_pixel, int64_t first, int64_t last) {
    for (int64_t pixel = first_pixel; pixel < last_pixel; pixel += lanes) {
        const int64_t count = last_pixel - pixel < lanes ? last_pixel - pixel : lanes;
        interleave(g, group, pixel, count, scratch);
        each_panel(g, group, first, last, [&](const Panel& panel) { block(g, panel, scratch, pixel, count); });
    }
}

#endif

template <class G>
void multiply(const G& g, uint8_t* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    const auto panels = static_cast<int32_t>(int8_panels(g.rows));
    for (int32_t number = first_panel; number < last_panel;) {
        const int32_t group = number / panels, end = (group + 1) * panels < last_panel ? (group + 1) * panels : last_panel;
        of_group(g, scratch, group, first_pixel, last_pixel, number - group * panels, end - group * panels);
        number = end;
    }
}

}  // namespace
}  // namespace shufflekit::SHUFFLEKIT_ISA
