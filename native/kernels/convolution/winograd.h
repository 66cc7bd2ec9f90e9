// Groups > blocks of tiles > transform all channels > chunks of output channels > products, one GEMM of (M + 2)^2 groups > transform back.
//
// Tiles are numbered row by row, and a vector holds as many of them as it has lanes, of one row of tiles or several. For that a
// channel's input rows are taken apart by row and column mod M first: then every one of the (M + 2)^2 pixels of a tile is neighbouring
// floats for neighbouring tiles. The way back puts M pixels of neighbouring tiles together to stretches of output rows.
//
// What is no number in one pixel is none in most of its tile after the way there and back: pixels that are none are computed directly.
#pragma once

#include "kernels/convolution/convolution.h"
#include "kernels/convolution/put_row.h"

namespace shufflekit::SHUFFLEKIT_ISA {

Gemm::Function gemm;

// B^T d and A^T m of F(2, 3) and F(4, 3) for vectors of tiles: points 0, 1, -1 and infinity; 0, a, -a, b, -b and infinity for
// a = 3/4, b = 3/2, which round 2.3 times less than 1 and 2. The way there in halves, whose vectors between stay in registers.
template <int M>
struct Transform;

template <>
struct Transform<2> {
    // Of a transformed filter's points 0, 1 and infinity, what gives the filter.
    static constexpr int point[3] = {0, 1, 3};
    static constexpr float filter[3][3] = {{1, 0, 0}, {-1, 2, -1}, {0, 0, 1}};
    template <int Half>
    [[gnu::always_inline]] static void in(const vector* d, vector* to) {
        if constexpr (Half == 0)
            to[0] = d[0] - d[2], to[1] = d[1] + d[2];
        else
            to[0] = d[2] - d[1], to[1] = d[3] - d[1];
    }
    [[gnu::always_inline]] static void out(const vector* m, vector* to) {
        to[0] = m[0] + m[1] + m[2], to[1] = m[1] - m[2] + m[3];
    }
};

template <>
struct Transform<4> {
    static constexpr float a = 0.75f, b = 1.5f, a2 = a * a, b2 = b * b;
    static constexpr int point[3] = {0, 1, 5};
    static constexpr float filter[3][3] = {{a2 * b2, 0, 0}, {-a * b2, 2 * a * (a2 - b2), -a}, {0, 0, 1}};
    template <int Half>
    [[gnu::always_inline]] static void in(const vector* d, vector* to) {
        if constexpr (Half == 0) {
            const vector even = d[4] - b2 * d[2], odd = a * d[3] - a * b2 * d[1];
            to[0] = a2 * b2 * d[0] + (d[4] - (a2 + b2) * d[2]), to[1] = even + odd, to[2] = even - odd;
        } else {
            const vector even = d[4] - a2 * d[2], odd = b * d[3] - b * a2 * d[1];
            to[0] = even + odd, to[1] = even - odd, to[2] = a2 * b2 * d[1] + (d[5] - (a2 + b2) * d[3]);
        }
    }
    [[gnu::always_inline]] static void out(const vector* m, vector* to) {
        const vector p = m[1] + m[2], q = m[1] - m[2], r = m[3] + m[4], s = m[3] - m[4];
        to[0] = m[0] + p + r, to[1] = a * q + b * s, to[2] = a2 * p + b2 * r, to[3] = a * a2 * q + (b * b2 * s + m[5]);
    }
};

// Of M * lanes neighbouring floats those of each column mod M, and back.
[[gnu::always_inline]] inline void apart(const float* from, vector (&to)[2]) {
    const vector a = load(from), b = load(from + vector_lanes);
    to[0] = even_lanes(a, b), to[1] = odd_lanes(a, b);
}
[[gnu::always_inline]] inline void apart(const float* from, vector (&to)[4]) {
    const vector a = load(from), b = load(from + vector_lanes), c = load(from + 2 * vector_lanes), d = load(from + 3 * vector_lanes);
    const vector even_ab = even_lanes(a, b), even_cd = even_lanes(c, d), odd_ab = odd_lanes(a, b), odd_cd = odd_lanes(c, d);
    to[0] = even_lanes(even_ab, even_cd), to[1] = even_lanes(odd_ab, odd_cd);
    to[2] = odd_lanes(even_ab, even_cd), to[3] = odd_lanes(odd_ab, odd_cd);
}
[[gnu::always_inline]] inline void together(const vector (&from)[2], float* to) {
    store(to, low_pairs(from[0], from[1])), store(to + vector_lanes, high_pairs(from[0], from[1]));
}
[[gnu::always_inline]] inline void together(const vector (&from)[4], float* to) {
    const vector low_even = low_pairs(from[0], from[2]), high_even = high_pairs(from[0], from[2]);
    const vector low_odd = low_pairs(from[1], from[3]), high_odd = high_pairs(from[1], from[3]);
    store(to, low_pairs(low_even, low_odd)), store(to + vector_lanes, high_pairs(low_even, low_odd));
    store(to + 2 * vector_lanes, low_pairs(high_even, high_odd)), store(to + 3 * vector_lanes, high_pairs(high_even, high_odd));
}

template <int M>
class WinogradGroup {
  public:
    static constexpr int side = M + 2, products = side * side;

