// Pixels (blocks) > groups > panels > depth; a tile of 4 rows x a block's pixels of sums stays in registers. Operands of a block are
// interleaved once for all panels of a group, so that what is multiplied together lies together, in scratch that stays in the L1 cache.
// With VNNI a block is 64 pixels: 16 sums + 4 operands + 1 weight = 21 of 32 registers; one of up to 48 takes the rows of two panels, 24 sums,
// so that operands beyond the L1 cache are read half as often. The packs that end a tile undo the order in
// which unpacking left the pixels. The last block has up to five vectors, a fifth or fewer than four in the order of pixels: one
// by itself would wait for its sums. Up to four pixels behind these are computed as linear layers are, so that 49 are 3 vectors.
// With AVX-VNNI tiles are those of AVX2, and bytes are multiplied as they are. Without either, operands and weights are widened to words,
// and products of pairs summed in 32 bits: nothing saturates. Where all weights of a step have 7 bits, products of pairs of bytes fit into 16.
//
// NEON's dot products have four rows by 16 pixels a tile: one operand of four lanes by one of four weights, or with i8mm two eights by two.
//
// Who includes this has said before what becomes of sums: end(gemm, channel, pixel, sums, ...), and may put operands by put_operands.
#pragma once

#include "kernels/gemm_int8/gemm_int8.h"
#include "kernels/int8_end.h"
#if defined(__wasm_simd128__)
#include "kernels/int8_dots.h"
#endif

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

using Four [[gnu::aligned(1), gnu::may_alias]] = int32_t;  // `auto` would lose both

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

// task(panel) for panels [first, last) of one group, or for as many at a time as are whole.
template <int Together = 1, class G, class Task>
[[gnu::always_inline]] inline void each_panel(const G& g, int64_t group, int64_t first, int64_t last, Task task) {
    const int64_t panels = int8_panels(g.rows);
    for (int64_t i = first; i < last;) {
        const int64_t row = i * int8_panel, channel = group * g.rows + row, left = g.rows - row;
        const int64_t now = last - i >= Together && left >= Together * int8_panel ? Together : 1;
        const auto rows = static_cast<int32_t>(left < now * int8_panel ? left : now * int8_panel);
        task(Panel{g.weights + (group * panels + i) * int8_fours(g.depth) * 16, g.ends + channel, channel, rows});
        i += now;
    }
}

// Each four of the operands four times, for one pixel, as that of a linear layer.
template <class G>
void spread(const G& g, int64_t group, int64_t pixel, uint8_t* to) {
    const int64_t fours = int8_fours(g.depth);
    for (int64_t k = 0; k < fours; ++k) {
        uint8_t four[4];
        for (int64_t i = 0; i < 4; ++i) four[i] = operand(g, group, 4 * k + i)[pixel];
        for (int64_t row = 0; row < 4; ++row) __builtin_memcpy(to + k * 16 + row * 4, four, sizeof(four));
    }
}

#if defined(__AVX512VNNI__)

// Whether who includes this has put V vectors of pixels, and `few` more behind them, as the functions below do.
template <int V, class G>
[[gnu::always_inline]] inline bool put_operands(const G&, int64_t, int64_t, uint8_t*, uint8_t*) {
    return false;
}

// V vectors of 16 pixels: of the first four, if there are so many, vector v has pixels 4 v to 4 v + 3 of each 16.
template <int V, class G>
[[gnu::always_inline]] inline void interleave(const G& g, int64_t group, int64_t pixel, uint8_t* to) {
    for (int64_t k = 0; k < g.depth; k += 4, to += 64 * V) {
        const uint8_t *a = operand(g, group, k) + pixel, *b = operand(g, group, k + 1) + pixel;
        const uint8_t *c = operand(g, group, k + 2) + pixel, *d = operand(g, group, k + 3) + pixel;
        if constexpr (V >= 4) {
            const __m512i A = _mm512_loadu_si512(a), B = _mm512_loadu_si512(b), C = _mm512_loadu_si512(c), D = _mm512_loadu_si512(d);
            const __m512i ab0 = _mm512_unpacklo_epi8(A, B), ab1 = _mm512_unpackhi_epi8(A, B);
            const __m512i cd0 = _mm512_unpacklo_epi8(C, D), cd1 = _mm512_unpackhi_epi8(C, D);
            _mm512_store_si512(to, _mm512_unpacklo_epi16(ab0, cd0));
            _mm512_store_si512(to + 64, _mm512_unpackhi_epi16(ab0, cd0));
            _mm512_store_si512(to + 128, _mm512_unpacklo_epi16(ab1, cd1));
            _mm512_store_si512(to + 192, _mm512_unpackhi_epi16(ab1, cd1));
        }
#pragma GCC unroll 3
        for (int v = V >= 4 ? 4 : 0; v < V; ++v) {
            const auto load = [&](const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p) + v); };
            const __m128i A = load(a), B = load(b), C = load(c), D = load(d);
            const __m128i ab0 = _mm_unpacklo_epi8(A, B), ab1 = _mm_unpackhi_epi8(A, B);
            const __m128i cd0 = _mm_unpacklo_epi8(C, D), cd1 = _mm_unpackhi_epi8(C, D);
            auto* out = reinterpret_cast<__m128i*>(to) + 4 * v;
            _mm_store_si128(out, _mm_unpacklo_epi16(ab0, cd0)), _mm_store_si128(out + 1, _mm_unpackhi_epi16(ab0, cd0));
            _mm_store_si128(out + 2, _mm_unpacklo_epi16(ab1, cd1)), _mm_store_si128(out + 3, _mm_unpackhi_epi16(ab1, cd1));
        }
    }
}

// Weights that are multiplied a little later: each is read once a block, and the processor's own prefetching ends at every page.
[[gnu::always_inline]] inline void fetch(const int8_t* weights) { __builtin_prefetch(weights + 2048); }

