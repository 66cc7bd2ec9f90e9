// The kernels' plain twins: each contract of native/kernels/*/*.h as loops over its formula, in double precision, with shares cut
// as the contract cuts them. Slow, and easy to check by eye.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/kernels.h"

namespace shufflekit::reference {

inline double larger(double a, double b) { return std::isnan(b) ? b : std::max(a, b); }

inline double activate(double x, Epilogue epilogue) {
    const auto relu6 = [](double v) { return std::min(std::max(v, 0.0), 6.0); };
    switch (epilogue.activation) {
        case Activation::none: return x;
        case Activation::relu: return std::max(x, 0.0);
        case Activation::relu6: return relu6(x);
        case Activation::hardswish: return double{static_cast<float>(x * relu6(x + 3))} / 6;  // which overflows, as PyTorch's
        case Activation::hardsigmoid: return relu6(x + 3) / 6;
        case Activation::sigmoid: return 1 / (1 + std::exp(-x));
        case Activation::silu: return x / (1 + std::exp(-x));
        case Activation::leaky_relu: return x < 0 ? epilogue.slope * x : x;
    }
    return x;
}

// Row n of a group with `rows` rows and `depth` weights a row, as gemm.h packs them.
struct PackedRow {
    const float* weights;  // weight k at k * gemm_panel
    float bias;
};

inline PackedRow packed_row(const float* weights, const float* bias, int32_t rows, int64_t depth, int32_t group, int32_t n) {
    int32_t panel = 0;
    while (n >= gemm_first_row(rows, panel + 1)) ++panel;
    const int64_t number = int64_t{group} * gemm_panels(rows) + panel, row = n - gemm_first_row(rows, panel);
    return {weights + number * depth * gemm_panel + row, bias[number * gemm_panel + row]};
}

// Calls each(group, row) for the rows of panels [first, last) of all groups' panels together.
template <class Each>
void rows_of_panels(int32_t groups, int32_t rows, int32_t first, int32_t last, Each each) {
    for (int32_t group = 0; group < groups; ++group)
        for (int32_t panel = 0; panel < gemm_panels(rows); ++panel) {
            const int32_t number = group * gemm_panels(rows) + panel;
            if (number < first || number >= last) continue;
            for (int32_t n = gemm_first_row(rows, panel); n < gemm_first_row(rows, panel + 1); ++n) each(group, n);
        }
}

inline void gemm(const Gemm& g, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    rows_of_panels(g.groups, g.rows, first_panel, last_panel, [&](int32_t group, int32_t n) {
        const PackedRow row = packed_row(g.weights, g.bias, g.rows, g.depth, group, n);
        const int64_t channel = int64_t{group} * g.rows + n;
        for (int64_t p = first_pixel; p < last_pixel; ++p) {
            double sum = row.bias;
            for (int64_t k = 0; k < g.depth; ++k) sum += double{row.weights[k * gemm_panel]} * g.in[int64_t{group} * g.depth + k][p];
            if (g.residual.base) sum += g.residual[channel][p];
            g.out[channel][p] = static_cast<float>(activate(sum, g.epilogue));
        }
    });
}

// What a window's tap (i, j) sees for output pixel (y, x); zero outside of the input.
inline double tap(const float* plane, const Window& w, int64_t y, int64_t x, int64_t i, int64_t j) {
    const int64_t row = y * w.stride_y - w.pad_y + i * w.dilation_y, column = x * w.stride_x - w.pad_x + j * w.dilation_x;
    return row < 0 || row >= w.in_height || column < 0 || column >= w.in_width ? 0 : plane[row * w.in_width + column];
}

// Pixel p of the group's output row n.
inline double convolved(const Convolution& c, int32_t group, int32_t n, int64_t p) {
    const Window& w = c.window;
    const int64_t taps = int64_t{w.kernel_y} * w.kernel_x, depth = c.in_channels * taps;
    const PackedRow row = packed_row(c.weights, c.bias, c.rows, depth, group, n);
    double sum = row.bias;
    for (int64_t k = 0; k < depth; ++k) {
        const float* plane = c.in[int64_t{group} * c.in_channels + k / taps];
        sum += row.weights[k * gemm_panel] * tap(plane, w, p / w.out_width, p % w.out_width, k % taps / w.kernel_x, k % taps % w.kernel_x);
    }
    if (c.residual.base) sum += c.residual[int64_t{group} * c.rows + n][p];
    return activate(sum, c.epilogue);
}

inline void convolution(const Convolution& c, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    rows_of_panels(c.groups, c.rows, first_panel, last_panel, [&](int32_t group, int32_t n) {
        for (int64_t p = first_pixel; p < last_pixel; ++p) c.out[int64_t{group} * c.rows + n][p] = static_cast<float>(convolved(c, group, n, p));
    });
}

inline void convolution_pool(const ConvolutionPool& c, int32_t first_row, int32_t last_row) {
    const Window& w = c.pool;
    for (int32_t n = 0; n < c.convolution.rows; ++n)
        for (int64_t y = first_row; y < last_row; ++y)
            for (int64_t x = 0; x < w.out_width; ++x) {
                double most = -INFINITY;
                for (int64_t row = std::max<int64_t>(2 * y - 1, 0); row < std::min<int64_t>(2 * y + 2, w.in_height); ++row)
                    for (int64_t column = std::max<int64_t>(2 * x - 1, 0); column < std::min<int64_t>(2 * x + 2, w.in_width); ++column)
                        most = larger(most, convolved(c.convolution, 0, n, row * w.in_width + column));
                c.convolution.out[n][y * w.out_width + x] = static_cast<float>(most);
            }
}

inline void depthwise(const Depthwise& d, int32_t first_channel, int32_t last_channel) {
    const Window& w = d.window;
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t y = 0; y < w.out_height; ++y)
            for (int64_t x = 0; x < w.out_width; ++x) {
                const float* weights = d.weights + channel * w.kernel_y * w.kernel_x;
                double sum = d.bias[channel];
                for (int64_t i = 0; i < w.kernel_y; ++i)
                    for (int64_t j = 0; j < w.kernel_x; ++j) sum += weights[i * w.kernel_x + j] * tap(d.in[channel], w, y, x, i, j);
                if (d.residual.base) sum += d.residual[channel][y * w.out_width + x];
                d.out[channel][y * w.out_width + x] = static_cast<float>(activate(sum, d.epilogue));
            }
}

