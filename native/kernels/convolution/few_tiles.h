// Products of some 5 to 26 tiles by 32 rows. Vectors of tiles would be so few that each weight is loaded for one multiply-add, more than
// two loads a cycle bring: vectors are rows of four panels in their place, and a tile's operand is loaded once for both of their vectors.
// 13 tiles x 2 sums + 2 weights + operand = 29 of 32 registers. Sums are turned at the end.
#pragma once

#include "kernels/activation_math.h"
#include "kernels/gemm/gemm.h"
#include "kernels/lanes.h"

namespace shufflekit::SHUFFLEKIT_ISA {

#if SHUFFLEKIT_VECTOR_BYTES == 64
[[gnu::always_inline]] inline vector two_panels(const float* a, const float* b) {
    return (vector)_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(a)), _mm256_loadu_ps(b), 1);
}

class FewTiles {
  public:
    static constexpr int64_t least = 5, most = 26;
    // Shallower sums take less time than turning them.
    static constexpr int64_t least_depth = 32;

    // out[r][t] = sum_k weights[r / 8][8 k + r % 8] in[k * pitch + t] for 32 rows r, `pitch` floats apart, and all tiles t; whole vectors of
    // tiles are written. Two panels lie behind each other, and those of the next product behind them: halves of the tiles prefetch those in
    // turn, a line with each operand, since sums use weights faster than memory brings them.
    static void multiply(const float* in, int64_t depth, int64_t pitch, int64_t tiles, const float* const (&weights)[4], float* out) {
        float sums[whole_tiles * rows];
        const int64_t half = tiles > most_at_once ? (tiles + 1) / 2 : tiles;
        const int64_t ahead = 2 * depth * gemm_panel;
        some(in, depth, pitch, half, weights, weights[0] + ahead, sums);
        if (half < tiles) some(in + half, depth, pitch, tiles - half, weights, weights[2] + ahead, sums + half * rows);
        for (int64_t t = tiles; t % vector_lanes; ++t) store(sums + t * rows, vector{}), store(sums + t * rows + vector_lanes, vector{});
        for (int64_t t = 0; t < tiles; t += vector_lanes)
            for (int64_t r = 0; r < rows; r += vector_lanes) {
                vector x[vector_lanes];
#pragma GCC unroll 16
                for (int i = 0; i < vector_lanes; ++i) x[i] = load(sums + (t + i) * rows + r);
                transpose(x);
#pragma GCC unroll 16
                for (int i = 0; i < vector_lanes; ++i) store(out + (r + i) * pitch + t, x[i]);
            }
    }

  private:
    static constexpr int64_t rows = 4 * gemm_panel, most_at_once = 13, whole_tiles = 32;

    // Prefetches the next two panels from `soon` on.
    static void some(const float* in, int64_t depth, int64_t pitch, int64_t tiles, const float* const (&weights)[4], const float* soon,
                     float* sums) {
        switch (tiles) {
            case 5: return some<5>(in, depth, pitch, weights, soon, sums);
            case 6: return some<6>(in, depth, pitch, weights, soon, sums);
            case 7: return some<7>(in, depth, pitch, weights, soon, sums);
            case 8: return some<8>(in, depth, pitch, weights, soon, sums);
            case 9: return some<9>(in, depth, pitch, weights, soon, sums);
            case 10: return some<10>(in, depth, pitch, weights, soon, sums);
            case 11: return some<11>(in, depth, pitch, weights, soon, sums);
            case 12: return some<12>(in, depth, pitch, weights, soon, sums);
            default: return some<13>(in, depth, pitch, weights, soon, sums);
        }
    }

    template <int S>
    static void some(const float* in, int64_t depth, int64_t pitch, const float* const (&weights)[4], const float* soon, float* sums) {
        vector low[S], high[S];
#pragma GCC unroll 13
        for (int s = 0; s < S; ++s) low[s] = high[s] = vector{};
        for (int64_t k = 0; k < depth; ++k, in += pitch) {
            const int64_t at = k * gemm_panel;
            const vector a = two_panels(weights[0] + at, weights[1] + at), b = two_panels(weights[2] + at, weights[3] + at);
            __builtin_prefetch(soon + 2 * at, 0, 3);
#pragma GCC unroll 13
            for (int s = 0; s < S; ++s) {
                const vector x = broadcast<vector>(in[s]);
                low[s] += a * x, high[s] += b * x;
            }
        }
#pragma GCC unroll 13
        for (int s = 0; s < S; ++s) store(sums + s * rows, low[s]), store(sums + s * rows + vector_lanes, high[s]);
    }
};
#endif

}  // namespace shufflekit::SHUFFLEKIT_ISA