// Four of the depth for four rows, from four k on; behind the last they are 0.
[[gnu::always_inline]] inline __m512i weights_of(const Panel& panel, int64_t k, int64_t fours) {
    const auto inside = static_cast<__mmask16>(fours - k < 4 ? (1 << 4 * (fours - k)) - 1 : 0xffff);
    return _mm512_maskz_loadu_epi32(inside, panel.weights + k * 16);
}

// One pixel's sums of four rows, four by four of the depth.
template <class G>
[[gnu::always_inline]] inline void put_pixel(const G& g, const Panel& panel, __m512i sums, int64_t pixel) {
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
    alignas(16) int32_t of_rows[4];
    _mm_store_si128(reinterpret_cast<__m128i*>(of_rows), _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)));
    for (int32_t r = 0; r < panel.rows; ++r) end(g, panel.channel + r, pixel, int8_plus(of_rows[r], panel.ends[r].bias));
}

// Every loop over sums is unrolled: one that is not would put them all on the stack. With Tail, of two panels, one more pixel is computed from
// their weights while they are in the L1 cache; `one` has it as `spread` writes it.
template <int R, int V, bool Tail = false, class G>
[[gnu::always_inline]] inline void tile(const G& g, const Panel& panel, const uint8_t* x, int64_t pixel, [[maybe_unused]] const uint8_t* one = nullptr) {
    __m512i sum[R][V];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 5
        for (int v = 0; v < V; ++v) sum[r][v] = _mm512_set1_epi32(panel.ends[r].bias);
    const int8_t* weights = panel.weights;
    const int64_t fours = int8_fours(g.depth), next = fours * 16;  // panel
    const auto add = [&]() __attribute__((always_inline)) {
        __m512i operands[V];
#pragma GCC unroll 5
        for (int v = 0; v < V; ++v) operands[v] = _mm512_load_si512(x + 64 * v);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const __m512i four = _mm512_set1_epi32(reinterpret_cast<const Four*>(r < int8_panel ? weights : weights + next)[r % int8_panel]);
#pragma GCC unroll 5
            for (int v = 0; v < V; ++v) sum[r][v] = _mm512_dpbusd_epi32(sum[r][v], operands[v], four);
        }
        x += 64 * V, weights += 16;
    };
    int64_t k = 0;
    const auto add_four = [&]() __attribute__((always_inline)) {
        fetch(weights);
        if constexpr (R > int8_panel) fetch(weights + next);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) add();
    };
    if constexpr (Tail) {
        const Panel second{panel.weights + next, panel.ends + int8_panel, panel.channel + int8_panel, int8_panel};
        __m512i tail[2] = {};
        for (; k + 4 <= fours; k += 4) {
            const __m512i operands = _mm512_load_si512(one + 16 * k);
            tail[0] = _mm512_dpbusd_epi32(tail[0], operands, _mm512_loadu_si512(weights));
            tail[1] = _mm512_dpbusd_epi32(tail[1], operands, _mm512_loadu_si512(weights + next));
            add_four();
        }
        if (k < fours) {
            const __m512i operands = _mm512_load_si512(one + 16 * k);
            tail[0] = _mm512_dpbusd_epi32(tail[0], operands, weights_of(panel, k, fours));
            tail[1] = _mm512_dpbusd_epi32(tail[1], operands, weights_of(second, k, fours));
        }
        put_pixel(g, Panel{panel.weights, panel.ends, panel.channel, int8_panel}, tail[0], pixel + 16 * V);
        put_pixel(g, second, tail[1], pixel + 16 * V);
    }
    for (; k + 4 <= fours; k += 4) add_four();
    for (; k < fours; ++k) add();
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
        if constexpr (V == 5) {
            const __m512i four[4] = {sum[r][0], sum[r][1], sum[r][2], sum[r][3]}, fifth[1] = {sum[r][4]};
            end(g, panel.channel + r, pixel, four), end(g, panel.channel + r, pixel + 64, fifth);
        } else {
            end(g, panel.channel + r, pixel, sum[r]);
        }
    }
}

template <int V>
constexpr int panels_together = V > 0 && V <= 3 ? 2 : 1;

template <int V, class G>
void block(const G& g, const Panel& panel, const uint8_t* x, int64_t pixel) {
    if constexpr (panels_together<V> == 2)
        if (panel.rows == 2 * int8_panel) return tile<2 * int8_panel, V>(g, panel, x, pixel);
    switch (panel.rows) {
        case 1: return tile<1, V>(g, panel, x, pixel);
        case 2: return tile<2, V>(g, panel, x, pixel);
        case 3: return tile<3, V>(g, panel, x, pixel);
        default: return tile<4, V>(g, panel, x, pixel);
    }
}

// One pixel: a vector has four of the depth for four rows.
template <class G>
[[gnu::always_inline]] inline void linear(const G& g, const Panel& panel, const uint8_t* x, int64_t pixel) {
    __m512i sum[2] = {};
    const int64_t fours = int8_fours(g.depth);
    int64_t k = 0;
    for (; k + 8 <= fours; k += 8)
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i)
            sum[i] = _mm512_dpbusd_epi32(sum[i], _mm512_load_si512(x + (k + 4 * i) * 16), _mm512_loadu_si512(panel.weights + (k + 4 * i) * 16));
    for (; k < fours; k += 4) sum[0] = _mm512_dpbusd_epi32(sum[0], _mm512_load_si512(x + k * 16), weights_of(panel, k, fours));
    put_pixel(g, panel, _mm512_add_epi32(sum[0], sum[1]), pixel);
}

// As `spread`, of four pixels one behind another.
template <class G>
void spread_four(const G& g, int64_t group, int64_t pixel, uint8_t* to) {
    const int64_t fours = int8_fours(g.depth);
    for (int64_t k = 0; k < fours; ++k) {
        const auto load = [&](int64_t i) { return _mm_loadu_si32(operand(g, group, 4 * k + i) + pixel); };
        const __m128i pixels = _mm_unpacklo_epi16(_mm_unpacklo_epi8(load(0), load(1)), _mm_unpacklo_epi8(load(2), load(3)));
        auto* out = reinterpret_cast<__m128i*>(to) + k;
        _mm_store_si128(out, _mm_shuffle_epi32(pixels, 0x00)), _mm_store_si128(out + fours, _mm_shuffle_epi32(pixels, 0x55));
        _mm_store_si128(out + 2 * fours, _mm_shuffle_epi32(pixels, 0xaa)), _mm_store_si128(out + 3 * fours, _mm_shuffle_epi32(pixels, 0xff));
    }
}