inline void pointwise_depthwise(const PointwiseDepthwise& f, int32_t first_row, int32_t last_row) {
    const Gemm& g = f.pointwise;
    const Depthwise& d = f.depthwise;
    const Window& w = d.window;
    for (int32_t n = 0; n < d.channels; ++n) {
        const PackedRow row = packed_row(g.weights, g.bias, g.rows, g.depth, 0, n);
        std::vector<float> between(static_cast<size_t>(g.pixels));
        for (int64_t p = 0; p < g.pixels; ++p) {
            double sum = row.bias;
            for (int64_t k = 0; k < g.depth; ++k) sum += double{row.weights[k * gemm_panel]} * g.in[k][p];
            between[static_cast<size_t>(p)] = static_cast<float>(activate(sum, g.epilogue));
        }
        for (int64_t y = first_row; y < last_row; ++y)
            for (int64_t x = 0; x < w.out_width; ++x) {
                double sum = d.bias[n];
                for (int64_t i = 0; i < 9; ++i) sum += d.weights[n * 9 + i] * tap(between.data(), w, y, x, i / 3, i % 3);
                d.out[n][y * w.out_width + x] = static_cast<float>(activate(sum, d.epilogue));
            }
    }
}

inline void local_response_norm(const LocalResponseNorm& n, int32_t first_channel, int32_t last_channel) {
    for (int32_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t p = 0; p < n.pixels; ++p) {
            double sum = 0;
            for (int32_t d = std::max(channel - n.size / 2, 0); d <= std::min(channel + (n.size - 1) / 2, n.channels - 1); ++d)
                sum += double{n.in[d][p]} * n.in[d][p];
            n.out[channel][p] = static_cast<float>(n.in[channel][p] / std::pow(n.bias + n.scale * sum, n.quarters / 4.0));
        }
}

