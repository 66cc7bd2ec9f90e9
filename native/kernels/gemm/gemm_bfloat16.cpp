// Where one instruction multiplies and adds 32 of them: pixels (blocks of three vectors) > groups > round the operands of all pairs into
// scratch > panels > rows of a panel > pairs of the depth; tiles and the pixels beyond whole vectors are those of gemm.cpp. A pair of a
// block is rounded once for all panels of its group, and lies in a line for each vector. AVX-512: 8 x 3 sums + 3 operands + 1 weight = 28 of 32
// registers.
//
// Elsewhere rounded operands of a block and the weights of a panel are written to scratch as floats, and the GEMM of float32 multiplies them.
#include "kernels/gemm/panels.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace shufflekit::SHUFFLEKIT_ISA {

Gemm::Function gemm;

namespace {

// To the nearest bfloat16, halves to the even one, which is its upper half; what is no number stays none.
uint32_t rounded(float x) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, x);
    return (x != x ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
}

#if defined(__AVX512BF16__)

using word = uint32_t __attribute__((may_alias));
using words = uint32_t __attribute__((vector_size(SHUFFLEKIT_VECTOR_BYTES), may_alias));
using rows_words [[gnu::vector_size(gemm_panel * sizeof(uint32_t)), gnu::aligned(4), gnu::may_alias]] = uint32_t;

constexpr int tile_vectors = 3, most_tail_pixels = 4;

// Two of the depth as a word.
[[gnu::always_inline]] inline words pair(vector first, vector second) {
    const __m512i in_turn = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3,
                                             18, 2, 17, 1, 16, 0);
    return (words)_mm512_permutexvar_epi16(in_turn, (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first));
}
[[gnu::always_inline]] inline words load_words(const uint32_t* from) {
    __m512i x = _mm512_load_si512(from);
    asm("" : "+v"(x));  // once for all rows: GCC would load it again for each
    return (words)x;
}
[[gnu::always_inline]] inline vector add_products(vector sum, words x, uint32_t weight) {
    return (vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)_mm512_set1_epi32(static_cast<int32_t>(weight)));
}
[[gnu::always_inline]] inline rows_vector add_products(rows_vector sum, rows_words weights, uint32_t x) {
    return (rows_vector)_mm256_dpbf16_ps((__m256)sum, (__m256bh)weights, (__m256bh)_mm256_set1_epi32(static_cast<int32_t>(x)));
}

constexpr float zeros[2 * GemmBfloat16::block] = {};  // and as many that are prefetched

// task(first, second) for what the planes of each pair of a panel's group have from a pixel on; behind an odd depth the second is zeros.
template <class Task>
[[gnu::always_inline]] inline void each_pair(const GemmBfloat16& gemm, const Panel& panel, int64_t pixel, Task task) {
    const float* const in = gemm.in.base + pixel;
    const int32_t* const operands = panel.operands;
    const int64_t depth = gemm.depth;
    int64_t k = 0;
    for (; k + 2 <= depth; k += 2) task(in + operands[k], in + operands[k + 1]);
    if (k < depth) task(in + operands[k], zeros);
}

template <int V>
void round_vectors(const GemmBfloat16& gemm, const Panel& panel, int64_t pixel, uint32_t* to) {
    const bool is_large = gemm.pixels > large_plane;
    each_pair(gemm, panel, pixel, [&](const float* first, const float* second) __attribute__((always_inline)) {
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            const int64_t at = v * vector_lanes;
            if (is_large) __builtin_prefetch(first + at + GemmBfloat16::block, 0, 2), __builtin_prefetch(second + at + GemmBfloat16::block, 0, 2);
            _mm512_store_si512(to + at, (__m512i)pair(load(first + at), load(second + at)));
        }
        to += V * vector_lanes;
    });
}

template <int S>
void round_pixels(const GemmBfloat16& gemm, const Panel& panel, int64_t pixel, uint32_t* to) {
    each_pair(gemm, panel, pixel, [&](const float* first, const float* second) {
        for (int s = 0; s < S; ++s) *to++ = rounded(first[s]) >> 16 | rounded(second[s]);
    });
}