// Four pixels likewise: their sums become the lanes of a row.
template <class G>
void linear_four(const G& g, const Panel& panel, const uint8_t* x, int64_t pixel) {
    __m512i sum[4] = {};
    const int64_t fours = int8_fours(g.depth);
    for (int64_t k = 0; k < fours; k += 4) {
        const __m512i weights = weights_of(panel, k, fours);
#pragma GCC unroll 4
        for (int64_t p = 0; p < 4; ++p) sum[p] = _mm512_dpbusd_epi32(sum[p], _mm512_loadu_si512(x + (p * fours + k) * 16), weights);
    }
    const auto halved = [](__m512i a, __m512i b) { return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x44), _mm512_shuffle_i32x4(a, b, 0xee)); };
    const __m512i first = halved(sum[0], sum[1]), second = halved(sum[2], sum[3]);
    const __m512i all = _mm512_add_epi32(_mm512_shuffle_i32x4(first, second, 0x88), _mm512_shuffle_i32x4(first, second, 0xdd));  // rows of each pixel
    __m512i of_row = _mm512_set4_epi32(12, 8, 4, 0);
    for (int32_t r = 0; r < panel.rows; ++r, of_row = _mm512_add_epi32(of_row, _mm512_set1_epi32(1))) {
        const __m512i one[1] = {_mm512_add_epi32(_mm512_permutexvar_epi32(of_row, all), _mm512_set1_epi32(panel.ends[r].bias))};
        end(g, panel.channel + r, pixel, one);
    }
}

// V vectors of pixels, and up to four pixels more.
template <int V, class G>
void vectors(const G& g, uint8_t* scratch, int64_t group, int64_t pixel, int64_t few, int64_t first, int64_t last) {
    uint8_t* const rest = scratch + int8_fours(g.depth) * 64 * V;
    if (!put_operands<V>(g, pixel, few, scratch, rest)) {
        if constexpr (V > 0) interleave<V>(g, group, pixel, scratch);
        if (few == 1)
            spread(g, group, pixel + 16 * V, rest);
        else if (few)
            spread_four(g, group, pixel + 16 * V, rest);
    }
    each_panel<panels_together<V>>(g, group, first, last, [&](const Panel& panel) {
        if constexpr (V == 3)
            if (few == 1 && panel.rows == 2 * int8_panel) return tile<2 * int8_panel, V, true>(g, panel, scratch, pixel, rest);
        if constexpr (V > 0) block<V>(g, panel, scratch, pixel);
        for (int32_t row = 0; few && row < panel.rows; row += int8_panel) {
            const int32_t rows = panel.rows < int8_panel ? panel.rows : int8_panel;
            const Panel one{panel.weights + row * 4 * int8_fours(g.depth), panel.ends + row, panel.channel + row, rows};
            if (few == 1)
                linear(g, one, rest, pixel + 16 * V);
            else
                linear_four(g, one, rest, pixel + 16 * V);
        }
    });
}

template <class G>
void of_group(const G& g, uint8_t* scratch, int64_t group, int64_t first_pixel, int64_t last_pixel, int64_t first, int64_t last) {
    for (int64_t pixel = first_pixel; pixel < last_pixel;) {
        const int64_t left = last_pixel - pixel, rest = left % 16, few = rest <= (g.depth < 64 ? 1 : 4) ? rest : 0, all = left / 16 + (rest > few);
        const int64_t now = all == 6 ? 3 : all > 5 ? 4 : all, beyond = now == all ? few : 0;
        switch (now) {
            case 0: vectors<0>(g, scratch, group, pixel, beyond, first, last); break;
            case 1: vectors<1>(g, scratch, group, pixel, beyond, first, last); break;
            case 2: vectors<2>(g, scratch, group, pixel, beyond, first, last); break;
            case 3: vectors<3>(g, scratch, group, pixel, beyond, first, last); break;
            case 4: vectors<4>(g, scratch, group, pixel, beyond, first, last); break;
            default: vectors<5>(g, scratch, group, pixel, beyond, first, last);
        }
        pixel += 16 * now + beyond;
    }
}

#else

constexpr int lanes = int8_lanes;  // pixels of a block

#if defined(__AVX2__)

// Whether fours of bytes are multiplied, and not pairs of words.
template <class G>
[[gnu::always_inline]] inline bool takes_bytes([[maybe_unused]] const G& g) {
#if defined(__AVXVNNI__)
    return true;
#else
    return g.seven_bits;
#endif
}
// Of 16 pixels of four operands.
template <class G>
[[gnu::always_inline]] inline int64_t four_bytes(const G& g) { return takes_bytes(g) ? 64 : 128; }

template <bool Bytes>
[[gnu::always_inline]] inline __m256i plus_products(__m256i sum, __m256i operands, __m256i weights) {
    if constexpr (!Bytes) return plus_pairs(sum, operands, weights);
#if defined(__AVXVNNI__)
    return _mm256_dpbusd_avx_epi32(sum, operands, weights);
#else
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(operands, weights), _mm256_set1_epi16(1)));
#endif
}

