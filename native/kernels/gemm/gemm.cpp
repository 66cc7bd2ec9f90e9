// Pixels (blocks of three vectors, or six) > panels > rows of a panel in passes > depth; a tile of rows x vectors of sums stays
// in registers. AVX-512 and NEON: 8 x 3 sums + 3 operands + 1 weight = 28 of 32; AVX2: 4 x 3 + 3 + 1 = 16 of 16; WebAssembly: 2 x 6 + 2 weights
// + 1 operand = 15 of 16, of which a browser keeps one (4 x 2 sums wait for themselves). Pixels are outside so that a tile's operands
// stay in the L1 cache while weights stream.
//
// Up to four pixels beyond whole vectors are vectors over a panel's rows instead: at 7x7 that is one narrow multiply-add in
// place of a whole vector for each row (49 = 3 x 16 + 1). With AVX-512 five to twelve are vectors over the rows of two panels, or twice two:
// nine take nine multiply-adds there, where a whole vector of each row is sixteen. So are all pixels, where they are 26 at most.
#include "kernels/gemm/panels.h"
#include "kernels/lanes.h"
#include "kernels/registers.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

constexpr int tile_vectors = has_few_registers ? 6 : 3;
template <int V>
constexpr int most_rows = vector_registers >= 32 ? 8 : !has_few_registers ? 4 : V > 3 ? 2 : V == 3 ? 3 : V == 2 ? 4 : 8;  // of a tile of so many vectors
// The operands of a deeper tile, three lines each, do not stay in the L1 cache, and a core with two multiply-add units waits for
// them. Prefetched, on such a core: 1024 x 464, 49 pixels, 83 to 89 % of the peak; 512 x 512, 196 pixels, 82 to 89 %. Shallower
// tiles lose by it.
constexpr int64_t deep = 160;
constexpr int most_tail_pixels = vector_lanes > 4 ? 4 : vector_lanes - 1;

// Single pixels take both bounds, whichever bind: the same code for all three.
template <Bounds B>
constexpr Bounds of_pixels = B == Bounds::none || B == Bounds::lower ? Bounds::both : B;

// What a tile prefetches besides weights.
enum class Ahead { none, pixels, operands };

// Every loop over sums is unrolled: one that is not would put them all on the stack.
// With Tail, the one pixel behind the tile's is done too, as a vector over the panel's rows.
template <Bounds B, int R, int V, bool Tail>
[[gnu::always_inline]] inline void tile(const Gemm& gemm, const Panel& panel, int row, int64_t pixel) {
    vector sum[R][V];
    rows_vector tail{};
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 6
        for (int v = 0; v < V; ++v) sum[r][v] = vector{};
    const bool is_large = gemm.pixels > large_plane;
    // Three panels bring three vectors.
    const int64_t pixels_ahead = (V + panel.first_row / gemm_panel % tile_vectors) * vector_lanes;
    const float* in = gemm.in.base + pixel;
    asm("" : "+r"(in));  // one address, or GCC adds its two parts for each load: 3 % of a deep tile
    const float* weights = panel.weights + row;
    const auto multiply = [&]<Ahead A>() __attribute__((always_inline)) {
        for (int64_t k = 0; k < gemm.depth; ++k, weights += gemm_panel) {
            const float* operand = in + panel.operands[k];
            __builtin_prefetch(weights + weights_ahead, 0, 2);
            if constexpr (A == Ahead::pixels) __builtin_prefetch(operand + pixels_ahead, 0, 2);
            if constexpr (A == Ahead::operands) {
                const float* soon = in + panel.operands[k + gemm_operands_ahead];
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) __builtin_prefetch(soon + v * vector_lanes, 0, 3);
            }
            if constexpr (has_few_registers && V > 3) {  // operands one by one: browsers take instructions in this order
                vector weight[R];
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) weight[r] = broadcast<vector>(weights[r]);
#pragma GCC unroll 6
                for (int v = 0; v < V; ++v) {
                    const vector x = load(operand + v * vector_lanes);
#pragma GCC unroll 8
                    for (int r = 0; r < R; ++r) {
                        sum[r][v] += weight[r] * x;
                        asm volatile("" : "+r"(sum[r][v]));  // Clang would take a row's products first, and keep all operands: half as fast
                    }
                }
            } else {
                vector x[V];
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) x[v] = load(operand + v * vector_lanes);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    const vector weight = broadcast<vector>(weights[r]);
#pragma GCC unroll 4
                    for (int v = 0; v < V; ++v) sum[r][v] += weight * x[v];
                }
            }
            if constexpr (Tail) tail += *reinterpret_cast<const rows_vector*>(weights) * operand[V * vector_lanes];
        }
    };
    if constexpr (has_few_registers)  // a browser has no prefetches
        multiply.template operator()<Ahead::none>();
    else
        is_large            ? multiply.template operator()<Ahead::pixels>()
        : gemm.depth > deep ? multiply.template operator()<Ahead::operands>()
                            : multiply.template operator()<Ahead::none>();
    if constexpr (Tail) put_pixel<of_pixels<B>>(gemm, panel, pixel + V * vector_lanes, tail);
    put_tile<B>(gemm, panel, row, pixel, sum);
}