    WinogradGroup(const Winograd<M>& c, int32_t group, float* scratch)
        : c_(c), group_(group), lanes_(c.lanes()), columns_(c.columns()), in_(scratch), out_(in_ + products * c.in_slice()),
          phases_(out_ + products * c.out_slice()), pixels_(phases_ + M * side * c.phase()),
          stretches_(pixels_ + M * M * lanes_), bias_(stretches_ + M * c.stretch()),
          ins_(reinterpret_cast<int32_t*>(bias_ + products * winograd_rows)), outs_(ins_ + products * c.in_channels + gemm_operands_ahead) {
        for (int64_t k = 0; k < products; ++k)
            for (int64_t channel = 0; channel < c.in_channels; ++channel)
                ins_[k * c.in_channels + channel] = static_cast<int32_t>(k * c.in_slice() + channel * lanes_);
    }

    void run(int64_t first_tile, int64_t last_tile, int64_t first_chunk, int64_t last_chunk) {
        for (int64_t tile = first_tile, count; tile < last_tile; tile += count) {
            count = last_tile - tile <= c_.block() + c_.few ? last_tile - tile : c_.block();
            for (int64_t channel = 0; channel < c_.in_channels; ++channel) {
                take_apart(c_.in[int64_t{group_} * c_.in_channels + channel], tile, count);
                transform_in(in_ + channel * lanes_, tile, count);
            }
            for (int64_t chunk = first_chunk; chunk < last_chunk; ++chunk) {
                multiply(chunk, count);
                for (int32_t n = 0; n < rows_of(chunk); ++n) {
                    if (!transform_out(chunk, n, count)) mend(chunk, n, tile, count);
                    put(chunk * winograd_rows + n, tile, count);
                }
            }
        }
    }

  private:
    int32_t rows_of(int64_t chunk) const {
        const int64_t left = c_.rows - chunk * winograd_rows;
        return static_cast<int32_t>(left < winograd_rows ? left : winograd_rows);
    }

    // phases_[i][j][t] = pixel (M y + i, M x + j) of the padded plane for tile t = (y, x), counted from the first row of tiles of the
    // block on, 0 <= j < M + 2. Tiles of one row more are there for i < 2: their rows are the last two of M + 2.
    void take_apart(const float* plane, int64_t tile, int64_t count) {
        const int64_t top = tile / columns_, bottom = (tile + count - 1) / columns_, first = tile % columns_;
        for (int64_t i = 0; i < M; ++i)
            for (int64_t y = top; y <= bottom + (i < 2); ++y)
                copy_padded(plane, M * y + i, stretches_ + i * c_.stretch() + (y - top) * M * columns_);
        for (int64_t i = 0; i < M; ++i) {
            const float* from = stretches_ + i * c_.stretch();
            float* to = phases_ + i * side * c_.phase();
            for (int64_t t = first / vector_lanes * vector_lanes; t < first + count + (i < 2 ? columns_ : 0); t += vector_lanes) {
                vector parts[M];
                apart(from + M * t, parts);
#pragma GCC unroll 4
                for (int j = 0; j < M; ++j) store(to + j * c_.phase() + t, parts[j]);
#pragma GCC unroll 2
                for (int j = 0; j < 2; ++j)
                    store(to + (M + j) * c_.phase() + t, unshift_lanes(parts[j], broadcast<vector>(from[M * (t + vector_lanes) + j])));
            }
            for (int64_t y = top; y <= bottom + (i < 2); ++y)  // behind a row's last tile comes the padding, not the next row
                for (int64_t j = 0; j < 2; ++j)
                    to[(M + j) * c_.phase() + (y - top + 1) * columns_ - 1] = padded(plane, M * y + i, M * columns_ + j);
        }
    }