// Up to 64 pixels, 16 of them for all of the depth before the next 16. Of each 4 of the depth the fours of 8 pixels are a vector, or
// their first two and their last two as words.
template <bool Bytes, class G>
void interleave(const G& g, int64_t group, int64_t pixel, int64_t count, uint8_t* to) {
    const int64_t tile_bytes = int8_fours(g.depth) * four_bytes(g);
    for (int64_t k = 0; k < g.depth; k += 4, to += Bytes ? 64 : 128) {
        const uint8_t *a = operand(g, group, k) + pixel, *b = operand(g, group, k + 1) + pixel;
        const uint8_t *c = operand(g, group, k + 2) + pixel, *d = operand(g, group, k + 3) + pixel;
        for (int64_t p = 0; p < count; p += lanes) {
            auto* vectors = reinterpret_cast<__m256i*>(to + p / lanes * tile_bytes);
            const auto load = [&](const uint8_t* plane) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(plane + p)); };
            const __m128i A = load(a), B = load(b), C = load(c), D = load(d);
            const __m128i ab0 = _mm_unpacklo_epi8(A, B), ab1 = _mm_unpackhi_epi8(A, B), cd0 = _mm_unpacklo_epi8(C, D), cd1 = _mm_unpackhi_epi8(C, D);
            if constexpr (Bytes) {
                vectors[0] = _mm256_set_m128i(_mm_unpackhi_epi16(ab0, cd0), _mm_unpacklo_epi16(ab0, cd0));
                vectors[1] = _mm256_set_m128i(_mm_unpackhi_epi16(ab1, cd1), _mm_unpacklo_epi16(ab1, cd1));
            } else {
                vectors[0] = _mm256_cvtepu8_epi16(ab0), vectors[1] = _mm256_cvtepu8_epi16(ab1);
                vectors[2] = _mm256_cvtepu8_epi16(cd0), vectors[3] = _mm256_cvtepu8_epi16(cd1);
            }
        }
    }
}

// A panel's weights as words, pairs of four rows together.
[[gnu::always_inline]] inline void widen(const int8_t* weights, int64_t fours, uint8_t* to) {
    const __m256i order = _mm256_set_epi32(7, 5, 3, 1, 6, 4, 2, 0);
    for (int64_t k = 0; k < fours; ++k) {
        const __m256i words = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights) + k));
        _mm256_store_si256(reinterpret_cast<__m256i*>(to) + k, _mm256_permutevar8x32_epi32(words, order));
    }
}

// Whether a tile's rows end together.
template <class G, int R>
constexpr bool ends_together = requires(const G& g, const Sums (&sums)[R]) { end_rows(g, int64_t{}, int64_t{}, sums); };

// 16 pixels: 8 sums + 2 operands + 1 weight + 1 product, and ones, of 16 registers.
template <int R, bool Bytes, class G>
[[gnu::always_inline]] inline void tile(const G& g, const Panel& panel, const uint8_t* weights, const uint8_t* x, int64_t pixel, int64_t count) {
    Sums sum[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) sum[r].first = sum[r].second = _mm256_set1_epi32(panel.ends[r].bias);
    const auto* operands = reinterpret_cast<const __m256i*>(x);
    const Four* each = reinterpret_cast<const Four*>(weights);
    for (int64_t k = Bytes ? int8_fours(g.depth) : (g.depth + 1) / 2; k > 0; --k, operands += 2, each += 4) {
        const __m256i first = _mm256_load_si256(operands), second = _mm256_load_si256(operands + 1);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
            const __m256i weight = _mm256_set1_epi32(each[r]);
            sum[r].first = plus_products<Bytes>(sum[r].first, first, weight), sum[r].second = plus_products<Bytes>(sum[r].second, second, weight);
        }
    }
    if constexpr (ends_together<G, R>) {
        end_rows(g, panel.channel, pixel, sum);
    } else {
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) end(g, panel.channel + r, pixel, sum[r], count);
    }
}

template <bool Bytes, class G>
void block(const G& g, const Panel& panel, const uint8_t* weights, const uint8_t* x, int64_t pixel, int64_t count) {
    switch (panel.rows) {
        case 1: return tile<1, Bytes>(g, panel, weights, x, pixel, count);
        case 2: return tile<2, Bytes>(g, panel, weights, x, pixel, count);
        case 3: return tile<3, Bytes>(g, panel, weights, x, pixel, count);
        default: return tile<4, Bytes>(g, panel, weights, x, pixel, count);
    }
}

// One pixel: a vector has four of the depth for four rows, and a row's sum is that of two lanes; or eight of them, and that of four.
template <class G>
void linear(const G& g, const Panel& panel, const uint8_t* x, int64_t pixel) {
    const int64_t fours = int8_fours(g.depth);
    alignas(16) int32_t of_rows[4];
#if defined(__AVXVNNI__)
    __m256i sum[2] = {};
    const auto pair = [&](int64_t k) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(x + 16 * k)); };
    const auto weights = [&](int64_t k) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel.weights + 16 * k)); };
    int64_t k = 0;
    for (; k + 4 <= fours; k += 4)
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) sum[i] = plus_products<true>(sum[i], pair(k + 2 * i), weights(k + 2 * i));
    const __m256i both = _mm256_add_epi32(sum[0], sum[1]);
    __m128i whole = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    for (; k < fours; ++k)
        whole = _mm_dpbusd_avx_epi32(whole, reinterpret_cast<const __m128i*>(x)[k], _mm_loadu_si128(reinterpret_cast<const __m128i*>(panel.weights) + k));
    _mm_store_si128(reinterpret_cast<__m128i*>(of_rows), whole);
#else
    __m256i sum = _mm256_setzero_si256();
    for (int64_t k = 0; k < fours; ++k) {
        const __m256i operands = _mm256_cvtepu8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(x) + k));
        sum = plus_pairs(sum, operands, _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(panel.weights) + k)));
    }
    const __m128i low = _mm256_castsi256_si128(sum), high = _mm256_extracti128_si256(sum, 1);
    _mm_store_si128(reinterpret_cast<__m128i*>(of_rows), _mm_hadd_epi32(low, high));
#endif
    for (int32_t r = 0; r < panel.rows; ++r) end(g, panel.channel + r, pixel, int8_plus(of_rows[r], panel.ends[r].bias));
}

