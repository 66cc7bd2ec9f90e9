// The twin and the cases of the pooling, and what a step takes.
#pragma once

#include "kernels/pool/pool.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline double pooled(const Pool& p, const float* plane, int64_t y, int64_t x) {
    const Window& w = p.window;
    const bool slides = p.pooling == Pooling::maximum || p.pooling == Pooling::average;
    double sum = 0, most = -INFINITY, count = 0, padded = 0;
    for (int64_t row = -w.pad_y; row < w.in_height + p.behind_y; ++row)
        for (int64_t column = -w.pad_x; column < w.in_width + p.behind_x; ++column) {
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
                p.out[channel][y * p.window.out_width + x] = static_cast<float>(activate(pooled(p, p.in[channel], y, x), p.epilogue.of(channel)));
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Pool& p) { return double(p.channels) * work(p.window); }
// Elements.
inline double written(const Pool& p) { return double(p.channels) * p.window.out_height * p.window.out_width; }

// Whether each output position of a window sees a pixel of the input, as pool.h asks.
inline bool sees(int32_t out, int32_t in, int32_t kernel, int32_t stride, int32_t pad, int32_t dilation) {
    for (int32_t at = 0; at < out; ++at) {
        bool any = false;
        for (int32_t i = 0; i < kernel; ++i) any |= at * stride - pad + i * dilation >= 0 && at * stride - pad + i * dilation < in;
        if (!any) return false;
    }
    return true;
}

inline void test_pool(Report& report, Pool::Function* kernel) {
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 40; ++variant)
            report.run([&](Random& random, std::string& about) {
                const auto pooling = static_cast<Pooling>(variant % poolings);
                const bool slides = pooling == Pooling::maximum || pooling == Pooling::average;
                Window w = any_window(random, random.between(1, 9), width, variant < 24);
                if (pooling == Pooling::average) w.dilation_y = w.dilation_x = 1;  // there is no other average pooling
                if (!slides) {
                    w.out_height = random.once_in(3) ? 1 : random.between(1, 2 * w.in_height);
                    w.out_width = w.out_height == 1 && random.once_in(2) ? 1 : random.between(1, 2 * w.in_width);
                }
                while (slides && !(sees(w.out_height, w.in_height, w.kernel_y, w.stride_y, w.pad_y, w.dilation_y) &&
                                   sees(w.out_width, w.in_width, w.kernel_x, w.stride_x, w.pad_x, w.dilation_x)))
                    w = any_window(random, w.in_height, w.in_width, true);
                const int32_t channels = random.between(1, 5);
                const bool tight = random.once_in(3);
                Arena arena(random), input(random, tight);
                Arena& source = tight ? input : arena;
                Tensor in = source.add(channels, w.in_height * w.in_width);
                const Tensor out = arena.add(channels, w.out_height * w.out_width);
                arena.make(), input.make();
                source.fill(in);
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const Pool p{{nullptr, ins.data()}, {nullptr, outs.data()}, channels, w, pooling, slides && random.once_in(2),
                             random.once_in(2) ? w.pad_y : random.below(4), random.once_in(2) ? w.pad_x : random.below(4), tight, any_epilogue(random)};
                const Guarded<float> scratch(static_cast<size_t>(p.scratch()), true, 64);
                for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = canary(i);
                const Range c = any_share(random, channels, 1);
                about = text(w) + text(", channels [%d, %d) of %d, pooling %d, %s%s, activation %d", c.first, c.last, channels,
                                       static_cast<int>(pooling), p.count_padding ? "padding counted" : "padding not counted", tight ? ", tight" : "",
                                       static_cast<int>(p.epilogue.activation));
                return compare<Pool>(
                    arena, p, out, tolerance(w.in_height * w.in_width),
                    [&](Pool& p, float* base) { p.in.base = tight ? input.base() : base, p.out.base = base; },
                    [&](const Pool& p) { kernel(p, scratch.data(), c.first, c.last); }, [&](const Pool& p) { reference::pool(p, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