template <Bounds B, int V, bool Tail = false, int R = most_rows<V>>
void pass(const Gemm& gemm, const Panel& panel, int row, int rows, int64_t pixel) {
    if (R == 1 || rows == R) {
        if constexpr (has_few_registers)  // copies, which nothing can change: the loop loads none of their fields
            return tile<B, R, V, Tail>(Gemm(gemm), Panel(panel), row, pixel);
        else
            return tile<B, R, V, Tail>(gemm, panel, row, pixel);
    }
    if constexpr (R > 1) pass<B, V, Tail, R - 1>(gemm, panel, row, rows, pixel);
}

template <Bounds B, int V>
void rows_of(const Gemm& gemm, const Panel& panel, int64_t pixel) {
    const int passes = (panel.rows + most_rows<V> - 1) / most_rows<V>;
    for (int row = 0, left = passes; left > 0; --left) {
        const int now = (panel.rows - row + left - 1) / left;
        pass<B, V>(gemm, panel, row, now, pixel);
        row += now;
    }
}

template <Bounds B>
[[gnu::always_inline]] inline void tiles_of(const Gemm& gemm, const Panel& panel, int64_t vectors, int64_t pixel) {
    if constexpr (has_few_registers) switch (vectors) {
            case 6: return rows_of<B, 6>(gemm, panel, pixel);
            case 5: return rows_of<B, 5>(gemm, panel, pixel);
            case 4: return rows_of<B, 4>(gemm, panel, pixel);
        }
    vectors == 3 ? rows_of<B, 3>(gemm, panel, pixel) : vectors == 2 ? rows_of<B, 2>(gemm, panel, pixel) : rows_of<B, 1>(gemm, panel, pixel);
}

// S pixels of P panels of one group, a vector of sums each: one sum alone would wait for its own multiply-adds.
template <Bounds B, int S, int P>
void tail(const Gemm& gemm, PanelWalk& walk, int64_t pixel) {
    const Panel& first = *walk;
    const int64_t stride = walk.stride();
    rows_vector sum[P][S];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
        for (int s = 0; s < S; ++s) sum[p][s] = rows_vector{};
    const float* in = gemm.in.base + pixel;
    const float* weights = first.weights;
    const int32_t* operands = first.operands;
    for (int64_t k = 0; k < gemm.depth; ++k, weights += gemm_panel) {
        const float* operand = in + operands[k];
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) {
            const rows_vector weight = *reinterpret_cast<const rows_vector*>(weights + p * stride);
#pragma GCC unroll 4
            for (int s = 0; s < S; ++s) sum[p][s] += weight * operand[s];
        }
    }
    for (int p = 0; p < P; ++p, ++walk)
        for (int s = 0; s < S; ++s) put_pixel<B>(gemm, *walk, pixel + s, sum[p][s]);
}

template <Bounds B, int S>
void tails(const Gemm& gemm, int32_t number, int32_t last, int64_t pixel) {
    constexpr int together = S == 1 ? 4 : 8 / S;  // of a linear layer four: more streams of weights are slower
    PanelWalk walk(gemm, number);
    while (number < last) {
        if (walk.left_in_group() >= together && last - number >= together)
            tail<B, S, together>(gemm, walk, pixel), number += together;
        else
            tail<B, S, 1>(gemm, walk, pixel), ++number;
    }
}

constexpr int64_t most_across = 13;  // pixels: two sums each, weights and an operand are 29 registers

// Whether so many pixels beyond whole vectors are vectors over the rows of panels. From that depth on the multiply-adds that are spared take
// longer than turning the sums.
bool goes_across(const Gemm& gemm, int64_t pixels) {
    return vector_lanes == 16 && pixels > most_tail_pixels && pixels <= 12 && gemm.depth >= 16;
}

// Whether all pixels are, since vectors of them are so few that each weight is loaded for one multiply-add.
bool goes_all_across(const Gemm& gemm, int64_t pixels) {
    const int64_t least_depth = pixels <= vector_lanes ? 96 : 32;
    return vector_lanes == 16 && pixels > most_tail_pixels && pixels <= 2 * most_across && gemm.depth >= least_depth && gemm_panels(gemm.rows) >= 4;
}

