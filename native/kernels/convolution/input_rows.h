// The input rows that a row of output sees, with their zero border and split by stride, so that every tap reads neighbouring
// floats: a ring of kernel_y slots for each channel. Each row is copied once where rows follow each other (dilation 1).
#pragma once

#include "kernels/convolution/convolution.h"
#include "kernels/lanes.h"

namespace shufflekit::SHUFFLEKIT_ISA {

Gemm::Function gemm;

// Of the group's panels.
inline Range panels_of(const Convolution& c, int32_t group, int32_t first_panel, int32_t last_panel) {
    const int32_t panels = gemm_panels(c.rows), first = group * panels;
    return {first_panel > first ? first_panel - first : 0, last_panel < first + panels ? last_panel - first : panels};
}

// to[x] = from[first + x * step] for 0 <= x < count, zero where that is outside of [0, size).
inline void copy_row(const float* from, int64_t size, int64_t first, int64_t step, int64_t count, float* to) {
    int64_t before = first < 0 ? (-first + step - 1) / step : 0;
    int64_t inside = first < size ? (size - first + step - 1) / step : 0;
    if (inside > count) inside = count;
    if (before > inside) before = inside;
    for (int64_t x = 0; x < before; ++x) to[x] = 0;
    if (step == 1)
        for (int64_t x = before; x < inside; ++x) to[x] = from[first + x];
    else
        for (int64_t x = before; x < inside; ++x) to[x] = from[first + x * step];
    for (int64_t x = inside; x < count; ++x) to[x] = 0;
}

// Both phases of stride 2: even[x] = from[2 x - pad], odd[x] = from[2 x - pad + 1] for 0 <= x < count. Without padding, or with one
// column of it, vectors are loaded and stored where cache lines start: the padded phase has each vector's last lane before the others.
inline void copy_row_by_two(const float* from, int64_t size, int64_t pad, int64_t count, float* even, float* odd) {
    int64_t x = 0;
    vector before{};
    for (; pad <= 1 && x + vector_lanes <= count && 2 * (x + vector_lanes) <= size; x += vector_lanes) {
        const vector a = load(from + 2 * x), b = load(from + 2 * x + vector_lanes);
        const vector evens = even_lanes(a, b), odds = odd_lanes(a, b);
        store(even + x, pad ? shift_lanes(before, odds) : evens);
        store(odd + x, pad ? evens : odds);
        before = odds;
    }
    copy_row(from, size, 2 * x - pad, 2, count - x, even + x);
    copy_row(from, size, 2 * x - pad + 1, 2, count - x, odd + x);
}

class InputRows {
  public:
    InputRows(const Convolution& c, int32_t group, float* scratch)
        : in_{c.in.base, c.in.offsets + int64_t{group} * c.in_channels}, channels_(c.in_channels), window_(c.window),
          columns_(convolution_columns(c.window)), rows_(scratch),
          offsets_(reinterpret_cast<int32_t*>(scratch + channels_ * c.window.kernel_y * c.window.stride_x * columns_)),
          taps_(offsets_ + channels_ * c.window.kernel_y * c.window.kernel_x) {
        for (int64_t j = 0; j < c.window.kernel_x; ++j) {
            const int64_t column = j * c.window.dilation_x;
            taps_[j] = static_cast<int32_t>(column % c.window.stride_x * columns_ + column / c.window.stride_x);
        }
    }

    const float* base() const { return rows_; }

    // Where, from `base` on, each operand of output row y starts; rows must come in rising order.
    const int32_t* operands(int64_t y) {
        const Window& w = window_;
        const int64_t slot = w.stride_x * columns_;
        for (int64_t i = 0; i < w.kernel_y; ++i) {
            const int64_t row = y * w.stride_y + i * w.dilation_y, number = w.dilation_y == 1 ? row % w.kernel_y : i;
            for (int64_t channel = 0; channel < channels_; ++channel) {
                float* to = rows_ + (channel * w.kernel_y + number) * slot;
                if (w.dilation_y > 1 || row > copied_) copy(in_[channel], row - w.pad_y, to);
                int32_t* at = offsets_ + (channel * w.kernel_y + i) * w.kernel_x;
                for (int64_t j = 0; j < w.kernel_x; ++j) at[j] = static_cast<int32_t>(to - rows_) + taps_[j];
            }
        }
        copied_ = y * w.stride_y + w.kernel_y - 1;
        return offsets_;
    }

  private:
    void copy(const float* plane, int64_t row, float* to) const {
        const Window& w = window_;
        const int64_t width = row < 0 || row >= w.in_height ? 0 : w.in_width;
        const float* from = width ? plane + row * w.in_width : plane;
        const int64_t read = convolution_read_columns(w);
        if (w.stride_x == 2) return copy_row_by_two(from, width, w.pad_x, read, to, to + columns_);
        for (int64_t phase = 0; phase < w.stride_x; ++phase)
            copy_row(from, width, phase - w.pad_x, w.stride_x, read, to + phase * columns_);
    }

    const Planes in_;
    const int64_t channels_;
    const Window& window_;
    const int64_t columns_;
    float* const rows_;
    int32_t* const offsets_;
    int32_t* const taps_;  // from the start of a channel's row on
    int64_t copied_ = -1;  // the last row in the ring, counted from the padding's first
};

// One row of output, one group. `out` is where each channel's row starts, of planes of so many pixels; its last vector ends with the
// row, since the next row may be another thread's or hold something else: some pixels are computed twice.
inline void convolve_row(const Convolution& c, int32_t group, InputRows& rows, int64_t y, const MutablePlanes& out, int32_t pixels,
                         int32_t first_panel, int32_t last_panel) {
    const int64_t depth = int64_t{c.in_channels} * c.window.kernel_y * c.window.kernel_x, first = int64_t{group} * gemm_panels(c.rows);
    const int32_t width = c.window.out_width, whole = width - width % vector_lanes, last = width - vector_lanes;
    Gemm row{{rows.base(), rows.operands(y)}, out, {nullptr, nullptr}, c.weights + first * depth * gemm_panel,
             c.bias + first * gemm_panel, 1, c.rows, static_cast<int32_t>(depth), pixels, c.epilogue.from(int64_t{group} * c.rows)};
    gemm(row, 0, whole, first_panel, last_panel);
    if (whole == width) return;
    row.in.base += last, row.out.base += last;
    gemm(row, 0, vector_lanes, first_panel, last_panel);
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