// Blocks of 64 pixels, so that a panel's weights are widened once for four tiles. A pixel that is left alone is computed as a linear layer's.
template <class G>
void of_group(const G& g, uint8_t* scratch, int64_t group, int64_t first_pixel, int64_t last_pixel, int64_t first, int64_t last) {
    const int64_t fours = int8_fours(g.depth), tile_bytes = fours * four_bytes(g);
    uint8_t *const widened = scratch + fours * 8 * int8_block, *const one = widened + fours * 32;
    for (int64_t pixel = first_pixel; pixel < last_pixel; pixel += int8_block) {
        const int64_t count = last_pixel - pixel < int8_block ? last_pixel - pixel : int8_block;
        const bool has_one_more = count % lanes == 1;
        const int64_t in_vectors = count - has_one_more;
        takes_bytes(g) ? interleave<true>(g, group, pixel, in_vectors, scratch) : interleave<false>(g, group, pixel, in_vectors, scratch);
        if (has_one_more) spread(g, group, pixel + in_vectors, one);
        each_panel(g, group, first, last, [&](const Panel& panel) {
            if (!takes_bytes(g) && in_vectors > 0) widen(panel.weights, fours, widened);
            for (int64_t p = 0; p < in_vectors; p += lanes) {
                const uint8_t* x = scratch + p / lanes * tile_bytes;
                takes_bytes(g) ? block<true>(g, panel, reinterpret_cast<const uint8_t*>(panel.weights), x, pixel + p, in_vectors - p)
                               : block<false>(g, panel, widened, x, pixel + p, in_vectors - p);
            }
            if (has_one_more) linear(g, panel, one, pixel + in_vectors);
        });
    }
}

#elif defined(__wasm_simd128__)

// 16 pixels for all of the depth, fours of it so many bytes apart; what their sums have beside the products.
template <Way way, class G>
void interleave(const G& g, int64_t group, int64_t pixel, uint8_t* to, int64_t stride, v128_t* of_pixels) {
    v128_t sums[4] = {};
    for (int64_t k = 0; k < g.depth; k += 4, to += stride) {
        const auto load = [&](int64_t i) { return wasm_v128_load(operand(g, group, k + i) + pixel); };
        if constexpr (way == Way::words) {
#pragma GCC unroll 2
            for (uint32_t half = 0; half < 2; ++half) {
                v128_t pairs[4];
                int8_pairs(load(2 * half), load(2 * half + 1), pairs);
#pragma GCC unroll 4
                for (uint32_t v = 0; v < 4; ++v) wasm_v128_store(to + 64 * half + 16 * v, pairs[v]);
            }
        } else {
            const auto bytes = [&](int64_t i) { return has_seven_bits(way) ? wasm_v128_xor(load(i), wasm_i8x16_splat(-less_of_operands)) : load(i); };
            v128_t fours[4];
            fours_of(bytes(0), bytes(1), bytes(2), bytes(3), fours);
#pragma GCC unroll 4
            for (uint32_t v = 0; v < 4; ++v) {
                wasm_v128_store(to + 16 * v, fours[v]);
                if constexpr (has_seven_bits(way)) sums[v] = plus_product<Way::dots>(sums[v], fours[v], wasm_i8x16_splat(less_of_weights));
            }
        }
    }
    if constexpr (has_seven_bits(way))
        for (int v = 0; v < 4; ++v) of_pixels[v] = wasm_i32x4_neg(sums[v]);
}

// A panel's weights as they are multiplied, those of four rows together; what the sums of its rows have beside the products.
template <Way way>
void prepare(const Panel& panel, int64_t fours, uint8_t* to, int32_t (&of_rows)[int8_panel]) {
    v128_t sums = wasm_i32x4_splat(0);
    for (int64_t k = 0; k < fours; ++k) {
        const v128_t weights = wasm_v128_load(panel.weights + 16 * k);
        if constexpr (has_seven_bits(way)) {
            sums = plus_product<Way::dots>(sums, weights, wasm_i8x16_splat(1));
            wasm_v128_store(to + 16 * k, wasm_i8x16_add(weights, wasm_i8x16_splat(less_of_weights)));
        } else {
            const v128_t two = wasm_i16x8_extend_low_i8x16(weights), others = wasm_i16x8_extend_high_i8x16(weights);
            wasm_v128_store(to + 32 * k, wasm_i32x4_shuffle(two, others, 0, 2, 4, 6)), wasm_v128_store(to + 32 * k + 16, wasm_i32x4_shuffle(two, others, 1, 3, 5, 7));
        }
    }
    wasm_v128_store(of_rows, wasm_i32x4_mul(sums, wasm_i32x4_splat(less_of_operands)));
    for (int32_t r = 0; r < panel.rows; ++r) of_rows[r] = int8_plus(of_rows[r], panel.ends[r].bias);
}

