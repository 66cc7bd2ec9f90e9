// 3x3 windows: channels > what window_3x3.h says, or row_pairs.h of small planes; with a residual into scratch first.
// All others: channels > copy the plane into scratch, whose zero border stays, columns split by stride > 4 output rows > 2 vectors of
// columns > taps: every tap reads neighbouring floats, whatever the stride. Windows of 3, 5 or 7 rows at stride 1 or 2 go column by
// column of the window, and an input row is loaded once for all output rows that see it: 8 sums + 7 taps + load = 16 of 32.
#include "kernels/depthwise/depthwise.h"

#include "kernels/depthwise/convolve_3x3.h"
#include "kernels/epilogue.h"
#include "kernels/row_pairs.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

void clear(float* scratch, int64_t count) {
    for (int64_t i = 0; i < count; i += vector_lanes) store_lanes(scratch + i, vector{}, count - i);
}

// Vectors of columns > rows, which are as far apart as whole vectors need. What the border alone fills is zero already.
void copy_inside(const float* plane, const Window& w, float* scratch) {
    const int64_t columns = depthwise_phase_columns(w), read = columns - plane_alignment, row_floats = w.stride_x * columns;
    const int64_t first = w.pad_x, last = first + w.in_width, left = depthwise_rows(w) - w.pad_y;
    const int64_t rows = left < w.in_height ? left : w.in_height;
    const auto each_row = [&](int64_t x, auto copy) __attribute__((always_inline)) {
        const float* row = plane - first;
        float* to = scratch + w.pad_y * row_floats + x;
        for (int64_t y = 0; y < rows; ++y, row += w.in_width, to += row_floats) copy(row, to);
    };
    for (int64_t x = first / w.stride_x / vector_lanes * vector_lanes; x < read && x * w.stride_x < last; x += vector_lanes) {
        if (w.stride_x == 1) {
            const SomeLanes lanes(first - x, last - x);
            each_row(x, [&](const float* row, float* to) { store(to, lanes.load(row + x)); });
        } else if (w.stride_x == 2) {
            const int64_t at = 2 * x, next = at + vector_lanes;
            const SomeLanes one(first - at, last - at), two(first - next, last - next);
            each_row(x, [&](const float* row, float* to) {
                const vector a = one.load(row + at), b = two.load(row + next);
                store(to, even_lanes(a, b)), store(to + columns, odd_lanes(a, b));
            });
        } else {
            each_row(x, [&](const float* row, float* to) {
                for (int64_t phase = 0; phase < w.stride_x; ++phase)
                    for (int64_t i = 0; i < vector_lanes; ++i) {
                        const int64_t at = (x + i) * w.stride_x + phase;
                        to[phase * columns + i] = at >= first && at < last ? row[at] : 0;
                    }
            });
        }
    }
}

// Each way has a loop of its own, so that its filter stays in registers.
template <Bounds B>
void slide_channels(const Depthwise& d, int32_t first_channel, int32_t last_channel) {
    const auto filter = [&](int32_t channel) { return Convolve3x3<B>(d.weights + int64_t{channel} * 9, d.bias[channel], d.epilogue.of(channel)); };
#if SHUFFLEKIT_VECTOR_BYTES == 64
    const auto by_pairs = [&]<int Stride, int Pairs>() {
        if (!RowPairs<Stride, Pairs>::fits(d.window)) return false;
        const RowPairs<Stride, Pairs> pairs(d.window);
        for (int32_t channel = first_channel; channel < last_channel; ++channel) pairs.slide(filter(channel), d.in[channel], d.out[channel]);
        return true;
    };
    const auto by_some_pairs = [&]<int Stride>() {
        return by_pairs.template operator()<Stride, 4>() || by_pairs.template operator()<Stride, 3>() ||
               by_pairs.template operator()<Stride, 2>() || by_pairs.template operator()<Stride, 1>();
    };
    if (by_some_pairs.template operator()<1>() || by_some_pairs.template operator()<2>()) return;
#endif
    if (NarrowPlane::fits(d.window)) {
        const NarrowPlane narrow(d.window);
        for (int32_t channel = first_channel; channel < last_channel; ++channel) narrow.slide(filter(channel), d.in[channel], d.out[channel]);
    } else {
        for (int32_t channel = first_channel; channel < last_channel; ++channel)
            slide_3x3(filter(channel), d.in[channel], d.window, d.out[channel]);
    }
}

// What lies behind the last column is not stored, since a residual may lie in the next row.
template <int R, int V>
[[gnu::always_inline]] inline void put_block(const Depthwise& d, int32_t channel, int64_t y, int64_t start, const vector (&sums)[R][V]) {
    const float* residual = d.residual.base ? d.residual[channel] : nullptr;
#pragma GCC unroll 7
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) {
            const int64_t first = start + v * vector_lanes, pixel = (y + r) * d.window.out_width + first, count = d.window.out_width - first;
            store_lanes(d.out[channel] + pixel, residual ? sums[r][v] + load_lanes(residual + pixel, 0, count) : sums[r][v], count);
        }
}

