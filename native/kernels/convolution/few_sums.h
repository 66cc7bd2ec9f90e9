// Sums of strided F(2 x 2) of 7 to 26 tiles by 32 rows, of taps as they lie in the plan. As in few_tiles.h vectors are rows of four panels:
// 13 tiles x 2 sums + 2 weights + operand = 29 of 32 registers. Taps that share a product are added on the way, by units that would idle.
// All sums of four panels are made before the next four's, whose weights are prefetched a little with each operand: sums by themselves use
// weights twice as fast as memory brings them.
#pragma once

#include "kernels/convolution/few_tiles.h"

namespace shufflekit::SHUFFLEKIT_ISA {

#if SHUFFLEKIT_VECTOR_BYTES == 64
// One sum: products of inputs, of which channels are `pitch` floats apart, by taps of the first of four panels, `panel` floats apart.
struct FewSum {
    int products;
    const float *in[4], *taps[4];
    int64_t depth, pitch, panel;
    int64_t row, column;  // floats to taps that are added to these; 0: there are none
    const float* bias;    // of 32 rows
};

class FewSums {
  public:
    static constexpr int64_t least = 7, most = 26;

    // The tiles of a sum are done in so many parts.
    static constexpr int64_t parts(int64_t tiles) { return tiles > most / 2 ? 2 : 1; }

    // Prefetches from `soon` on, `step` floats a channel of each product.
    FewSums(const float* soon, int64_t step) : soon_(soon), step_(step) {}

    // out[r * pitch + t] for 32 rows r and tiles t; no other float is written.
    void add_up(const FewSum& sum, int64_t tiles, float* out) {
        const int taps = sum.row && sum.column ? 4 : sum.row || sum.column ? 2 : 1;
        for (int64_t left = parts(tiles), t = 0, now; left > 0; --left, t += now) {
            now = (tiles - t + left - 1) / left;
            taps == 4 ? some<4>(sum, now, t, out) : taps == 2 ? some<2>(sum, now, t, out) : some<1>(sum, now, t, out);
        }
    }

  private:
    template <int Taps>
    void some(const FewSum& sum, int64_t tiles, int64_t first, float* out) {
        switch (tiles) {
            case 7: return some<Taps, 7>(sum, first, out);
            case 8: return some<Taps, 8>(sum, first, out);
            case 9: return some<Taps, 9>(sum, first, out);
            case 10: return some<Taps, 10>(sum, first, out);
            case 11: return some<Taps, 11>(sum, first, out);
            case 12: return some<Taps, 12>(sum, first, out);
            default: return some<Taps, 13>(sum, first, out);
        }
    }

    template <int Taps, int S>
    void some(const FewSum& sum, int64_t first, float* out) {
        vector low[S], high[S];
#pragma GCC unroll 13
        for (int s = 0; s < S; ++s) low[s] = high[s] = vector{};
        const int64_t other = sum.row + sum.column;
        const float* soon = soon_;
        for (int product = 0; product < sum.products; ++product) {
            const float *in = sum.in[product] + first, *const a = sum.taps[product];
            const float *const b = a + sum.panel, *const c = b + sum.panel, *const d = c + sum.panel;
            for (int64_t k = 0; k < sum.depth * gemm_panel; k += gemm_panel, in += sum.pitch, soon += step_) {
                vector one = two_panels(a + k, b + k), two = two_panels(c + k, d + k);
                const auto add = [&](int64_t k) __attribute__((always_inline)) {
                    one += two_panels(a + k, b + k), two += two_panels(c + k, d + k);
                };
                if constexpr (Taps > 1) add(k + other);
                if constexpr (Taps > 2) add(k + sum.row), add(k + sum.column);
                __builtin_prefetch(soon, 0, 3);
#pragma GCC unroll 13
                for (int s = 0; s < S; ++s) {
                    const vector x = broadcast<vector>(in[s]);
                    low[s] += one * x, high[s] += two * x;
                }
            }
        }
        soon_ = soon;
        put<S>(low, load(sum.bias), sum.pitch, out + first);
        put<S>(high, load(sum.bias + vector_lanes), sum.pitch, out + first + vector_lanes * sum.pitch);
    }

    template <int S>
    [[gnu::always_inline]] static void put(const vector (&sums)[S], vector bias, int64_t pitch, float* out) {
        vector x[vector_lanes];
#pragma GCC unroll 16
        for (int s = 0; s < vector_lanes; ++s) x[s] = s < S ? sums[s < S ? s : 0] + bias : vector{};
        transpose(x);
        const SomeLanes lanes(0, S);
#pragma GCC unroll 16
        for (int r = 0; r < vector_lanes; ++r) lanes.store(out + r * pitch, x[r]);
    }

    const float* soon_;
    const int64_t step_;
};
#endif

}  // namespace shufflekit::SHUFFLEKIT_ISA