// Every loop over sums is unrolled: one that is not would put them all on the stack.
// With Tail, the one pixel behind the tile's is done too, as a vector over the panel's rows.
template <Bounds B, int R, int V, bool Tail>
[[gnu::always_inline]] inline void tile(const GemmBfloat16& gemm, const Panel& panel, int64_t pixel, const uint32_t* x, const uint32_t* behind) {
    vector sum[R][V] = {};
    rows_vector tail{};
    const word* weights = reinterpret_cast<const word*>(panel.weights);
    const int64_t pairs = gemm_pairs(gemm.depth);
    for (int64_t k = 0; k < pairs; ++k, weights += gemm_panel, x += V * vector_lanes) {
        __builtin_prefetch(weights + weights_ahead, 0, 2);
        words operands[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) operands[v] = load_words(x + v * vector_lanes);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) sum[r][v] = add_products(sum[r][v], operands[v], weights[r]);
        if constexpr (Tail) tail = add_products(tail, *reinterpret_cast<const rows_words*>(weights), behind[k]);
    }
    if constexpr (Tail) put_pixel(gemm, panel, pixel + V * vector_lanes, tail);
    put_tile<B>(gemm, panel, 0, pixel, sum);
}

template <Bounds B, int V, bool Tail = false>
void pass(const GemmBfloat16& gemm, const Panel& panel, int64_t pixel, const uint32_t* x, const uint32_t* behind = nullptr) {
    switch (panel.rows) {
        case 1: return tile<B, 1, V, Tail>(gemm, panel, pixel, x, behind);
        case 2: return tile<B, 2, V, Tail>(gemm, panel, pixel, x, behind);
        case 3: return tile<B, 3, V, Tail>(gemm, panel, pixel, x, behind);
        case 4: return tile<B, 4, V, Tail>(gemm, panel, pixel, x, behind);
        case 5: return tile<B, 5, V, Tail>(gemm, panel, pixel, x, behind);
        case 6: return tile<B, 6, V, Tail>(gemm, panel, pixel, x, behind);
        case 7: return tile<B, 7, V, Tail>(gemm, panel, pixel, x, behind);
        default: return tile<B, 8, V, Tail>(gemm, panel, pixel, x, behind);
    }
}

// task(panel) for panels [number, last), of which all operands are rounded by `round` when a group begins.
template <class Round, class Task>
[[gnu::always_inline]] inline void each_panel(const GemmBfloat16& gemm, int32_t number, int32_t last, Round round, Task task) {
    PanelWalk panel(gemm, number, gemm_pairs(gemm.depth));
    while (number < last) {
        round(*panel);
        const int32_t end = number + panel.left_in_group() < last ? number + panel.left_in_group() : last;
        for (; number < end; ++number, ++panel) task(*panel);
    }
}

template <Bounds B, int V>
void vectors_of(const GemmBfloat16& gemm, uint32_t* scratch, int32_t first_panel, int32_t last_panel, int64_t pixel) {
    each_panel(
        gemm, first_panel, last_panel, [&](const Panel& panel) { round_vectors<V>(gemm, panel, pixel, scratch); },
        [&](const Panel& panel) { pass<B, V>(gemm, panel, pixel, scratch); });
}

// Three vectors and the one pixel behind them.
template <Bounds B>
void vectors_and_pixel(const GemmBfloat16& gemm, uint32_t* scratch, int32_t first_panel, int32_t last_panel, int64_t pixel) {
    uint32_t* const behind = scratch + gemm_pairs(gemm.depth) * GemmBfloat16::block;
    each_panel(
        gemm, first_panel, last_panel,
        [&](const Panel& panel) {
            round_vectors<tile_vectors>(gemm, panel, pixel, scratch);
            round_pixels<1>(gemm, panel, pixel + tile_vectors * vector_lanes, behind);
        },
        [&](const Panel& panel) { pass<B, tile_vectors, true>(gemm, panel, pixel, scratch, behind); });
}

// S pixels of P panels of one group, a vector of sums each: one sum alone would wait for its own products.
template <int S, int P>
void tail(const GemmBfloat16& gemm, PanelWalk& walk, int64_t pixel, const uint32_t* x) {
    const int64_t pairs = gemm_pairs(gemm.depth), stride = pairs * gemm_panel;
    rows_vector sum[P][S] = {};
    const word* weights = reinterpret_cast<const word*>(walk->weights);
    for (int64_t k = 0; k < pairs; ++k, weights += gemm_panel, x += S) {
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) {
            const rows_words weight = *reinterpret_cast<const rows_words*>(weights + p * stride);
#pragma GCC unroll 4
            for (int s = 0; s < S; ++s) sum[p][s] = add_products(sum[p][s], weight, x[s]);
        }
    }
    for (int p = 0; p < P; ++p, ++walk)
        for (int s = 0; s < S; ++s) put_pixel(gemm, *walk, pixel + s, sum[p][s]);
}