inline double pooled(const Pool& p, const float* plane, int64_t y, int64_t x) {
    const Window& w = p.window;
    const bool slides = p.pooling == Pooling::maximum || p.pooling == Pooling::average;
    double sum = 0, most = -INFINITY, count = 0, padded = 0;
    for (int64_t row = -w.pad_y; row < w.in_height + w.pad_y; ++row)
        for (int64_t column = -w.pad_x; column < w.in_width + w.pad_x; ++column) {
            const auto seen = [&](int64_t at, int64_t out, int64_t in_size, int64_t out_size, int64_t kernel, int64_t stride, int64_t pad,
                                  int64_t dilation) {
                if (!slides) return at >= out * in_size / out_size && at < ((out + 1) * in_size + out_size - 1) / out_size;
                const int64_t from_first = at - (out * stride - pad);
                return from_first >= 0 && from_first % dilation == 0 && from_first / dilation < kernel;
            };
            if (!seen(row, y, w.in_height, w.out_height, w.kernel_y, w.stride_y, w.pad_y, w.dilation_y) ||
                !seen(column, x, w.in_width, w.out_width, w.kernel_x, w.stride_x, w.pad_x, w.dilation_x))
                continue;
            ++padded;
            if (row < 0 || row >= w.in_height || column < 0 || column >= w.in_width) continue;
            const double pixel = plane[row * w.in_width + column];
            ++count, sum += pixel, most = larger(most, pixel);
        }
    if (p.pooling == Pooling::maximum || p.pooling == Pooling::adaptive_maximum) return most;
    return sum / (slides && p.count_padding ? padded : count);
}

inline void pool(const Pool& p, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t y = 0; y < p.window.out_height; ++y)
            for (int64_t x = 0; x < p.window.out_width; ++x)
                p.out[channel][y * p.window.out_width + x] = static_cast<float>(activate(pooled(p, p.in[channel], y, x), p.epilogue));
}

inline void affine(const Affine& a, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t p = 0; p < a.pixels; ++p)
            a.out[channel][p] = static_cast<float>(activate(double{a.in[channel][p]} * a.scale[channel] + a.shift[channel], a.epilogue));
}

inline void binary(const Binary& o, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t p = 0; p < o.pixels; ++p) {
            const double a = o.a[channel][p], b = o.b[channel][o.b_is_scalar ? 0 : p];
            o.out[channel][p] = static_cast<float>(activate(o.operation == Operation::add ? a + b : a * b, o.epilogue));
        }
}

inline void softmax(const Softmax& s, int32_t first_pixel, int32_t last_pixel) {
    for (int64_t p = first_pixel; p < last_pixel; ++p) {
        double most = -INFINITY, sum = 0;
        for (int64_t c = 0; c < s.channels; ++c) most = std::max<double>(most, s.in[c][p]);
        for (int64_t c = 0; c < s.channels; ++c) sum += std::exp(s.in[c][p] - most);
        for (int64_t c = 0; c < s.channels; ++c) s.out[c][p] = static_cast<float>(std::exp(s.in[c][p] - most) / sum);
    }
}

inline void resize(const Resize& r, int32_t first_channel, int32_t last_channel) {
    const auto where = [&](int64_t at, int64_t in_size, int64_t out_size, float scale) {  // rounded as the contract says
        const auto out = static_cast<float>(at);
        if (repeats_whole(r) && in_size == out_size) return out;
        if (repeats_whole(r) && r.resizing == Resizing::nearest && out_size == 2 * in_size) return out / 2;
        return std::max(r.resizing == Resizing::bilinear ? static_cast<float>((at + 0.5) * scale - 0.5) : out * scale, 0.0f);
    };
    const int64_t right_by = r.in_width != r.out_width, down_by = r.in_height != r.out_height;
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t y = 0; y < r.out_height; ++y)
            for (int64_t x = 0; x < r.out_width; ++x) {
                const auto pixel = [&](int64_t row, int64_t column) {
                    return double{r.in[channel][std::min<int64_t>(row, r.in_height - 1) * r.in_width + std::min<int64_t>(column, r.in_width - 1)]};
                };
                const double at_y = where(y, r.in_height, r.out_height, r.scale_y), at_x = where(x, r.in_width, r.out_width, r.scale_x);
                const auto top = static_cast<int64_t>(at_y), left = static_cast<int64_t>(at_x);
                double value = pixel(top, left);
                if (r.resizing != Resizing::nearest) {
                    const double down = at_y - static_cast<double>(top), right = at_x - static_cast<double>(left);
                    value = (1 - down) * ((1 - right) * pixel(top, left) + right * pixel(top, left + right_by)) +
                            down * ((1 - right) * pixel(top + down_by, left) + right * pixel(top + down_by, left + right_by));
                }
                r.out[channel][y * r.out_width + x] = static_cast<float>(value);
            }
}

inline void gather(const Gather& g, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t y = 0; y < g.out_height; ++y)
            for (int64_t x = 0; x < g.out_width; ++x)
                g.out[channel][y * g.out_width + x] =
                    g.in[channel][(y * g.step_y + g.first_y) * int64_t{g.in_width} + x * g.step_x + g.first_x];
}

}  // namespace shufflekit::reference