#if SHUFFLEKIT_VECTOR_BYTES == 64
[[gnu::always_inline]] inline rows_vector rows_of(const float* a) { return *reinterpret_cast<const rows_vector*>(a); }
[[gnu::always_inline]] inline vector rows_of(const float* a, const float* b) {
    return (vector)_mm512_insertf32x8(_mm512_castps256_ps512((__m256)rows_of(a)), (__m256)rows_of(b), 1);
}

// Sums of S pixels that are vectors over the rows of one panel or of two.
template <Bounds B, int S, class Rows, class... Panels>
[[gnu::always_inline]] inline void put_across(const Gemm& gemm, int64_t pixel, const Rows (&sum)[S], const Panels&... panels) {
    vector row[vector_lanes];
    const Rows bias = rows_of(panels.bias...);
#pragma GCC unroll 16
    for (int s = 0; s < vector_lanes; ++s) {
        if constexpr (sizeof...(panels) == 1) row[s] = s < S ? (vector)_mm512_castps256_ps512((__m256)(sum[s] + bias)) : vector{};
        if constexpr (sizeof...(panels) == 2) row[s] = s < S ? sum[s] + bias : vector{};
    }
    transpose(row);
    const SomeLanes lanes(0, S);
    const vector high = broadcast<vector>(gemm.epilogue.high());
    const vector* from = row;
    const Panel* const each[] = {&panels...};
    for (const Panel* panel : each) {
        for (int r = 0; r < panel->rows; ++r) {
            const int64_t channel = panel->first_row + r;
            vector x = from[r];
            if (gemm.residual.base) x += lanes.load(gemm.residual[channel] + pixel);
            lanes.store(gemm.out[channel] + pixel, bounded<B>(x, broadcast<vector>(low_of<B>(gemm.epilogue, channel)), high));
        }
        from += gemm_panel;
    }
}

// S pixels of one panel, or of it and another one of its group. The weights of those that follow are so many floats ahead.
template <Bounds B, int S, class... Other>
void across_rows(const Gemm& gemm, int64_t pixel, int64_t ahead, const Panel& one, const Other&... other) {
    using Rows = decltype(rows_of(one.weights, other.weights...));
    Rows sum[S];
#pragma GCC unroll 13
    for (int s = 0; s < S; ++s) sum[s] = Rows{};
    const float* in = gemm.in.base + pixel;
    for (int64_t k = 0; k < gemm.depth; ++k) {
        const float* operand = in + one.operands[k];
        const int64_t at = k * gemm_panel;
        const auto weight = rows_of(one.weights + at, (other.weights + at)...);
        __builtin_prefetch(one.weights + at + ahead, 0, 2), (__builtin_prefetch(other.weights + at + ahead, 0, 2), ...);
#pragma GCC unroll 13
        for (int s = 0; s < S; ++s) sum[s] += weight * operand[s];
    }
    put_across<B, S>(gemm, pixel, sum, one, other...);
}

// Of four panels: an operand is loaded once for two multiply-adds, of which a core makes as many as it loads. A line has the weights of two k.
template <Bounds B, int S>
void across_rows(const Gemm& gemm, int64_t pixel, int64_t ahead, const Panel& a, const Panel& b, const Panel& c, const Panel& d) {
    vector low[S], high[S];
#pragma GCC unroll 13
    for (int s = 0; s < S; ++s) low[s] = high[s] = vector{};
    const float* in = gemm.in.base + pixel;
    const float* const ends[] = {a.weights + ahead, b.weights + ahead, c.weights + ahead, d.weights + ahead};
    for (int64_t k = 0; k < gemm.depth; ++k) {
        const float* operand = in + a.operands[k];
        const int64_t at = k * gemm_panel;
        const vector one = rows_of(a.weights + at, b.weights + at), other = rows_of(c.weights + at, d.weights + at);
        __builtin_prefetch(ends[k % 2 * 2] + at, 0, 2), __builtin_prefetch(ends[k % 2 * 2 + 1] + at, 0, 2);
#pragma GCC unroll 13
        for (int s = 0; s < S; ++s) {
            const vector x = broadcast<vector>(operand[s]);
            low[s] += one * x, high[s] += other * x;
        }
    }
    put_across<B, S>(gemm, pixel, low, a, b), put_across<B, S>(gemm, pixel, high, c, d);
}

