// Rows of 3x3 windows at stride 2, with AVX-512, from the planes as they lie: the even and odd columns of a row are a
// permutation each, of which a core makes some beside its multiply-adds, and so are those to the left, from a load a float
// before. Two rows of output go together: where a row is half a vector longer than whole ones, both rows' ends are one vector.
#pragma once

#include "kernels/convolution/convolution.h"
#include "kernels/epilogue.h"
#include "kernels/lanes.h"

namespace shufflekit::SHUFFLEKIT_ISA {

#if SHUFFLEKIT_VECTOR_BYTES == 64
class StridedRows {
  public:
    static bool fits(const Convolution& c) {
        const Window& w = c.window;
        return w.kernel_y == 3 && w.kernel_x == 3 && w.stride_y == 2 && w.stride_x == 2 && w.dilation_y == 1 &&
               w.dilation_x == 1 && w.pad_x == 1 && w.in_width == 2 * w.out_width && w.out_width > vector_lanes &&
               w.out_width % vector_lanes == half && c.rows % gemm_panel == 0;
    }

    StridedRows(const Convolution& c, int32_t group)
        : c_(c),
          in_{c.in.base, c.in.offsets + int64_t{group} * c.in_channels},
          first_panel_(group * gemm_panels(c.rows)),
          epilogue_(c.epilogue.from(int64_t{group} * c.rows)) {}

    // Rows [first, last) of the group's output, panels [first_panel, last_panel) of it. `out` is where each channel's row
    // `first` starts.
    void run(int64_t first, int64_t last, const MutablePlanes& out, int32_t first_panel, int32_t last_panel) const {
        const int64_t width = c_.window.out_width;
        for (int64_t y = first, rows; y < last; y += rows) {
            rows = 1;
            while (rows < most_rows && y + rows < last && is_inner(y) && is_inner(y + rows)) ++rows;
            const MutablePlanes to{out.base + (y - first) * width, out.offsets};
            with_ends(epilogue_.activation, [&]<Bounds B>() { some_rows<B>(y, rows, to, first_panel, last_panel); });
            if (ends_in_registers(epilogue_)) continue;
            for (int32_t n = first_panel * gemm_panel; n < last_panel * gemm_panel; ++n)
                activate_stretch(to[n], rows * width, epilogue_.of(n));
        }
    }

  private:
    static constexpr int half = vector_lanes / 2, most_vectors = 3;
    static constexpr int64_t most_rows = 4;

    // A vector of outputs: where the inputs of its first half's columns lie, from the first row on, and those of the second,
    // and both in out.
    struct Place {
        int64_t in[2], out[2];
        __mmask16 left;  // what is there of a load that begins a float before the first half's
    };

    // Those of the window's rows that lie in the input.
    Range taps_of(int64_t y) const {
        const Window& w = c_.window;
        const int64_t top = y * 2 - w.pad_y, room = w.in_height - top;
        return {static_cast<int32_t>(top < 0 ? -top : 0), static_cast<int32_t>(room < 3 ? room : 3)};
    }

    bool is_inner(int64_t y) const { return taps_of(y).first == 0 && taps_of(y).last == 3; }

    // Rows that see all of their window's, or one.
    template <Bounds B>
    void some_rows(int64_t y, int64_t rows, const MutablePlanes& out, int32_t first_panel, int32_t last_panel) const {
        const int64_t width = c_.window.out_width, down = 2 * c_.window.in_width;
        int64_t row = 0, x = 0;
        const auto next = [&]() -> Place {
            if (x == width) ++row, x = 0;
            if (x + half == width && row % 2 == 0 && row + 1 < rows) ++row, x = 0;  // its end goes with the next row's
            const int64_t in = row * down + 2 * x, to = row * width + x;
            if (x + half < width)
                return x += vector_lanes, Place{{in, in + vector_lanes},
                                                {to, to + half},
                                                static_cast<__mmask16>(in == row * down ? 0xfffe : 0xffff)};
            x = width;
            const int64_t above = row % 2;
            return {{in - above * down, in}, {to - above * width, to}, 0xffff};
        };
        const Range taps = taps_of(y);
        const int64_t top = y * 2 - c_.window.pad_y;
        for (int64_t left = (rows * width + half) / vector_lanes, now; left > 0; left -= now) {
            const int64_t tiles = (left + most_vectors - 1) / most_vectors;
            now = (left + tiles - 1) / tiles;
            Place places[most_vectors];
            for (int64_t v = 0; v < now; ++v) places[v] = next();
            for (int32_t panel = first_panel; panel < last_panel; ++panel) {
                const auto some = [&]<int V>() { tile<B, V>(places, top, taps, panel, out); };
                now == 3   ? some.template operator()<3>()
                : now == 2 ? some.template operator()<2>()
                           : some.template operator()<1>();
            }
        }
    }