// R output rows by V vectors of columns, whose sums stay in registers over all taps. Whole vectors are loaded, which every row of the
// scratch has room for.
template <int R, int V>
void block(const Depthwise& d, const float* scratch, int32_t channel, int64_t y, int64_t start) {
    const Window& w = d.window;
    const int64_t columns = depthwise_phase_columns(w), row_floats = columns * w.stride_x;
    const float* weight = d.weights + int64_t{channel} * w.kernel_y * w.kernel_x;
    vector sums[R][V];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) sums[r][v] = broadcast<vector>(d.bias[channel]);
    for (int32_t i = 0; i < w.kernel_y; ++i) {
        const float* row = scratch + (y * w.stride_y + int64_t{i} * w.dilation_y) * row_floats + start;
        int64_t phase = 0, column = 0;
        for (int32_t j = 0; j < w.kernel_x; ++j) {
            const float* at = row + phase * columns + column;
            const vector tap = broadcast<vector>(*weight++);
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
                for (int v = 0; v < V; ++v) sums[r][v] += tap * load(at + r * w.stride_y * row_floats + v * vector_lanes);
            for (phase += w.dilation_x; phase >= w.stride_x; phase -= w.stride_x) ++column;
        }
    }
    put_block<R, V>(d, channel, y, start, sums);
}

// Windows of KY rows at vertical stride SY and dilation 1.
template <int KY, int SY, int R, int V>
void block(const Depthwise& d, const float* scratch, int32_t channel, int64_t y, int64_t start) {
    const Window& w = d.window;
    const int64_t columns = depthwise_phase_columns(w), row_floats = columns * w.stride_x;
    const float* weight = d.weights + int64_t{channel} * KY * w.kernel_x;
    const float* from = scratch + y * SY * row_floats + start;
    vector sums[R][V];
#pragma GCC unroll 7
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) sums[r][v] = broadcast<vector>(d.bias[channel]);
    int64_t phase = 0, column = 0;
    for (int32_t j = 0; j < w.kernel_x; ++j, ++weight) {
        vector taps[KY];
#pragma GCC unroll 7
        for (int i = 0; i < KY; ++i) taps[i] = broadcast<vector>(weight[i * w.kernel_x]);
        const float* at = from + phase * columns + column;
#pragma GCC unroll 19
        for (int row = 0; row < SY * (R - 1) + KY; ++row)
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) {
                const vector x = load(at + row * row_floats + v * vector_lanes);
#pragma GCC unroll 7
                for (int r = 0; r < R; ++r)
                    if (row - SY * r >= 0 && row - SY * r < KY) sums[r][v] += taps[row - SY * r] * x;
            }
        for (phase += w.dilation_x; phase >= w.stride_x; phase -= w.stride_x) ++column;
    }
    put_block<R, V>(d, channel, y, start, sums);
}

template <int R>
void block_rows(const Depthwise& d, const float* scratch, int32_t channel, int64_t y) {
    int64_t start = 0;
    for (; start + vector_lanes < d.window.out_width; start += 2 * vector_lanes) block<R, 2>(d, scratch, channel, y, start);
    if (start < d.window.out_width) block<R, 1>(d, scratch, channel, y, start);
}

// R rows of output.
template <int KY, int SY, int R>
void block_rows(const Depthwise& d, const float* scratch, int32_t channel, int64_t y) {
    int64_t start = 0;
    if constexpr (R <= 4)
        for (; start + vector_lanes < d.window.out_width; start += 2 * vector_lanes) block<KY, SY, R, 2>(d, scratch, channel, y, start);
    for (; start < d.window.out_width; start += vector_lanes) block<KY, SY, R, 1>(d, scratch, channel, y, start);
}

