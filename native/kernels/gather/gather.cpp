// Blocks (all digits but the last two) > rows and columns, by what lies together in memory:
// a row's elements evenly: rows > vectors; neighbours down, as where channels become last: some rows, whose output stays in the L2
// cache > tiles of vector_lanes x vector_lanes, transposed in registers, from as many planes as a vector has lanes; two planes that
// take turns: vectors; else element by element.
#include "kernels/gather/gather.h"

#include "kernels/lanes.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

[[maybe_unused]] constexpr int64_t floats_of_rows = 1 << 15;  // of the output; of 1 << 11 255 planes of 80x80 take 1.7 times as long

// Rows and columns at fixed other digits.
struct Block {
    const Gather& g;
    int64_t plane, offset;     // of its first element, in the table and in the plane
    int64_t first_row, rows;   // of all rows
    int64_t row_step, row_stride, column_step, column_stride;
    int64_t columns;
    float* start;  // of the output, where all rows lie in one plane

    Block(const Gather& g, int64_t first_row, int64_t last_row)
        : g(g), plane(0), offset(g.first), first_row(first_row), row_step(0), row_stride(0), column_step(g.steps[g.rank - 1]),
          column_stride(g.strides[g.rank - 1]), columns(g.columns()) {
        const int64_t height = g.rank > 1 ? g.sizes[g.rank - 2] : 1;
        const int64_t down = first_row % height;
        if (g.rank > 1) row_step = g.steps[g.rank - 2], row_stride = g.strides[g.rank - 2];
        rows = height - down < last_row - first_row ? height - down : last_row - first_row;
        plane += down * row_step, offset += down * row_stride;
        int64_t rest = first_row / height;
        for (int32_t d = g.rank - 3; d >= 0; --d) {
            plane += rest % g.sizes[d] * g.steps[d], offset += rest % g.sizes[d] * g.strides[d];
            rest /= g.sizes[d];
        }
        start = g.pixels % (height * columns) ? nullptr : out_of_plane(0);
    }

    const float* in(int64_t row, int64_t column) const {
        return g.in[plane + row * row_step + column * column_step] + offset + row * row_stride + column * column_stride;
    }
    float* out(int64_t row) const { return start ? start + row * columns : out_of_plane(row); }
    float* out_of_plane(int64_t row) const {
        const int64_t element = (first_row + row) * columns;
        return g.out[element / g.pixels] + element % g.pixels;
    }
};

#if SHUFFLEKIT_VECTOR_BYTES > 4
template <int W>
struct Piece {
    using type [[gnu::vector_size(W * sizeof(float)), gnu::may_alias, gnu::aligned(4)]] = float;
};

// W columns of some rows, each with its elements one below another. The last tile ends with the rows.
template <int W>
void tiles(const Block& b, int64_t column, int64_t first_row, int64_t last_row) {
    constexpr int pieces = vector_lanes / W;
    const float* from[W];
    for (int i = 0; i < W; ++i) from[i] = b.in(0, column + i);
    for (int64_t at = first_row; at < last_row; at += vector_lanes) {
        const int64_t row = at + vector_lanes <= b.rows ? at : b.rows - vector_lanes;
        vector x[W];
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) x[i] = load(from[i] + row);
        transpose(x);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) {
            typename Piece<W>::type rows[pieces];
            __builtin_memcpy(rows, &x[i], sizeof(rows));
#pragma GCC unroll 4
            for (int j = 0; j < pieces; ++j)
                *reinterpret_cast<typename Piece<W>::type*>(b.out(row + i * pieces + j) + column) = rows[j];
        }
    }
}

// Up to W columns, fewer than lanes, whose rows lie behind each other. W floats of each row are stored where it has fewer: the last are
// the next row's, which comes after it.
template <int W>
void narrow_tiles(const Block& b, float* to) {
    constexpr int pieces = vector_lanes / W;
    const float* from[W];
    for (int i = 0; i < W; ++i) from[i] = b.in(0, i < b.columns ? i : 0);
    const int64_t last = b.rows * b.columns - W;  // where W floats are written at most
    for (int64_t at = 0; at < b.rows; at += vector_lanes) {
        const int64_t row = at + vector_lanes <= b.rows ? at : b.rows - vector_lanes;
        vector x[W];
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) x[i] = load(from[i] + row);
        transpose(x);
        float* out = to + row * b.columns;
        if (b.columns == W) {
#pragma GCC unroll 16
            for (int i = 0; i < W; ++i) store(out + i * vector_lanes, x[i]);
            continue;
        }
        const bool is_last = out + (vector_lanes - 1) * b.columns - to > last;
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) {
            typename Piece<W>::type rows[pieces];
            __builtin_memcpy(rows, &x[i], sizeof(rows));
#pragma GCC unroll 4
            for (int j = 0; j < pieces; ++j, out += b.columns) {
                if (!is_last || out - to <= last) *reinterpret_cast<typename Piece<W>::type*>(out) = rows[j];
                else __builtin_memcpy(out, &rows[j], b.columns * sizeof(float));
            }
        }
    }
}

