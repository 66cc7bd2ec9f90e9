// 3x3 windows: channels > what window_3x3.h says.
// All others: channels > copy the plane with its zero border into scratch, columns split by stride > output rows > taps > pixels:
// every tap reads neighbouring floats, whatever the stride.
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

// What tap (i, j) reads for the first pixel of output row y.
const float* tap_row(const float* scratch, const Window& w, int64_t y, int64_t i, int64_t j) {
    const int64_t row = y * w.stride_y + i * w.dilation_y, column = j * w.dilation_x;
    return scratch + (row * w.stride_x + column % w.stride_x) * depthwise_phase_columns(w) + column / w.stride_x;
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

void any_channel(const Depthwise& d, float* scratch, int32_t channel) {
    const Window& w = d.window;
    const int64_t taps = int64_t{w.kernel_y} * w.kernel_x;
    const float* weights = d.weights + channel * taps;
    const float* residual = d.residual.base ? d.residual[channel] : nullptr;
    copy_with_border(d.in[channel], w, scratch);
    for (int64_t y = 0; y < w.out_height; ++y) {
        float* row = d.out[channel] + y * w.out_width;
        float kept[64];
        for (int64_t start = 0; start < w.out_width; start += 64) {
            const int64_t count = w.out_width - start < 64 ? w.out_width - start : 64;
            for (int64_t x = 0; x < count; ++x) kept[x] = d.bias[channel];
            for (int64_t t = 0; t < taps; ++t) {
                const float* from = tap_row(scratch, w, y, t / w.kernel_x, t % w.kernel_x) + start;
                for (int64_t x = 0; x < count; ++x) kept[x] += weights[t] * from[x];
            }
            if (residual)
                for (int64_t x = 0; x < count; ++x) kept[x] += residual[y * w.out_width + start + x];
            for (int64_t x = 0; x < count; ++x) row[start + x] = kept[x];
        }
    }
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
    for (int32_t channel = first_channel; channel < last_channel; ++channel) activate_stretch(d.out[channel], pixels, d.epilogue);
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