// R rows x V vectors of four pixels. By the one instruction 2 x 5: 10 sums + 2 weights + 1 operand are 13 of 16 registers, of which browsers
// keep one (2 x 6 would fit too, but V8 spills a sum: half as fast); else 2 x 4 and what products take. A loop that is not unrolled, and operands
// one by one: clang would take all products of one row first, and keep all operands.
template <Way way, int R, int V, class G>
[[gnu::always_inline]] inline void tile(const G& g, const Panel& panel, int row, const int32_t* of_rows, const uint8_t* weights, const uint8_t* x,
                                        int64_t stride, const v128_t* of_pixels, int64_t pixel, int64_t count) {
    v128_t sum[R][V];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 6
        for (int v = 0; v < V; ++v) {
            sum[r][v] = wasm_i32x4_splat(of_rows[row + r]);
            if constexpr (has_seven_bits(way)) sum[r][v] = wasm_i32x4_add(sum[r][v], of_pixels[v]);
        }
    weights += 4 * row;
#pragma clang loop unroll(disable)
    for (int64_t k = int8_fours(g.depth) * (way == Way::words ? 2 : 1); k > 0; --k, weights += 16, x += stride) {
        v128_t of_row[R];
#pragma GCC unroll 4
        for (uint32_t r = 0; r < R; ++r) of_row[r] = wasm_v128_load32_splat(weights + 4 * r);
#pragma GCC unroll 6
        for (uint32_t v = 0; v < V; ++v) {
            const v128_t operands = wasm_v128_load(x + 16 * v);
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                sum[r][v] = plus_product<way>(sum[r][v], operands, of_row[r]);
                if constexpr (way == Way::bytes) asm volatile("" : "+r"(sum[r][v]));
            }
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
        if (row + r < panel.rows) end(g, panel.channel + row + r, pixel, sum[r], count);
}

// One pixel, of a panel: vectors have four of the depth for four rows, in four sums that do not wait for each other.
template <class G>
void one_pixel(const G& g, const Panel& panel, const uint8_t* fours, int64_t pixel) {
    const int64_t depth = int8_fours(g.depth);
    v128_t sum[4] = {};
    const auto add = [&](v128_t& to, int64_t k) __attribute__((always_inline)) {
        to = plus_product<Way::bytes>(to, wasm_v128_load32_splat(fours + 4 * k), wasm_v128_load(panel.weights + 16 * k));
    };
    int64_t k = 0;
    for (; k + 4 <= depth; k += 4) add(sum[0], k), add(sum[1], k + 1), add(sum[2], k + 2), add(sum[3], k + 3);
    for (; k < depth; ++k) add(sum[0], k);
    alignas(16) int32_t of_rows[4];
    wasm_v128_store(of_rows, wasm_i32x4_add(wasm_i32x4_add(sum[0], sum[1]), wasm_i32x4_add(sum[2], sum[3])));
    for (int32_t r = 0; r < panel.rows; ++r) {
        const v128_t whole[1] = {wasm_i32x4_splat(int8_plus(of_rows[r], panel.ends[r].bias))};
        end(g, panel.channel + r, pixel, whole, 1);
    }
}

// A layer of one pixel where the browser has not that instruction: two vectors have four of the depth for four rows, and a row's sum is that of
// two lanes.
template <class G>
void linear(const G& g, const Panel& panel, const uint8_t* x) {
    v128_t sum[2] = {};
    for (int64_t k = 0; k < int8_fours(g.depth); ++k) {
        const v128_t operands = wasm_u16x8_load8x8(x + 16 * k);
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half)
            sum[half] = plus_product<Way::words>(sum[half], operands, wasm_i16x8_load8x8(panel.weights + 16 * k + 8 * half));
    }
    alignas(16) int32_t pairs[8];
    wasm_v128_store(pairs, sum[0]), wasm_v128_store(pairs + 4, sum[1]);
    for (int32_t r = 0; r < panel.rows; ++r) {
        const v128_t whole[1] = {wasm_i32x4_splat(int8_plus(int8_plus(pairs[2 * r], pairs[2 * r + 1]), panel.ends[r].bias))};
        end(g, panel.channel + r, 0, whole, 1);
    }
}

// Blocks of 80 pixels are four tiles; of what is left narrower ones take four rows, and a pixel by itself all: 49 are 20 + 20 + 8 + 1.
template <class G>
void wide_blocks(const G& g, uint8_t* scratch, int64_t group, int64_t first_pixel, int64_t last_pixel, int64_t first, int64_t last) {
    constexpr int64_t block = 80;
    const int64_t fours = int8_fours(g.depth);
    uint8_t* const one = scratch + fours * 4 * block;
    for (int64_t pixel = first_pixel; pixel < last_pixel; pixel += block) {
        const int64_t count = last_pixel - pixel < block ? last_pixel - pixel : block;
        const int64_t in_vectors = count % 4 == 1 ? count - 1 : count, stride = 4 * ((in_vectors + lanes - 1) / lanes * lanes);
        for (int64_t p = 0; p < in_vectors; p += lanes) interleave<Way::bytes>(g, group, pixel + p, scratch + 4 * p, stride, nullptr);
        for (int64_t k = 0; in_vectors < count && k < 4 * fours; ++k) one[k] = operand(g, group, k)[pixel + in_vectors];
        each_panel(g, group, first, last, [&](const Panel& panel) {
            int32_t of_rows[int8_panel];
            for (int32_t r = 0; r < int8_panel; ++r) of_rows[r] = r < panel.rows ? panel.ends[r].bias : 0;
            for (int64_t p = 0, done; p < in_vectors; p += done) {
                const int64_t left = in_vectors - p;
                const auto tiles = [&]<int R, int V>() __attribute__((always_inline)) {
                    for (int row = 0; row < panel.rows; row += R)
                        tile<Way::bytes, R, V>(g, panel, row, of_rows, reinterpret_cast<const uint8_t*>(panel.weights), scratch + 4 * p, stride, nullptr, pixel + p, left);
                    return 4 * V;
                };
                done = left >= 20  ? tiles.template operator()<2, 5>()
                       : left > 8 ? tiles.template operator()<2, 4>()
                       : left > 4 ? tiles.template operator()<4, 2>()
                                  : tiles.template operator()<4, 1>();
            }
            if (in_vectors < count) one_pixel(g, panel, one, pixel + in_vectors);
        });
    }
}

// Blocks of 64 pixels, so that a panel's weights are prepared once for four tiles.
template <Way way, class G>
void blocks(const G& g, uint8_t* scratch, int64_t group, int64_t first_pixel, int64_t last_pixel, int64_t first, int64_t last) {
    constexpr int64_t stride = way == Way::words ? 128 : 64;
    const int64_t fours = int8_fours(g.depth), tile_bytes = fours * stride;
    uint8_t* const prepared = scratch + fours * 8 * int8_block;
    auto* const of_pixels = reinterpret_cast<v128_t*>(scratch + fours * 4 * int8_block);  // behind the fours
    for (int64_t pixel = first_pixel; pixel < last_pixel; pixel += int8_block) {
        const int64_t count = last_pixel - pixel < int8_block ? last_pixel - pixel : int8_block, tiles = (count + lanes - 1) / lanes;
        for (int64_t t = 0; t < tiles; ++t) interleave<way>(g, group, pixel + t * lanes, scratch + t * tile_bytes, stride, of_pixels + 4 * t);
        each_panel(g, group, first, last, [&](const Panel& panel) {
            int32_t of_rows[int8_panel];
            prepare<way>(panel, fours, prepared, of_rows);
            for (int64_t t = 0; t < tiles; ++t)
                for (int row = 0; row < panel.rows; row += 2)
                    tile<way, 2, 4>(g, panel, row, of_rows, prepared, scratch + t * tile_bytes, 64, of_pixels + 4 * t, pixel + t * lanes, count - t * lanes);
        });
    }
}