// The last of them as a tile that is as narrow as it can be, and ends with the columns.
void all_columns(const Block& b, int64_t first_row, int64_t last_row) {
    int64_t column = 0;
    for (; column + vector_lanes <= b.columns; column += vector_lanes) tiles<vector_lanes>(b, column, first_row, last_row);
    const int64_t rest = b.columns - column;
    if (rest == 0) return;
    if (rest <= 4) return tiles<4>(b, b.columns - 4, first_row, last_row);
    if constexpr (vector_lanes > 8)
        if (rest <= 8) return tiles<8>(b, b.columns - 8, first_row, last_row);
    tiles<vector_lanes>(b, b.columns - vector_lanes, first_row, last_row);
}

// Two columns that fill a plane's part: what `tiles` is for more of them.
void two_take_turns(const Block& b, float* to) {
    const float *left = b.in(0, 0), *right = b.in(0, 1);
    int64_t row = 0;
    for (; row + vector_lanes <= b.rows; row += vector_lanes) {
        const vector a = load(left + row), c = load(right + row);
        store(to + 2 * row, low_pairs(a, c)), store(to + 2 * row + vector_lanes, high_pairs(a, c));
    }
    for (; row < b.rows; ++row) to[2 * row] = left[row], to[2 * row + 1] = right[row];
}
#endif

void each_element(const Block& b) {
    if (b.row_step || b.columns > 16) {
        for (int64_t row = 0; row < b.rows; ++row) {
            float* to = b.out(row);
            for (int64_t column = 0; column < b.columns; ++column) to[column] = *b.in(row, column);
        }
        return;
    }
    for (int64_t column = 0; column < b.columns; ++column) {
        const float* from = b.in(0, column);
        for (int64_t row = 0; row < b.rows; ++row) b.out(row)[column] = from[row * b.row_stride];
    }
}

void even_row(const float* from, int64_t stride, int64_t count, float* to) {
    int64_t x = 0;
    if (stride == 1) {
        for (; x + vector_lanes <= count; x += vector_lanes) store(to + x, load(from + x));
        for (; x < count; ++x) to[x] = from[x];
        return;
    }
    if (stride == 2)  // the second vector ends one element behind the last that is asked for
        for (; x + vector_lanes < count; x += vector_lanes)
            store(to + x, even_lanes(load(from + 2 * x), load(from + 2 * x + vector_lanes)));
    for (; x < count; ++x) to[x] = from[x * stride];
}

void move(const Block& b) {
#if SHUFFLEKIT_VECTOR_BYTES > 4
    if (b.row_stride == 1 && b.row_step == 0 && b.rows >= vector_lanes && (b.column_step || b.column_stride != 1)) {
        if (b.columns == 2 && b.start) return two_take_turns(b, b.start);
        if (b.columns >= vector_lanes) {
            const int64_t some = (floats_of_rows / b.columns + vector_lanes - 1) / vector_lanes * vector_lanes;
            for (int64_t row = 0; row < b.rows; row += some)
                all_columns(b, row, row + some < b.rows ? row + some : b.rows);
            return;
        }
        if (b.columns > 2 && b.start) {
            if (b.columns <= 4) return narrow_tiles<4>(b, b.start);
            if constexpr (vector_lanes > 4) {
                if (b.columns <= 8) return narrow_tiles<8>(b, b.start);
            }
            if constexpr (vector_lanes > 8) return narrow_tiles<vector_lanes>(b, b.start);
        }
    }
#endif
    if (b.column_step) return each_element(b);
    for (int64_t row = 0; row < b.rows; ++row) even_row(b.in(row, 0), b.column_stride, b.columns, b.out(row));
}

}  // namespace

void gather(const Gather& g, int64_t first_row, int64_t last_row) {
    while (first_row < last_row) {
        const Block block(g, first_row, last_row);
        move(block);
        first_row += block.rows;
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