// KY rows by any columns at stride 1 of planes that fit into a vector with the padding before them: rows stay in registers, and move on
// by a lane from one column of the window to the next. Nothing is copied: R + KY - 1 rows + R sums + KY taps = 27 of 32 at most.
template <int KY, int R>
void narrow_block(const Depthwise& d, int32_t channel, int64_t y) {
    const Window& w = d.window;
    const SomeLanes lanes(w.pad_x, w.pad_x + w.in_width);
    const float* weight = d.weights + int64_t{channel} * KY * w.kernel_x;
    const float* plane = d.in[channel] - w.pad_x;
    vector rows[R + KY - 1], sums[R][1];
#pragma GCC unroll 13
    for (int i = 0; i < R + KY - 1; ++i) {
        const int64_t row = y + i - w.pad_y;
        rows[i] = row >= 0 && row < w.in_height ? lanes.load(plane + row * w.in_width) : vector{};
    }
#pragma GCC unroll 7
    for (int r = 0; r < R; ++r) sums[r][0] = broadcast<vector>(d.bias[channel]);
    for (int32_t j = 0; j < w.kernel_x; ++j, ++weight) {
        vector taps[KY];
#pragma GCC unroll 7
        for (int i = 0; i < KY; ++i) taps[i] = broadcast<vector>(weight[i * w.kernel_x]);
#pragma GCC unroll 13
        for (int i = 0; i < R + KY - 1; ++i) {
#pragma GCC unroll 7
            for (int r = 0; r < R; ++r)
                if (i - r >= 0 && i - r < KY) sums[r][0] += taps[i - r] * rows[i];
            rows[i] = unshift_lanes(rows[i], vector{});
        }
    }
    put_block<R, 1>(d, channel, y, 0, sums);
}

bool is_narrow(const Window& w) {
    const bool is_plain = w.stride_y == 1 && w.stride_x == 1 && w.dilation_y == 1 && w.dilation_x == 1;
    return is_plain && w.pad_x + w.in_width <= vector_lanes && w.out_width <= vector_lanes;
}

// Calls task<R>(y) for R rows of output from y on. Sums that wait for themselves are slow: of one vector's columns seven rows rather
// than four, where they come out even.
template <class Task>
void each_rows(const Window& w, Task task) {
    const bool narrow = w.out_width <= vector_lanes;
    for (int64_t y = 0, left = w.out_height; left > 0;) {
        const int64_t rows = narrow && left >= 7 && (left % 7 == 0 || left % 4 == 3) ? 7 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        switch (rows) {
            case 7: task.template operator()<7>(y); break;
            case 4: task.template operator()<4>(y); break;
            case 2: task.template operator()<2>(y); break;
            default: task.template operator()<1>(y);
        }
        y += rows, left -= rows;
    }
}

void any_rows(const Depthwise& d, const float* scratch, int32_t channel) {
    int64_t y = 0;
    for (; y + 4 <= d.window.out_height; y += 4) block_rows<4>(d, scratch, channel, y);
    for (; y < d.window.out_height; ++y) block_rows<1>(d, scratch, channel, y);
}

void any_channel(const Depthwise& d, float* scratch, int32_t channel) {
    const Window& w = d.window;
    const bool narrow = is_narrow(w) && (w.kernel_y == 3 || w.kernel_y == 5 || w.kernel_y == 7);
    if (!narrow) copy_inside(d.in[channel], w, scratch);
    const auto of = [&]<int KY>() {
        if (narrow) return each_rows(w, [&]<int R>(int64_t y) { narrow_block<KY, R>(d, channel, y); });
        if (w.dilation_y == 1 && w.stride_y == 1) return each_rows(w, [&]<int R>(int64_t y) { block_rows<KY, 1, R>(d, scratch, channel, y); });
        if (w.dilation_y == 1 && w.stride_y == 2) return each_rows(w, [&]<int R>(int64_t y) { block_rows<KY, 2, R>(d, scratch, channel, y); });
        any_rows(d, scratch, channel);
    };
    switch (w.kernel_y) {
        case 3: return of.template operator()<3>();
        case 5: return of.template operator()<5>();
        case 7: return of.template operator()<7>();
        default: any_rows(d, scratch, channel);
    }
}

// The sums first, since a residual may lie where they go.
void slide_and_add(const Depthwise& d, float* scratch, int32_t channel) {
    slide_3x3(Convolve3x3<Bounds::none>(d.weights + int64_t{channel} * 9, d.bias[channel], {}), d.in[channel], d.window, scratch);
    const float* residual = d.residual[channel];
    float* out = d.out[channel];
    const int64_t pixels = int64_t{d.window.out_height} * d.window.out_width;
    for (int64_t i = 0; i < pixels; i += vector_lanes)
        store_lanes(out + i, load_lanes(scratch + i, 0, pixels - i) + load_lanes(residual + i, 0, pixels - i), pixels - i);
}

}  // namespace

void depthwise(const Depthwise& d, float* scratch, int32_t first_channel, int32_t last_channel) {
    const bool slides = slides_3x3(d.window);
    if (slides && !d.residual.base) {
        with_ends(d.epilogue.activation, [&]<Bounds B>() { slide_channels<B>(d, first_channel, last_channel); });
        if (ends_in_registers(d.epilogue)) return;
    }
    const int64_t pixels = int64_t{d.window.out_height} * d.window.out_width;
    if (!slides) clear(scratch, depthwise_border(d.window));
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        if (!slides)
            any_channel(d, scratch, channel);
        else if (d.residual.base)
            slide_and_add(d, scratch, channel);
        activate_stretch(d.out[channel], pixels, d.epilogue.of(channel));
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