template <Bounds B, class... Panels>
void across_rows(const Gemm& gemm, int64_t pixels, int64_t pixel, int64_t ahead, const Panels&... panels) {
    switch (pixels) {
        case 5: return across_rows<B, 5>(gemm, pixel, ahead, panels...);
        case 6: return across_rows<B, 6>(gemm, pixel, ahead, panels...);
        case 7: return across_rows<B, 7>(gemm, pixel, ahead, panels...);
        case 8: return across_rows<B, 8>(gemm, pixel, ahead, panels...);
        case 9: return across_rows<B, 9>(gemm, pixel, ahead, panels...);
        case 10: return across_rows<B, 10>(gemm, pixel, ahead, panels...);
        case 11: return across_rows<B, 11>(gemm, pixel, ahead, panels...);
        case 12: return across_rows<B, 12>(gemm, pixel, ahead, panels...);
        default: return across_rows<B, 13>(gemm, pixel, ahead, panels...);
    }
}

// 5 to 26 pixels, more than 13 of them as two halves.
template <Bounds B>
void panels_across(const Gemm& gemm, int64_t pixels, int32_t number, int32_t last, int64_t pixel) {
    const int64_t half = pixels > most_across ? (pixels + 1) / 2 : pixels;
    const auto each_half = [&](int64_t ahead, const auto&... panels) __attribute__((always_inline)) {
        across_rows<B>(gemm, half, pixel, ahead, panels...);
        if (half < pixels) across_rows<B>(gemm, pixels - half, pixel + half, ahead, panels...);
    };
    PanelWalk walk(gemm, number);
    const auto next = [&] {
        const Panel panel = *walk;
        ++walk, ++number;
        return panel;
    };
    while (number < last) {
        const int32_t left = walk.left_in_group() < last - number ? walk.left_in_group() : last - number;
        const Panel a = next();
        if (left == 1) {
            each_half(2 * walk.stride(), a);
            continue;
        }
        const Panel b = next();
        if (left < 4) {
            each_half(2 * walk.stride(), a, b);
            continue;
        }
        const Panel c = next(), d = next();
        each_half(4 * walk.stride(), a, b, c, d);
    }
}
#endif

template <Bounds B>
void multiply(const Gemm& gemm, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    const int64_t pixels = last_pixel - first_pixel;
#if SHUFFLEKIT_VECTOR_BYTES == 64
    if (goes_all_across(gemm, pixels)) return panels_across<B>(gemm, pixels, first_panel, last_panel, first_pixel);
#endif
    int64_t rest = pixels % vector_lanes, vectors = pixels / vector_lanes;
    if (rest > most_tail_pixels && !goes_across(gemm, rest)) ++vectors, rest = 0;  // a whole vector reaches into the planes' padding
    for (int64_t v = 0; v < vectors;) {
        const int64_t left = vectors - v;
        // 4 as 2 + 2, not 3 + 1; but 25 of few registers as 6 + 6 + 6 + 6 + 1: sums of other tiles wait for themselves.
        const int64_t tiles = (left + tile_vectors - 1) / tile_vectors, even = (left + tiles - 1) / tiles;
        const int64_t now = has_few_registers && left > tile_vectors ? tile_vectors : even;
        const int64_t pixel = first_pixel + v * vector_lanes;
        if (most_rows<tile_vectors> == gemm_panel && rest == 1 && left == tile_vectors) {  // 49 = 3 x 16 + 1: weights stream once for all of them
            PanelWalk panel(gemm, first_panel);
            for (int32_t number = first_panel; number < last_panel; ++number, ++panel)
                pass<B, tile_vectors, true>(gemm, *panel, 0, panel->rows, pixel);
            rest = 0;
            break;
        }
        PanelWalk panel(gemm, first_panel);
        for (int32_t number = first_panel; number < last_panel; ++number, ++panel) tiles_of<B>(gemm, *panel, now, pixel);
        v += now;
    }
    const int64_t pixel = first_pixel + vectors * vector_lanes;
    switch (rest) {
        case 1: tails<of_pixels<B>, 1>(gemm, first_panel, last_panel, pixel); break;
        case 2: tails<of_pixels<B>, 2>(gemm, first_panel, last_panel, pixel); break;
        case 3: tails<of_pixels<B>, 3>(gemm, first_panel, last_panel, pixel); break;
        case 4: tails<of_pixels<B>, 4>(gemm, first_panel, last_panel, pixel); break;
    }
#if SHUFFLEKIT_VECTOR_BYTES == 64
    // After the tiles, which bring weights better.
    if (rest > most_tail_pixels) panels_across<B>(gemm, rest, first_panel, last_panel, pixel);
#endif
}

}  // namespace

void gemm(const Gemm& gemm, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    const auto multiplied = [&]<Bounds B>() { multiply<B>(gemm, first_pixel, last_pixel, first_panel, last_panel); };
    if constexpr (has_few_registers)  // one copy of all tiles: the file is to be small
        multiplied.template operator()<Bounds::any>();
    else
        with_ends(gemm.epilogue.activation, multiplied);
    if (!ends_in_registers(gemm.epilogue)) activate_share(gemm, first_pixel, last_pixel, first_panel, last_panel);
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
