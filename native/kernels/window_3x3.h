// Walks 3x3 windows over a plane, whole vectors of output pixels at a time: what depthwise convolution and pooling share.
//
// Blocks of one or two vectors of columns > input rows > left, middle and right operands > the three output rows that see the row.
// An input row is loaded once for all of them: 9 weights + 3 sums and 3 operands a vector + masks = at most 25 of 32 registers with
// AVX-512. Whole vectors are loaded and stored: up to `window_slack` floats around the input plane are read and masked out, and
// floats behind the output plane's pixels, but inside of what it owns, are overwritten.
#pragma once

#include "kernels/activation_math.h"
#include "kernels/lanes.h"
#include "kernels/plane.h"

namespace shufflekit::SHUFFLEKIT_ISA {


struct Operands {
    vector left, middle, right;
};

// V vectors of output columns, over all rows. An operation is copied, since stores could change what is behind a reference to it,
// for all that the compiler knows. It has
//   fill          what the padding counts as
//   begin(x), add(sum, x), end(sum, x)   the sum of an output row after its first, second and third input row
template <int Stride, int V, class Operation>
[[gnu::always_inline]] inline void slide_columns(Operation operation, const float* plane, const Window& w, const int32_t (&columns)[V],
                                                 float* out) {
    const vector fill = broadcast<vector>(operation.fill);
    mask inside_left[V], inside_right[V];
    for (int v = 0; v < V; ++v) {
        const mask left = every_lane(columns[v] * Stride - w.pad_x, Stride);
        inside_left[v] = left >= 0;
        inside_right[v] = left + 2 < w.in_width;
    }
    const auto operands = [&](int32_t row, int v) __attribute__((always_inline)) -> Operands {
        const float* at = plane + int64_t{row} * w.in_width + columns[v] * Stride - w.pad_x;
        Operands x;
        if constexpr (Stride == 1) {
            x = {load(at), load(at + 1), load(at + 2)};
        } else {
            const vector a = load(at), b = load(at + vector_lanes), c = load(at + 2 * vector_lanes);
            x.left = even_lanes(a, b), x.middle = odd_lanes(a, b), x.right = unshift_lanes(x.left, c);
        }
        x.left = inside_left[v] ? x.left : fill;
        x.right = inside_right[v] ? x.right : fill;
        return x;
    };
    const auto operands_or_fill = [&](int32_t row, int v) __attribute__((always_inline)) -> Operands {
        if (row < 0 || row >= w.in_height) return {fill, fill, fill};
        return operands(row, v);
    };
    const int64_t owned = plane_floats(int64_t{w.out_height} * w.out_width);
    const auto put = [&](int32_t y, int v, vector value) __attribute__((always_inline)) { store(out + int64_t{y} * w.out_width + columns[v], operation.finish(value)); };
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
                const Operands x = take(y + 2 - w.pad_y, v);
                give(y, v, operation.end(upper[v], x));
                upper[v] = operation.add(lower[v], x);
                lower[v] = operation.begin(x);
            } else {
                const vector sum = operation.add(upper[v], take(y * 2 + 1 - w.pad_y, v));
                const Operands x = take(y * 2 + 2 - w.pad_y, v);
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
template <int Stride, class Operation>
[[gnu::always_inline]] inline void slide_3x3(Operation operation, const float* plane, const Window& w, float* out) {
    int32_t column = 0;
    const int32_t last = w.out_width > vector_lanes ? w.out_width - vector_lanes : 0;  // of a whole vector's first columns
    for (; column + vector_lanes < w.out_width; column += 2 * vector_lanes) {
        const int32_t second = column + vector_lanes < last ? column + vector_lanes : last;
        slide_columns<Stride, 2>(operation, plane, w, {column, second}, out);
    }
    if (column < w.out_width) slide_columns<Stride, 1>(operation, plane, w, {column < last ? column : last}, out);
}

template <class Operation>
[[gnu::always_inline]] inline void slide_3x3(Operation operation, const float* plane, const Window& w, float* out) {
    w.stride_x == 1 ? slide_3x3<1>(operation, plane, w, out) : slide_3x3<2>(operation, plane, w, out);
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
