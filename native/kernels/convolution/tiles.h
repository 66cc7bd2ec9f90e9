// What variants by tiles have in common: input taken apart, output put together.
//
// Tiles are numbered row by row, and a vector holds as many of them as it has lanes, of one row of tiles or several. For that a
// channel's input rows are taken apart by row and column mod `step` first: then every one of the `side` pixels of a tile's line is
// neighbouring floats for neighbouring tiles. Lines are transformed before they are stored, once for both tiles that see them; columns
// follow when all rows are there. The way back puts M pixels of neighbouring tiles together to stretches of output rows.
//
// What is no number in one pixel is none in most of its tile after the way there and back: pixels that are none are computed directly.
#pragma once

#include "kernels/convolution/convolution.h"
#include "kernels/convolution/put_row.h"

namespace shufflekit::SHUFFLEKIT_ISA {

Gemm::Function gemm;

// Of N * lanes neighbouring floats those of each column mod N, and back.
template <int N>
[[gnu::always_inline]] inline void apart(const vector (&x)[N], vector* to, int step) {
    if constexpr (N == 1) {
        to[0] = x[0];
    } else {
        vector even[N / 2], odd[N / 2];
#pragma GCC unroll 4
        for (int i = 0; i < N / 2; ++i) even[i] = even_lanes(x[2 * i], x[2 * i + 1]), odd[i] = odd_lanes(x[2 * i], x[2 * i + 1]);
        apart(even, to, 2 * step), apart(odd, to + step, 2 * step);
    }
}
template <int N>
[[gnu::always_inline]] inline void apart(const float* from, vector (&to)[N]) {
    vector x[N];
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) x[i] = load(from + i * vector_lanes);
    apart(x, to, 1);
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

// C: the variant's arguments.
template <class C>
class Tiles {
  public:
    static constexpr int M = C::tile, step = C::step, side = C::side, overlap = C::overlap;

    // scratch: c.moved() floats.
    Tiles(const C& c, float* scratch)
        : c_(c), lanes_(c.lanes()), columns_(c.columns()), in_slice_(c.in_slice()), out_slice_(c.out_slice()),
          lead_(leads(c) ? M - 1 : 0), pad_y_(c.window.pad_y + int64_t{c.window.stride_y} * lead_),
          pad_x_(c.window.pad_x + int64_t{c.window.stride_x} * lead_), phase_(c.phase()), stretch_(c.stretch()), phases_(scratch),
          pixels_(phases_ + step * side * phase_), stretches_(pixels_ + M * M * lanes_), ends_(stretches_ + step * stretch_),
          is_end_(ends_ + step * overlap * phase_) {
        for (int64_t i = 0; i < (step * overlap + 1) * phase_; ++i) ends_[i] = 0;
        for (int64_t t = columns_ - 1; t < phase_; t += columns_) is_end_[t] = 1;
    }

    // Whether the grid of tiles begins `lead_` = M - 1 outputs before the first one. Of the first row and column of tiles only one sum is not
    // zero then, and the others are not made: of 4 x 4 tiles at stride 2 those of 11.6 are (M = 2), 29 of 36 a line (M = 4).
    static constexpr bool leads(const C& c) {
        const Window& w = c.window;
        return vector_lanes == 16 && step == 2 * M && w.out_height == 3 * M + 1 && w.out_width == 3 * M + 1 && w.pad_y > 0 && w.pad_x > 0 &&
               c.in_channels >= 16;
    }