template <class G>
void of_group(const G& g, uint8_t* scratch, int64_t group, int64_t first_pixel, int64_t last_pixel, int64_t first, int64_t last) {
#if defined(__wasm_relaxed_simd__)
    const Way way = way_here();
    if (way == Way::bytes) return wide_blocks(g, scratch, group, first_pixel, last_pixel, first, last);
#endif
    if (g.pixels == 1) {
        spread(g, group, 0, scratch);
        return each_panel(g, group, first, last, [&](const Panel& panel) { linear(g, panel, scratch); });
    }
#if defined(__wasm_relaxed_simd__)
    if (g.seven_bits && way == Way::dots) return blocks<Way::dots>(g, scratch, group, first_pixel, last_pixel, first, last);
    if (g.seven_bits) return blocks<Way::three>(g, scratch, group, first_pixel, last_pixel, first, last);
#endif
    blocks<Way::words>(g, scratch, group, first_pixel, last_pixel, first, last);
}

#elif defined(__ARM_FEATURE_DOTPROD)

#if defined(__ARM_FEATURE_MATMUL_INT8)
// An instruction multiplies two pixels' eights of operands by those of two rows.
constexpr int64_t tile_bytes(int64_t depth) { return (depth + 7) / 8 * 128; }

// 16 pixels for all of the depth: of each 8 of it two pixels are a vector. The weights of absent operands are 0.
template <class G>
void interleave(const G& g, int64_t group, int64_t pixel, uint8_t* to) {
    for (int64_t k = 0; k < g.depth; k += 8) {
        uint8x16_t x[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) x[i] = vld1q_u8(operand(g, group, k + i) + pixel);
#pragma GCC unroll 3
        for (int turn = 0; turn < 3; ++turn) {
            uint8x16_t y[8];
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) y[2 * i] = vzip1q_u8(x[i], x[i + 4]), y[2 * i + 1] = vzip2q_u8(x[i], x[i + 4]);
#pragma GCC unroll 8
            for (int i = 0; i < 8; ++i) x[i] = y[i];
        }
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i, to += 16) vst1q_u8(to, x[i]);
    }
}

[[gnu::always_inline]] inline int32x4_t plus_four(int32x4_t sum, const uint8_t* x, int8x16_t weights) {
    return vusdotq_s32(sum, vreinterpretq_u8_u32(vld1q_dup_u32(reinterpret_cast<const uint32_t*>(x))), weights);
}
int32x4_t beside_products(const Panel& panel, int64_t) {
    int32_t biases[int8_panel] = {};
    for (int32_t r = 0; r < panel.rows; ++r) biases[r] = panel.ends[r].bias;
    return vld1q_s32(biases);
}

// Two rows x two pixels a vector: 16 sums + 2 weights + 1 operand = 19 of 32 registers.
[[gnu::always_inline]] inline void multiply_tile(Sums (&sum)[4], const Panel& panel, int64_t depth, int32x4_t beside, const uint8_t* x) {
    const int64_t fours = int8_fours(depth);
    int32x4_t of_pairs[2][8] = {};
    for (int64_t k = 0; k < fours; k += 2) {
        const int8_t* weights = panel.weights + 16 * k;
        const int32x4_t first = vreinterpretq_s32_s8(vld1q_s8(weights));
        const int32x4_t second = k + 1 < fours ? vreinterpretq_s32_s8(vld1q_s8(weights + 16)) : vdupq_n_s32(0);
        const int8x16_t two[2] = {vreinterpretq_s8_s32(vzip1q_s32(first, second)), vreinterpretq_s8_s32(vzip2q_s32(first, second))};
#pragma GCC unroll 8
        for (int v = 0; v < 8; ++v, x += 16) {
            const uint8x16_t operands = vld1q_u8(x);
            of_pairs[0][v] = vusmmlaq_s32(of_pairs[0][v], operands, two[0]), of_pairs[1][v] = vusmmlaq_s32(of_pairs[1][v], operands, two[1]);
        }
    }
    int32_t biases[int8_panel];
    vst1q_s32(biases, beside);
#pragma GCC unroll 2
    for (int pair = 0; pair < 2; ++pair)
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
            const int32x4_t a = of_pairs[pair][2 * v], b = of_pairs[pair][2 * v + 1];
            vst1q_s32(sum[2 * pair].of + 4 * v, vaddq_s32(vuzp1q_s32(a, b), vdupq_n_s32(biases[2 * pair])));
            vst1q_s32(sum[2 * pair + 1].of + 4 * v, vaddq_s32(vuzp2q_s32(a, b), vdupq_n_s32(biases[2 * pair + 1])));
        }
}
#else
// Both sides of the instruction are signed: with x = a + 128 a sum of x w is that of a w, and 128 times that of w, which is the row's.
constexpr int64_t tile_bytes(int64_t depth) { return int8_fours(depth) * 64; }

// 16 pixels for all of the depth: of each 4 of it four pixels are a vector.
template <class G>
void interleave(const G& g, int64_t group, int64_t pixel, uint8_t* to) {
    for (int64_t k = 0; k < g.depth; k += 4, to += 64) {
        const auto load = [&](int64_t i) { return veorq_u8(vld1q_u8(operand(g, group, k + i) + pixel), vdupq_n_u8(128)); };
        const uint8x16_t a = load(0), b = load(1), c = load(2), d = load(3);
        const uint8x16_t ac0 = vzip1q_u8(a, c), ac1 = vzip2q_u8(a, c), bd0 = vzip1q_u8(b, d), bd1 = vzip2q_u8(b, d);
        vst1q_u8(to, vzip1q_u8(ac0, bd0)), vst1q_u8(to + 16, vzip2q_u8(ac0, bd0));
        vst1q_u8(to + 32, vzip1q_u8(ac1, bd1)), vst1q_u8(to + 48, vzip2q_u8(ac1, bd1));
    }
}