template <int S>
void tails(const GemmBfloat16& gemm, uint32_t* scratch, int32_t number, int32_t last, int64_t pixel) {
    constexpr int together = S == 1 ? 4 : 8 / S;  // as in gemm.cpp
    PanelWalk walk(gemm, number, gemm_pairs(gemm.depth));
    while (number < last) {
        round_pixels<S>(gemm, *walk, pixel, scratch);
        const int32_t end = number + walk.left_in_group() < last ? number + walk.left_in_group() : last;
        for (; number + together <= end; number += together) tail<S, together>(gemm, walk, pixel, scratch);
        for (; number < end; ++number) tail<S, 1>(gemm, walk, pixel, scratch);
    }
}

template <Bounds B>
void multiply(const GemmBfloat16& gemm, uint32_t* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    const int64_t pixels = last_pixel - first_pixel;
    int64_t rest = pixels % vector_lanes, vectors = pixels / vector_lanes;
    if (rest > most_tail_pixels) ++vectors, rest = 0;  // a whole vector reaches into the planes' padding
    for (int64_t v = 0; v < vectors;) {
        const int64_t left = vectors - v, pixel = first_pixel + v * vector_lanes;
        const int64_t now = left == 4 ? 2 : left < tile_vectors ? left : tile_vectors;  // 4 as 2 + 2, not 3 + 1
        if (rest == 1 && left == tile_vectors) {
            vectors_and_pixel<B>(gemm, scratch, first_panel, last_panel, pixel);
            return;
        }
        now == 3   ? vectors_of<B, 3>(gemm, scratch, first_panel, last_panel, pixel)
        : now == 2 ? vectors_of<B, 2>(gemm, scratch, first_panel, last_panel, pixel)
                   : vectors_of<B, 1>(gemm, scratch, first_panel, last_panel, pixel);
        v += now;
    }
    const int64_t pixel = first_pixel + vectors * vector_lanes;
    switch (rest) {
        case 1: return tails<1>(gemm, scratch, first_panel, last_panel, pixel);
        case 2: return tails<2>(gemm, scratch, first_panel, last_panel, pixel);
        case 3: return tails<3>(gemm, scratch, first_panel, last_panel, pixel);
        case 4: return tails<4>(gemm, scratch, first_panel, last_panel, pixel);
    }
}

}  // namespace

void gemm_bfloat16(const GemmBfloat16& gemm, uint32_t* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    with_bounds(gemm.epilogue.activation,
                [&]<Bounds B>() { multiply<B>(gemm, scratch, first_pixel, last_pixel, first_panel, last_panel); });
    activate_share(gemm, first_pixel, last_pixel, first_panel, last_panel);
}

#else

constexpr int32_t block = GemmBfloat16::block;

void round_planes(const GemmBfloat16& gemm, const int32_t* operands, int64_t pixel, int64_t count, float* to) {
    for (int64_t k = 0; k < gemm.depth; ++k, to += block) {
        const float* const from = gemm.in.base + operands[k] + pixel;
        for (int64_t p = 0; p < count; ++p) to[p] = __builtin_bit_cast(float, rounded(from[p]));
    }
}

void take_apart(const GemmBfloat16& gemm, const Panel& panel, float* to) {
    for (int64_t k = 0; k < gemm.depth; ++k)
        for (int64_t row = 0; row < gemm_panel; ++row) {
            const auto two = __builtin_bit_cast(uint32_t, panel.weights[k / 2 * gemm_panel + row]);
            *to++ = __builtin_bit_cast(float, k % 2 ? two & 0xffff0000 : two << 16);
        }
}

}  // namespace

void gemm_bfloat16(const GemmBfloat16& g, uint32_t* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    auto* const planes = reinterpret_cast<float*>(scratch);
    float* const weights = planes + int64_t{g.depth} * block;
    auto* const offsets = reinterpret_cast<int32_t*>(weights + int64_t{g.depth} * gemm_panel);
    for (int32_t k = 0; k < g.depth; ++k) offsets[k] = k * block;
    for (int32_t pixel = first_pixel; pixel < last_pixel; pixel += block) {
        const int32_t end = last_pixel - pixel < block ? last_pixel : pixel + block;
        const int32_t* of_planes = nullptr;
        PanelWalk panel(g, first_panel, gemm_pairs(g.depth));
        for (int32_t number = first_panel; number < last_panel; ++number, ++panel) {
            if (panel->operands != of_planes) round_planes(g, of_planes = panel->operands, pixel, end - pixel, planes);
            take_apart(g, *panel, weights);
            Gemm product{{planes - pixel, offsets}, {g.out.base, g.out.offsets + panel->first_row}, g.residual, weights, panel->bias,
                         1, panel->rows, g.depth, g.pixels, g.epilogue.from(panel->first_row)};
            if (product.residual.base) product.residual.offsets += panel->first_row;
            gemm(product, pixel, end, 0, 1);
        }
    }
}

#endif

}  // namespace shufflekit::SHUFFLEKIT_ISA