    template <Bounds B, int V>
    void tile(const Place* places, int64_t top, Range taps, int32_t panel, const MutablePlanes& out) const {
        const int64_t in_width = c_.window.in_width, depth = int64_t{c_.in_channels} * 9;
        const float* weights = c_.weights + (first_panel_ + panel) * depth * gemm_panel;
        vector sum[gemm_panel][V];
#pragma GCC unroll 8
        for (int r = 0; r < gemm_panel; ++r)
#pragma GCC unroll 3
            for (int v = 0; v < V; ++v) sum[r][v] = vector{};
        Place place[V];  // by themselves: what is stored could change them, for all that the compiler knows
#pragma GCC unroll 3
        for (int v = 0; v < V; ++v) place[v] = places[v];
        for (int32_t channel = 0; channel < c_.in_channels; ++channel, weights += 9 * gemm_panel) {
            const float* row = in_[channel] + (top + taps.first) * in_width;
            const float* weight = weights + 3 * taps.first * gemm_panel;
            for (int32_t i = taps.first; i < taps.last; ++i, row += in_width) {
#pragma GCC unroll 3
                for (int j = 0; j < 3; ++j, weight += gemm_panel) {
                    vector x[V];
#pragma GCC unroll 3
                    for (int v = 0; v < V; ++v) {
                        const float *const a = row + place[v].in[0], *const b = row + place[v].in[1];
                        if (j == 0) x[v] = even_lanes((vector)_mm512_maskz_loadu_ps(place[v].left, a - 1), load(b - 1));
                        if (j == 1) x[v] = even_lanes(load(a), load(b));
                        if (j == 2) x[v] = odd_lanes(load(a), load(b));
                    }
#pragma GCC unroll 8
                    for (int r = 0; r < gemm_panel; ++r) {
                        const vector w = broadcast<vector>(weight[r]);
#pragma GCC unroll 3
                        for (int v = 0; v < V; ++v) sum[r][v] += w * x[v];
                    }
                    // Each tap loads what it takes: kept for the next one, it would push sums out of registers.
                    asm volatile("" ::: "memory");
                }
            }
        }
        const float* bias = c_.bias + (first_panel_ + panel) * gemm_panel;
        const vector high = broadcast<vector>(epilogue_.high());
        float* to[gemm_panel];
        vector low[gemm_panel];
#pragma GCC unroll 8
        for (int r = 0; r < gemm_panel; ++r) {
            to[r] = out[panel * gemm_panel + r], low[r] = broadcast<vector>(low_of<B>(epilogue_, panel * gemm_panel + r));
            const vector first = broadcast<vector>(bias[r]);
#pragma GCC unroll 3
            for (int v = 0; v < V; ++v) sum[r][v] = bounded<B>(sum[r][v] + first, low[r], high);
        }
#pragma GCC unroll 3
        for (int v = 0; v < V; ++v) {
            const int64_t one = place[v].out[0], other = place[v].out[1];
            if (other == one + half) {
#pragma GCC unroll 8
                for (int r = 0; r < gemm_panel; ++r) store(to[r] + one, sum[r][v]);
            } else {
#pragma GCC unroll 8
                for (int r = 0; r < gemm_panel; ++r) {
                    _mm256_storeu_ps(to[r] + other, _mm512_extractf32x8_ps((__m512)sum[r][v], 1));
                    _mm256_storeu_ps(to[r] + one, _mm512_castps512_ps256((__m512)sum[r][v]));
                }
            }
        }
    }

    const Convolution& c_;
    const Planes in_;
    const int32_t first_panel_;
    const Epilogue epilogue_;
};
#endif

}  // namespace shufflekit::SHUFFLEKIT_ISA