    bool inside(int64_t row) const { return row >= 0 && row < c_.window.in_height; }
    float padded(const float* plane, int64_t y, int64_t x) const {
        const int64_t row = y - c_.window.pad_y, column = x - c_.window.pad_x;
        return inside(row) && column >= 0 && column < c_.window.in_width ? plane[row * c_.window.in_width + column] : 0;
    }

    // The first M columns_ pixels of a row, and whole vectors: rows come in rising order.
    void copy_padded(const float* plane, int64_t y, float* to) const {
        const Window& w = c_.window;
        const int64_t row = y - w.pad_y, first = w.pad_x, last = inside(row) ? first + w.in_width : 0;
        const float* from = plane + row * w.in_width - first;
        for (int64_t x = 0; x < M * columns_; x += vector_lanes) store(to + x, load_lanes(from + x, first - x, last - x));
    }

    void transform_in(float* to, int64_t tile, int64_t count) const {
        for (int64_t t = 0; t < count; t += vector_lanes) {
            transform_half<0>(phases_ + tile % columns_ + t, to + t);
            transform_half<1>(phases_ + tile % columns_ + t, to + t);
        }
    }

    // Half of the rows of the products.
    template <int Half>
    void transform_half(const float* from, float* to) const {
        const int64_t phase = c_.phase(), slice = c_.in_slice();
        vector rows[side / 2][side];
#pragma GCC unroll 6
        for (int x = 0; x < side; ++x) {
            vector d[side], half[side / 2];
#pragma GCC unroll 6
            for (int y = 0; y < side; ++y) d[y] = load(from + (y % M * side + x) * phase + y / M * columns_);
            Transform<M>::template in<Half>(d, half);
#pragma GCC unroll 3
            for (int y = 0; y < side / 2; ++y) rows[y][x] = half[y];
        }
#pragma GCC unroll 3
        for (int y = 0; y < side / 2; ++y) {
            vector half[side];
            Transform<M>::template in<0>(rows[y], half), Transform<M>::template in<1>(rows[y], half + side / 2);
#pragma GCC unroll 6
            for (int x = 0; x < side; ++x) store(to + ((Half * (side / 2) + y) * side + x) * slice, half[x]);
        }
    }

    const float* weights_of(int64_t chunk) const {
        const int64_t before = int64_t{group_} * gemm_panels(c_.rows) + c_.panels_before(chunk);
        return c_.weights + before * products * c_.in_channels * gemm_panel;
    }

    void multiply(int64_t chunk, int64_t count) {
        const int32_t rows = rows_of(chunk), panels = gemm_panels(rows);
        for (int64_t k = 0; k < products; ++k)
            for (int64_t n = 0; n < rows; ++n) outs_[k * rows + n] = static_cast<int32_t>(k * c_.out_slice() + n * lanes_);
        for (int64_t i = 0; i < products * panels * gemm_panel; ++i) bias_[i] = 0;  // what it is, the way back adds
        const Gemm gemm{{in_, ins_}, {out_, outs_}, {nullptr, nullptr}, weights_of(chunk), bias_, products, rows, c_.in_channels,
                        static_cast<int32_t>(count), {}};
        SHUFFLEKIT_ISA::gemm(gemm, 0, static_cast<int32_t>(count), 0, products * panels);
    }

    // pixels_[y][M t + x] = pixel (y, x) of tile t. Whether all are numbers.
    bool transform_out(int64_t chunk, int64_t n, int64_t count) const {
        const vector bias = broadcast<vector>(c_.bias[int64_t{group_} * c_.rows + chunk * winograd_rows + n]);
        vector all{};
        for (int64_t t = 0; t < count; t += vector_lanes) {
            const float* from = out_ + n * lanes_ + t;
            vector half[M][side];
#pragma GCC unroll 6
            for (int x = 0; x < side; ++x) {
                vector m[side], to[M];
#pragma GCC unroll 6
                for (int y = 0; y < side; ++y) m[y] = load(from + (y * side + x) * c_.out_slice());
                Transform<M>::out(m, to);
#pragma GCC unroll 4
                for (int y = 0; y < M; ++y) half[y][x] = to[y];
            }
            vector sum{};
#pragma GCC unroll 4
            for (int y = 0; y < M; ++y) {
                vector whole[M];
                Transform<M>::out(half[y], whole);
#pragma GCC unroll 4
                for (int x = 0; x < M; ++x) whole[x] += bias, sum += whole[x];
                together(whole, pixels_ + M * (y * lanes_ + t));
            }
            all += (every_lane(static_cast<int32_t>(t), 1) < static_cast<int32_t>(count) ? sum : vector{}) * 0.0f;
        }
        float lanes[vector_lanes], rest = 0;
        store(lanes, all);
        for (const float lane : lanes) rest += lane;
        return rest == 0;
    }

