// Walks 3x3 windows over a plane, whole vectors of output pixels at a time: what depthwise convolution and pooling share.
//
// Blocks of one or two vectors of columns > input rows > left, middle and right operands > the three output rows that see the row.
// An input row is loaded once for all of them: 9 weights + 3 sums and 3 operands a vector + masks = at most 25 of 32 registers with
// AVX-512; with few registers blocks are one vector: 9 weights + 3 sums + 1 operand + 2 masks = 15 of 16. Whole vectors are loaded and
// stored: up to `window_slack` floats around the input plane are read and masked out, and floats behind the output plane's pixels, but
// inside of what it owns, are overwritten.
#pragma once

#include "kernels/activation_math.h"
#include "kernels/lanes.h"
#include "kernels/plane.h"
#include "kernels/registers.h"

namespace shufflekit::SHUFFLEKIT_ISA {

struct Operands {
    vector left, middle, right;
};

// x where its lane is inside, else fill. Bits, where a comparison would be made anew in each row.
[[gnu::always_inline]] inline vector inside_or(mask inside, vector x, vector fill) {
    if constexpr (has_few_registers) return (vector)((inside & (mask)x) | (~inside & (mask)fill));
    return inside ? x : fill;
}

// What is known of a block of columns. Stride 2 with one column of padding on the left and none on the right is that of most networks:
// then the left operands are the right ones, a lane later, and there is no edge to mask.
enum class Columns { any, first_of_even, later_of_even };

// V vectors of output columns, over all rows. An operation is copied, since stores could change what is behind a reference to it,
// for all that the compiler knows. It has
//   fill          what the padding counts as
//   begin(x), add(sum, x), end(sum, x)   the sum of an output row after its first, second and third input row
template <int Stride, int V, Columns Kind, class Operation>
[[gnu::always_inline]] inline void slide_columns(Operation operation, const float* plane, const Window& w, const int32_t (&columns)[V],
                                                 float* out) {
    const vector fill = broadcast<vector>(operation.fill);
    mask inside_left[V], inside_right[V];
    for (int v = 0; v < V; ++v) {
        const mask left = every_lane(columns[v] * Stride - w.pad_x, Stride);
        inside_left[v] = left >= 0;
        inside_right[v] = left + 2 < w.in_width;
        if constexpr (has_few_registers) asm("" : "+r"(inside_left[v]), "+r"(inside_right[v]));
    }
    // By themselves: what is stored could change the window, for all that the compiler knows.
    const int64_t in_width = w.in_width, out_width = w.out_width;
    const int32_t in_height = w.in_height, pad_y = w.pad_y;
    const float* from[V];
    float* to[V];
    for (int v = 0; v < V; ++v) from[v] = plane + columns[v] * Stride - w.pad_x, to[v] = out + columns[v];
    const auto operands = [&](int32_t row, int v) __attribute__((always_inline)) -> Operands {
        const float* at = from[v] + row * in_width;
        Operands x;
        if constexpr (Kind != Columns::any) {
            const vector a = load(at + 1), b = load(at + 1 + vector_lanes);
            x.middle = even_lanes(a, b), x.right = odd_lanes(a, b);
            const bool is_first = Kind == Columns::first_of_even && v == 0;
            x.left = shift_lanes(is_first ? fill : load(at + 1 - vector_lanes), x.right);
            return x;
        }
        if constexpr (Stride == 1) {
            x = {load(at), load(at + 1), load(at + 2)};
        } else {
            const vector a = load(at), b = load(at + vector_lanes), c = load(at + 2 * vector_lanes);
            x.left = even_lanes(a, b), x.middle = odd_lanes(a, b), x.right = unshift_lanes(x.left, c);
        }
        x.left = inside_or(inside_left[v], x.left, fill);
        x.right = inside_or(inside_right[v], x.right, fill);
        return x;
    };
    const auto operands_or_fill = [&](int32_t row, int v) __attribute__((always_inline)) -> Operands {
        if (row < 0 || row >= in_height) return {fill, fill, fill};
        return operands(row, v);
    };
    const int64_t owned = plane_floats(int64_t{w.out_height} * w.out_width);
    const auto put = [&](int32_t y, int v, vector value) __attribute__((always_inline)) { store(to[v] + y * out_width, operation.finish(value)); };
    const auto put_owned = [&](int32_t y, int v, vector value) {
        const int64_t start = int64_t{y} * w.out_width + columns[v];
        if (start + vector_lanes <= owned) return put(y, v, value);
        float lanes[vector_lanes];
        store(lanes, operation.finish(value));
        for (int64_t i = 0; start + i < owned; ++i) out[start + i] = lanes[i];
    };
    // Rows [0, inner) see no padding below and are stored whole.
    const int32_t room = w.in_height - 3 + w.pad_y;
    int32_t inner = room < 0 ? 0 : room / Stride + 1;
    while (inner > 0 && (inner > w.out_height || (inner - 1) * int64_t{w.out_width} + columns[V - 1] + vector_lanes > owned)) --inner;

    vector upper[V], lower[V];  // sums of the output rows that have seen two rows, and one
    const auto row = [&](int32_t y, auto take, auto give) __attribute__((always_inline)) {
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) {
            if constexpr (Stride == 1) {
                const Operands x = take(y + 2 - pad_y, v);
                give(y, v, operation.end(upper[v], x));
                upper[v] = operation.add(lower[v], x);
                lower[v] = operation.begin(x);
            } else {
                const vector sum = operation.add(upper[v], take(y * 2 + 1 - pad_y, v));
                const Operands x = take(y * 2 + 2 - pad_y, v);
                give(y, v, operation.end(sum, x));
                upper[v] = operation.begin(x);
            }
        }
    };
    for (int v = 0; v < V; ++v) {
        upper[v] = operation.begin(operands_or_fill(-w.pad_y, v));
        if constexpr (Stride == 1) {
            const Operands x = operands_or_fill(1 - w.pad_y, v);
            upper[v] = operation.add(upper[v], x);
            lower[v] = operation.begin(x);
        }
    }
    int32_t y = 0;
    for (; y < inner; ++y) row(y, operands, put);
    for (; y < w.out_height; ++y) row(y, operands_or_fill, put_owned);
}