[[gnu::always_inline]] inline int32x4_t plus_four(int32x4_t sum, const uint8_t* x, int8x16_t weights) {
    const uint8x16_t four = vreinterpretq_u8_u32(vld1q_dup_u32(reinterpret_cast<const uint32_t*>(x)));
    return vdotq_s32(sum, vreinterpretq_s8_u8(veorq_u8(four, vdupq_n_u8(128))), weights);
}
int32x4_t beside_products(const Panel& panel, int64_t fours) {
    int32x4_t sum = vdupq_n_s32(0);
    for (int64_t k = 0; k < fours; ++k) sum = vdotq_s32(sum, vld1q_s8(panel.weights + 16 * k), vdupq_n_s8(1));
    int32_t biases[int8_panel] = {};
    for (int32_t r = 0; r < panel.rows; ++r) biases[r] = panel.ends[r].bias;
    return vaddq_s32(vshlq_n_s32(sum, 7), vld1q_s32(biases));
}

// 16 sums + 4 operands + 1 weight = 21 of 32 registers.
[[gnu::always_inline]] inline void multiply_tile(Sums (&sum)[4], const Panel& panel, int64_t depth, int32x4_t beside, const uint8_t* x) {
    int32x4_t of_rows[4][4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v)
        of_rows[0][v] = vdupq_laneq_s32(beside, 0), of_rows[1][v] = vdupq_laneq_s32(beside, 1), of_rows[2][v] = vdupq_laneq_s32(beside, 2),
        of_rows[3][v] = vdupq_laneq_s32(beside, 3);
    const int8_t* at = panel.weights;
    for (int64_t k = 0; k < depth; k += 4, x += 64, at += 16) {
        const int8x16_t weights = vld1q_s8(at);
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
            const int8x16_t operands = vreinterpretq_s8_u8(vld1q_u8(x + 16 * v));
            of_rows[0][v] = vdotq_laneq_s32(of_rows[0][v], operands, weights, 0), of_rows[1][v] = vdotq_laneq_s32(of_rows[1][v], operands, weights, 1);
            of_rows[2][v] = vdotq_laneq_s32(of_rows[2][v], operands, weights, 2), of_rows[3][v] = vdotq_laneq_s32(of_rows[3][v], operands, weights, 3);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) vst1q_s32(sum[r].of + 4 * v, of_rows[r][v]);
}
#endif

// Whole tiles of 4 rows, of which the last panel's absent ones are dropped.
template <class G>
void tile(const G& g, const Panel& panel, int32x4_t beside, const uint8_t* x, int64_t pixel, int64_t count) {
    Sums sum[4];
    multiply_tile(sum, panel, g.depth, beside, x);
    for (int32_t r = 0; r < panel.rows; ++r) end(g, panel.channel + r, pixel, sum[r], count);
}

// One pixel: a vector has four of the depth for four rows.
template <class G>
void linear(const G& g, const Panel& panel, int32x4_t beside, const uint8_t* x, int64_t pixel) {
    int32x4_t sum[4] = {beside};
    const int64_t fours = int8_fours(g.depth);
    const auto add = [&](int32x4_t& to, int64_t k) { to = plus_four(to, x + 16 * k, vld1q_s8(panel.weights + 16 * k)); };
    int64_t k = 0;
    for (; k + 4 <= fours; k += 4)
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) add(sum[i], k + i);
    for (; k < fours; ++k) add(sum[0], k);
    int32_t of_rows[4];
    vst1q_s32(of_rows, vaddq_s32(vaddq_s32(sum[0], sum[1]), vaddq_s32(sum[2], sum[3])));
    for (int32_t r = 0; r < panel.rows; ++r) {
        Sums whole;
        for (int32_t& each : whole.of) each = of_rows[r];
        end(g, panel.channel + r, pixel, whole, 1);
    }
}

// Blocks of 64 pixels; one that is left alone is computed as a linear layer's.
template <class G>
void of_group(const G& g, uint8_t* scratch, int64_t group, int64_t first_pixel, int64_t last_pixel, int64_t first, int64_t last) {
    const int64_t fours = int8_fours(g.depth), step = tile_bytes(g.depth);
    uint8_t* const one = scratch + fours * 8 * int8_block;
    for (int64_t pixel = first_pixel; pixel < last_pixel; pixel += int8_block) {
        const int64_t count = last_pixel - pixel < int8_block ? last_pixel - pixel : int8_block;
        const bool has_one_more = count % lanes == 1;
        const int64_t in_vectors = count - has_one_more;
        for (int64_t p = 0; p < in_vectors; p += lanes) interleave(g, group, pixel + p, scratch + p / lanes * step);
        if (has_one_more) spread(g, group, pixel + in_vectors, one);
        each_panel(g, group, first, last, [&](const Panel& panel) {
            const int32x4_t beside = beside_products(panel, fours);
            for (int64_t p = 0; p < in_vectors; p += lanes) tile(g, panel, beside, scratch + p / lanes * step, pixel + p, in_vectors - p);
            if (has_one_more) linear(g, panel, beside, one, pixel + in_vectors);
        });
    }
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
        Sums sum;
        for (int32_t& each : sum.of) each = panel.ends[row].bias;
        for (int64_t k = 0; k < g.depth; ++k) {
            const auto weight = static_cast<int16_t>(panel.weights[k / 4 * 16 + row * 4 + k % 4]);
            for (int p = 0; p < lanes; ++p) sum.of[p] = int8_plus(sum.of[p], static_cast<int16_t>(x[k * lanes + p]) * weight);
        }
        end(g, panel.channel + row, pixel, sum, count);
    }
}

template <class G>
void of_group(const G& g, uint8_t* scratch, int64_t group, int64_t first_pixel, int64_t last_pixel, int64_t first, int64_t last) {
    for (int64_t pixel = first_pixel; pixel < last_pixel; pixel += lanes) {
        const int64_t count = last_pixel - pixel < lanes ? last_pixel - pixel : lanes;
        interleave(g, group, pixel, count, scratch);
        each_panel(g, group, first, last, [&](const Panel& panel) { block(g, panel, scratch, pixel, count); });
    }
}

#endif

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