  protected:
    // phases_[i][j][t] = value j of line step y + i of the padded plane for tile t = (y, x), counted from the first row of tiles of the
    // block on, 0 <= j < side. Tiles of one row more are there for i < overlap: their rows are the last ones of `side`.
    // Line::in transforms a line's pixels.
    template <class Line>
    void take_apart(int64_t channel, int64_t tile, int64_t count) {
        const int64_t top = tile / columns_, bottom = (tile + count - 1) / columns_, first = tile % columns_, phase = phase_;
        const float* const plane = c_.in[int64_t{group_} * c_.in_channels + channel];
        const bool is_last = channel + 1 == c_.in_channels;
        const float* const next_plane = is_last ? plane : c_.in[int64_t{group_} * c_.in_channels + channel + 1];
        copy_padded(plane, next_plane, top, bottom);
        copy_ends(plane, top, bottom);
        for (int64_t i = 0; i < step; ++i) {
            const float *from = stretches_ + i * stretch_, *ends = ends_ + i * overlap * phase;
            float* to = phases_ + i * side * phase;
            for (int64_t t = first / vector_lanes * vector_lanes; t < first + count + (i < overlap ? columns_ : 0); t += vector_lanes) {
                vector parts[step], pixels[side], line[side];
                apart(from + step * t, parts);
#pragma GCC unroll 8
                for (int j = 0; j < step; ++j) pixels[j] = parts[j];
                const vector is_end = load(is_end_ + t);
#pragma GCC unroll 2
                for (int j = 0; j < overlap; ++j) {
                    const vector next = unshift_lanes(parts[j], broadcast<vector>(from[step * (t + vector_lanes) + j]));
                    pixels[step + j] = is_end > 0 ? load(ends + j * phase + t) : next;
                }
                Line::in(pixels, line);
#pragma GCC unroll 9
                for (int j = 0; j < side; ++j) store(to + j * phase + t, line[j]);
            }
        }
    }
    // Value x of line y of a vector of tiles; `at` is where its first tile lies, of those of the first row of tiles.
    const float* value(int y, int x, int64_t at) const {
        return phases_ + (y % step * side + x) * phase_ + y / step * columns_ + at;
    }

    bool inside(int64_t row) const { return row >= 0 && row < c_.window.in_height; }
    float padded(const float* plane, int64_t y, int64_t x) const {
        const int64_t row = y - pad_y_, column = x - pad_x_;
        return inside(row) && column >= 0 && column < c_.window.in_width ? plane[row * c_.window.in_width + column] : 0;
    }

    // The first step columns_ pixels of each row, and whole vectors: what reaches into the next row is written over, since a row's end
    // comes before its start, and rows in rising order. Masks are made once for all rows.
    void copy_padded(const float* plane, const float* next_plane, int64_t top, int64_t bottom) const {
        const Window& w = c_.window;
        const bool is_large = is_large_;
        const int64_t width = step * columns_, stretch = stretch_;
        for (int64_t x = (width - 1) / vector_lanes * vector_lanes; x >= 0; x -= vector_lanes) {
            const SomeLanes lanes(pad_x_ - x, pad_x_ + w.in_width - x);
            const float *from = plane + x - pad_x_, *soon = next_plane + x - pad_x_;
            for (int64_t i = 0; i < step; ++i) {
                float* to = stretches_ + i * stretch + x;
                for (int64_t y = top; y <= bottom + (i < overlap); ++y, to += width) {
                    const int64_t row = step * y + i - pad_y_;
                    store(to, inside(row) ? lanes.load(from + row * w.in_width) : vector{});
                    if (is_large) __builtin_prefetch(soon + row * w.in_width, 0, 2);
                }
            }
        }
    }

    // Behind a row's last tile comes what is there of the plane, or the padding, which stays zero, and not the next row.
    void copy_ends(const float* plane, int64_t top, int64_t bottom) const {
        for (int64_t j = 0; j < overlap && step * columns_ + j < pad_x_ + c_.window.in_width; ++j)
            for (int64_t i = 0; i < step; ++i) {
                float* to = ends_ + (i * overlap + j) * phase_ + columns_ - 1;
                for (int64_t y = top; y <= bottom + (i < overlap); ++y, to += columns_) *to = padded(plane, step * y + i, step * columns_ + j);
            }
    }

    // pixels_[y][M t + x] for all pixels of a vector of tiles; what is added is no number where one of them is none.
    [[gnu::always_inline]] vector put_together(int y, int64_t t, const vector (&whole)[M]) const {
        vector sum{};
#pragma GCC unroll 4
        for (int x = 0; x < M; ++x) sum += whole[x];
        together(whole, pixels_ + M * (y * lanes_ + t));
        return sum;
    }
    static vector first_lanes(vector x, int64_t count) {
        return every_lane(0, 1) < static_cast<int32_t>(count < vector_lanes ? count : vector_lanes) ? x : vector{};
    }
    static bool is_finite(vector all) {
        float lanes[vector_lanes], rest = 0;
        store(lanes, all * 0.0f);
        for (const float lane : lanes) rest += lane;
        return rest == 0;
    }

