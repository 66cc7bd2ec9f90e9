// The twin and the cases of the depthwise convolution of bytes, and what a step takes.
#pragma once

#include "kernels/depthwise_int8/depthwise_int8.h"
#include "tests/byte_cases.h"

namespace shufflekit::reference {

inline void depthwise_int8(const DepthwiseInt8& d, int32_t first_channel, int32_t last_channel) {
    const Window& w = d.window;
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t y = 0; y < w.out_height; ++y)
            for (int64_t x = 0; x < w.out_width; ++x) {
                int64_t sum = 0;
                for (int64_t i = 0; i < w.kernel_y; ++i)
                    for (int64_t j = 0; j < w.kernel_x; ++j)
                        sum += d.weights[(channel * w.kernel_y + i) * w.kernel_x + j] * tap(d.in[channel], w, y, x, i, j, d.fill[channel]);
                const int64_t pixel = y * w.out_width + x;
                d.out[channel][pixel] = ended(sum, d.ends[channel], d.residual.base ? d.residual[channel] + pixel : nullptr);
            }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const DepthwiseInt8& d) {
    const Phases phases(d.window);
    return double(d.channels) * (work(d.window) + static_cast<double>(phases.count(d.window) * phases.bytes));
}
// Elements.
inline double written(const DepthwiseInt8& d) { return double(d.channels) * d.window.out_height * d.window.out_width; }

inline void test_depthwise_int8(Report& report, DepthwiseInt8::Function* kernel) {
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 40; ++variant)
            report.run([&](Random& random, std::string& about) {
                Window w = any_window(random, random.once_in(8) ? 60 : random.between(1, 9), width, variant < 24);
                if (variant >= 20 && variant < 24) {  // 5x5 at strides of 1 and 2, which have ways of their own
                    w.kernel_y = w.kernel_x = 5, w.pad_y = w.pad_x = random.once_in(4) ? 1 : 2;
                    w.out_height = std::max((w.in_height + 2 * w.pad_y - 5) / w.stride_y + 1, 1), w.out_width = std::max((w.in_width + 2 * w.pad_x - 5) / w.stride_x + 1, 1);
                }
                if (variant >= 16 && variant < 20) {  // likewise 3x3 whose sides are even
                    w.kernel_y = w.kernel_x = 3, w.pad_y = w.pad_x = w.dilation_y = w.dilation_x = 1, w.stride_x = w.stride_y = variant % 2 + 1;
                    w.in_height += w.in_height % 2, w.in_width += w.in_width % 2;
                    w.out_height = (w.in_height - 1) / w.stride_y + 1, w.out_width = (w.in_width - 1) / w.stride_x + 1;
                }
                const int32_t channels = random.between(1, 4);
                const Residual residual = random.once_in(2) ? Residual::none : random.of(residuals);
                Bytes arena(random);
                Tensor in = arena.add(channels, w.in_height * w.in_width);
                const Tensor out = arena.add(channels, w.out_height * w.out_width);
                const Tensor added = residual == Residual::in_place ? out : arena.add(channels, out.pixels);
                arena.make();
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets), addeds = table(added.offsets);
                const auto weights = bytes<int8_t>(random, channels * w.kernel_y * w.kernel_x);
                const auto fill = bytes(random, channels);
                const auto all_ends = ends(random, channels, w.kernel_y * w.kernel_x);
                const DepthwiseInt8 d{{nullptr, ins.data()}, {nullptr, outs.data()}, {nullptr, addeds.data()}, weights.data(), fill.data(),
                                      all_ends.data(), channels, w, are_plain(all_ends.data(), channels)};
                const Guarded<uint8_t> scratch(static_cast<size_t>(depthwise_int8_scratch(w)), true, 64);
                const Range c = any_share(random, channels, 1);
                about = text(w) + text(", channels [%d, %d) of %d, %s", c.first, c.last, channels, residual_words[static_cast<int>(residual)]);
                return compare<DepthwiseInt8>(
                    arena, d, out,
                    [&](DepthwiseInt8& d, uint8_t* base) { d.in.base = d.out.base = base, d.residual.base = residual == Residual::none ? nullptr : base; },
                    [&](const DepthwiseInt8& d) { kernel(d, scratch.data(), c.first, c.last); },
                    [&](const DepthwiseInt8& d) { reference::depthwise_int8(d, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
