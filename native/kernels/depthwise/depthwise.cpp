// 3x3 windows: channels > what window_3x3.h says.
// All others: channels > copy the plane with its zero border into scratch, columns split by stride > 4 output rows > 2 vectors of
// columns > taps: every tap reads neighbouring floats, whatever the stride; 8 sums + tap + load = 10 of 16 ymm.
#include "kernels/depthwise/depthwise.h"

#include "kernels/depthwise/convolve_3x3.h"
#include "kernels/epilogue.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

void copy_with_border(const float* plane, const Window& w, float* scratch) {
    const int64_t columns = depthwise_phase_columns(w);
    for (int64_t y = 0; y < depthwise_rows(w); ++y) {
        const int64_t row = y - w.pad_y;
        for (int64_t phase = 0; phase < w.stride_x; ++phase, scratch += columns) {
            const int64_t first = phase - w.pad_x;  // the input's column of the phase's first float
            int64_t before = first < 0 ? (-first + w.stride_x - 1) / w.stride_x : 0;
            int64_t inside = first < w.in_width ? (w.in_width - first + w.stride_x - 1) / w.stride_x : 0;
            if (row < 0 || row >= w.in_height) inside = 0;
            if (inside > columns) inside = columns;
            if (before > inside) before = inside;
            const float* from = plane + row * w.in_width + first;
            for (int64_t x = 0; x < before; ++x) scratch[x] = 0;
            if (w.stride_x == 1)
                for (int64_t x = before; x < inside; ++x) scratch[x] = from[x];
            else
                for (int64_t x = before; x < inside; ++x) scratch[x] = from[x * w.stride_x];
            for (int64_t x = inside; x < columns; ++x) scratch[x] = 0;
        }
    }
}

// Each way has a loop of its own, so that its filter stays in registers.
template <Bounds B>
void slide_channels(const Depthwise& d, int32_t first_channel, int32_t last_channel) {
    const auto filter = [&](int32_t channel) { return Convolve3x3<B>(d.weights + int64_t{channel} * 9, d.bias[channel], d.epilogue); };
    if (NarrowPlane::fits(d.window)) {
        const NarrowPlane narrow(d.window);
        for (int32_t channel = first_channel; channel < last_channel; ++channel) narrow.slide(filter(channel), d.in[channel], d.out[channel]);
    } else {
        for (int32_t channel = first_channel; channel < last_channel; ++channel)
            slide_3x3(filter(channel), d.in[channel], d.window, d.out[channel]);
    }
}

// R output rows by V vectors of columns, whose sums stay in registers over all taps. Whole vectors are loaded, which every row of the
// scratch has room for; what lies behind the last column is not stored, since a residual may lie in the next row.
template <int R, int V>
void block(const Depthwise& d, const float* scratch, int32_t channel, int64_t y, int64_t start) {
    const Window& w = d.window;
    const int64_t columns = depthwise_phase_columns(w), row_floats = columns * w.stride_x;
    const float* weight = d.weights + int64_t{channel} * w.kernel_y * w.kernel_x;
    vector sums[R][V];
    for (int r = 0; r < R; ++r)
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
    const float* residual = d.residual.base ? d.residual[channel] : nullptr;
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) {
            const int64_t first = start + v * vector_lanes, pixel = (y + r) * w.out_width + first;
            float* out = d.out[channel] + pixel;
            if (first + vector_lanes <= w.out_width) {
                store(out, residual ? sums[r][v] + load(residual + pixel) : sums[r][v]);
                continue;
            }
            float lanes[vector_lanes];
            store(lanes, sums[r][v]);
            for (int64_t x = 0; first + x < w.out_width; ++x) out[x] = residual ? lanes[x] + residual[pixel + x] : lanes[x];
        }
}

template <int R>
void block_rows(const Depthwise& d, const float* scratch, int32_t channel, int64_t y) {
    int64_t start = 0;
    for (; start + vector_lanes < d.window.out_width; start += 2 * vector_lanes) block<R, 2>(d, scratch, channel, y, start);
    if (start < d.window.out_width) block<R, 1>(d, scratch, channel, y, start);
}

void any_channel(const Depthwise& d, float* scratch, int32_t channel) {
    copy_with_border(d.in[channel], d.window, scratch);
    int64_t y = 0;
    for (; y + 4 <= d.window.out_height; y += 4) block_rows<4>(d, scratch, channel, y);
    for (; y < d.window.out_height; ++y) block_rows<1>(d, scratch, channel, y);
}

}  // namespace

void depthwise(const Depthwise& d, float* scratch, int32_t first_channel, int32_t last_channel) {
    const bool slides = slides_3x3(d.window) && !d.residual.base;
    if (slides)
        with_bounds(d.epilogue.activation, [&]<Bounds B>() { slide_channels<B>(d, first_channel, last_channel); });
    else
        for (int32_t channel = first_channel; channel < last_channel; ++channel) any_channel(d, scratch, channel);
    if (slides && d.epilogue.is_bounds()) return;
    const int64_t pixels = int64_t{d.window.out_height} * d.window.out_width;
    for (int32_t channel = first_channel; channel < last_channel; ++channel) activate_stretch(d.out[channel], pixels, d.epilogue.of(channel));
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