    // Computes directly what is no number. filter(channel, i, j) is a weight.
    template <class Filter>
    void mend(float bias, int64_t tile, int64_t count, Filter filter) const {
        for (int64_t t = 0; t < count; ++t)
            for (int64_t y = 0; y < M; ++y)
                for (int64_t x = 0; x < M; ++x) {
                    float& pixel = pixels_[M * (y * lanes_ + t) + x];
                    const int64_t row = (tile + t) / columns_ * M + y - lead_, column = (tile + t) % columns_ * M + x - lead_;
                    if (pixel * 0 == 0 || row < 0 || column < 0) continue;
                    pixel = directly(bias, row, column, filter);
                }
    }

    // A residual may lie where the result goes: nothing is written that is not the block's.
    void put(int64_t n, int64_t tile, int64_t count) const {
        const Window& w = c_.window;
        const int64_t channel = int64_t{group_} * c_.rows + n;
        float* plane = c_.out[channel];
        const float* residual = c_.residual.base ? c_.residual[channel] : nullptr;
        const int64_t next = n + 1 < c_.rows ? c_.out[channel + 1] - plane : 0;
        const Epilogue end = c_.epilogue.of(channel);
        const bool activates_here = residual || end.is_bounds();  // else all rows of tiles at once, before they are taken apart
        if (!activates_here)
            for (int64_t i = 0; i < M; ++i) activate_stretch(pixels_ + M * i * lanes_, M * count, end);
        with_bounds(c_.epilogue.activation, [&]<Bounds B>() {
            for (int64_t t = 0; t < count;) {
                const int64_t y = (tile + t) / columns_, x = (tile + t) % columns_;
                const int64_t here = columns_ - x < count - t ? columns_ - x : count - t;
                const int64_t before = x ? 0 : lead_, column = M * x - lead_ + before;  // before: outputs that are none
                const int64_t left = w.out_width - column, pixels = M * here - before < left ? M * here - before : left;
                for (int64_t i = y ? 0 : lead_; i < M && M * y + i - lead_ < w.out_height; ++i) {
                    const int64_t at = (M * y + i - lead_) * w.out_width + column;
                    if (is_large_)
                        for (int64_t x = 0; x < pixels; x += plane_alignment) __builtin_prefetch(plane + next + at + x, 1, 2);
                    put_row<B>(pixels_ + M * (i * lanes_ + t) + before, residual ? residual + at : nullptr, plane + at, pixels,
                               activates_here ? end : Epilogue{});
                }
                t += here;
            }
        });
    }

    const C& c_;
    int32_t group_ = 0;
    const int64_t lanes_, columns_, in_slice_, out_slice_;  // what c says, without a division each time
    const int64_t lead_;
    // Maps of more floats lie beyond the L2 cache, and of each plane a block sees too few rows for the hardware to follow: the next plane's
    // are prefetched, both ways.
    const bool is_large_ = int64_t{c_.window.in_height} * c_.window.in_width * c_.in_channels > (1 << 19);

  private:
    template <class Filter>
    float directly(float sum, int64_t y, int64_t x, Filter filter) const {
        const Window& w = c_.window;
        for (int64_t channel = 0; channel < c_.in_channels && sum == sum; ++channel) {
            const float* plane = c_.in[int64_t{group_} * c_.in_channels + channel];
            for (int i = 0; i < 3; ++i)
                for (int j = 0; j < 3; ++j) {
                    const int64_t row = y * w.stride_y - w.pad_y + i, column = x * w.stride_x - w.pad_x + j;
                    if (row < 0 || row >= w.in_height || column < 0 || column >= w.in_width) continue;
                    sum += filter(channel, i, j) * plane[row * w.in_width + column];
                }
        }
        return sum;
    }

    const int64_t pad_y_, pad_x_, phase_, stretch_;
    float *const phases_, *const pixels_, *const stretches_, *const ends_, *const is_end_;
};

}  // namespace shufflekit::SHUFFLEKIT_ISA