// Blocks from left to right: what a block narrower than a vector writes too much, the next row overwrites.
template <int Stride, bool Even, class Operation>
[[gnu::always_inline]] inline void slide_blocks(const Operation& operation, const float* plane, const Window& w, float* out) {
    constexpr Columns first = Even ? Columns::first_of_even : Columns::any, later = Even ? Columns::later_of_even : Columns::any;
    const int32_t last = w.out_width > vector_lanes ? w.out_width - vector_lanes : 0;  // of a whole vector's first columns
    const auto second = [&](int32_t column) { return column + vector_lanes < last ? column + vector_lanes : last; };
    if (!last || has_few_registers) slide_columns<Stride, 1, first>(operation, plane, w, {0}, out);
    if (!last) return;
    if constexpr (has_few_registers) {
        for (int32_t column = vector_lanes; column < w.out_width; column += vector_lanes)
            slide_columns<Stride, 1, later>(operation, plane, w, {column < last ? column : last}, out);
        return;
    }
    slide_columns<Stride, 2, first>(operation, plane, w, {0, second(0)}, out);
    int32_t column = 2 * vector_lanes;
    for (; column + vector_lanes < w.out_width; column += 2 * vector_lanes)
        slide_columns<Stride, 2, later>(operation, plane, w, {column, second(column)}, out);
    if (column < w.out_width) slide_columns<Stride, 1, later>(operation, plane, w, {last}, out);
}

template <class Operation>
[[gnu::always_inline]] inline void slide_3x3(const Operation& operation, const float* plane, const Window& w, float* out) {
    if (w.stride_x == 1) return slide_blocks<1, false>(operation, plane, w, out);
    const bool even = w.pad_x == 1 && 2 * w.out_width <= w.in_width;
    even ? slide_blocks<2, true>(operation, plane, w, out) : slide_blocks<2, false>(operation, plane, w, out);
}

// Planes narrower than half a vector, stride 1 and a border of one pixel: whole vectors of pixels run over the ends of rows, since pixel
// p sees p + (i - 1) * width + j - 1 for every tap (i, j), and masks take out what lies beyond. 7x7 is 4 vectors in place of 7 rows.
class NarrowPlane {
  public:
    static bool fits(const Window& w) {
        const int64_t pixels = int64_t{w.in_height} * w.in_width;
        return slides_3x3(w) && w.stride_x == 1 && w.pad_y == 1 && w.pad_x == 1 && w.out_height == w.in_height && w.out_width == w.in_width &&
               2 * w.in_width <= vector_lanes && 1 < pixels && pixels <= most * vector_lanes;
    }

    explicit NarrowPlane(const Window& w) : width_(w.in_width), last_row_((w.in_height - 1) * w.in_width) {
        const int32_t pixels = last_row_ + width_;
        vectors_ = (pixels + vector_lanes - 1) / vector_lanes;
        for (int32_t v = 0; v < vectors_; ++v) {
            const mask pixel = every_lane(v * vector_lanes, 1), column = pixel % width_;
            left_[v] = column > 0, right_[v] = column < width_ - 1, above_[v] = pixel >= width_, below_[v] = pixel < last_row_;
        }
    }

    template <class Operation>
    [[gnu::always_inline]] void slide(const Operation& operation, const float* plane, float* out) const {
        const vector fill = broadcast<vector>(operation.fill);
        for (int32_t v = 0; v < vectors_; ++v) {
            const auto operands = [&](int32_t i) __attribute__((always_inline)) -> Operands {
                const float* at = plane + v * vector_lanes + (i - 1) * width_;
                return {left_[v] ? load(at - 1) : fill, load(at), right_[v] ? load(at + 1) : fill};
            };
            const auto masked = [&](const Operands& x, const mask& inside) __attribute__((always_inline)) -> Operands {
                return {inside ? x.left : fill, inside ? x.middle : fill, inside ? x.right : fill};
            };
            Operands first = operands(0), last = operands(2);
            if (v == 0) first = masked(first, above_[0]);
            if ((v + 1) * vector_lanes > last_row_) last = masked(last, below_[v]);
            const vector sum = operation.end(operation.add(operation.begin(first), operands(1)), last);
            store(out + v * vector_lanes, operation.finish(sum));
        }
    }

  private:
    static constexpr int32_t most = 8;
    const int32_t width_, last_row_;
    int32_t vectors_;
    mask left_[most], right_[most], above_[most], below_[most];
};

}  // namespace shufflekit::SHUFFLEKIT_ISA