    void mend(int64_t chunk, int32_t n, int64_t tile, int64_t count) const {
        for (int64_t t = 0; t < count; ++t)
            for (int64_t y = 0; y < M; ++y)
                for (int64_t x = 0; x < M; ++x) {
                    float& pixel = pixels_[M * (y * lanes_ + t) + x];
                    if (pixel * 0 == 0) continue;
                    pixel = directly(chunk, n, (tile + t) / columns_ * M + y, (tile + t) % columns_ * M + x);
                }
    }

    float directly(int64_t chunk, int32_t n, int64_t y, int64_t x) const {
        const Window& w = c_.window;
        const int32_t rows = rows_of(chunk), panels = gemm_panels(rows);
        int32_t panel = 0;
        while (n >= gemm_first_row(rows, panel + 1)) ++panel;
        const float* weights = weights_of(chunk) + int64_t{panel} * c_.in_channels * gemm_panel + n - gemm_first_row(rows, panel);
        float sum = c_.bias[int64_t{group_} * c_.rows + chunk * winograd_rows + n];
        for (int64_t channel = 0; channel < c_.in_channels && sum == sum; ++channel) {
            const float* plane = c_.in[int64_t{group_} * c_.in_channels + channel];
            for (int i = 0; i < 9; ++i) {
                const int64_t row = y - w.pad_y + i / 3, column = x - w.pad_x + i % 3;
                if (row < 0 || row >= w.in_height || column < 0 || column >= w.in_width) continue;
                float weight = 0;
                for (int k = 0; k < 9; ++k) {
                    const int64_t product = Transform<M>::point[k / 3] * side + Transform<M>::point[k % 3];
                    weight += Transform<M>::filter[i / 3][k / 3] * Transform<M>::filter[i % 3][k % 3] *
                              weights[(product * panels * c_.in_channels + channel) * gemm_panel];
                }
                sum += weight * plane[row * w.in_width + column];
            }
        }
        return sum;
    }

    // A residual may lie where the result goes: nothing is written that is not the block's.
    void put(int64_t n, int64_t tile, int64_t count) const {
        const Window& w = c_.window;
        const int64_t channel = int64_t{group_} * c_.rows + n;
        float* plane = c_.out[channel];
        const float* residual = c_.residual.base ? c_.residual[channel] : nullptr;
        const Epilogue end = c_.epilogue.of(channel);
        const bool activates_here = residual || end.is_bounds();  // else all rows of tiles at once, before they are taken apart
        if (!activates_here)
            for (int64_t i = 0; i < M; ++i) activate_stretch(pixels_ + M * i * lanes_, M * count, end);
        with_bounds(c_.epilogue.activation, [&]<Bounds B>() {
            for (int64_t t = 0; t < count;) {
                const int64_t y = (tile + t) / columns_, x = (tile + t) % columns_;
                const int64_t here = columns_ - x < count - t ? columns_ - x : count - t;
                const int64_t left = w.out_width - M * x, pixels = M * here < left ? M * here : left;
                for (int64_t i = 0; i < M && M * y + i < w.out_height; ++i) {
                    const int64_t at = (M * y + i) * w.out_width + M * x;
                    put_row<B>(pixels_ + M * (i * lanes_ + t), residual ? residual + at : nullptr, plane + at, pixels,
                               activates_here ? end : Epilogue{});
                }
                t += here;
            }
        });
    }

    const Winograd<M>& c_;
    const int32_t group_;
    const int64_t lanes_, columns_;
    float *const in_, *const out_, *const phases_, *const pixels_, *const stretches_, *const bias_;
    int32_t *const ins_, *const outs_;
};

template <int M>
void winograd(const Winograd<M>& c, float* scratch, int64_t first_tile, int64_t last_tile, int64_t first_chunk, int64_t last_chunk) {
    const int64_t chunks = c.chunks();
    for (int64_t group = first_chunk / chunks; group * chunks < last_chunk; ++group) {
        const int64_t first = first_chunk - group * chunks, last = last_chunk - group * chunks;
        WinogradGroup<M>(c, static_cast<int32_t>(group), scratch).run(first_tile, last_tile, first > 0 ? first : 0, last < chunks ? last : chunks);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
