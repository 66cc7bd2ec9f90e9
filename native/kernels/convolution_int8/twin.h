// The twin and the cases of the convolution of bytes, and what a step takes.
#pragma once

#include "kernels/convolution_int8/convolution_int8.h"
#include "kernels/gemm_int8/twin.h"

namespace shufflekit::reference {

inline void convolution_int8(const ConvolutionInt8& c, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    const Window& w = c.window;
    const int64_t taps = int64_t{w.kernel_y} * w.kernel_x, fours = int8_fours(c.in_channels * taps);
    for (int64_t channel = 0; channel < int64_t{c.groups} * c.rows; ++channel) {
        const int64_t group = channel / c.rows, n = channel % c.rows, panel = group * int8_panels(c.rows) + n / int8_panel;
        if (panel < first_panel || panel >= last_panel) continue;
        for (int64_t y = 0; y < w.out_height; ++y)
            for (int64_t x = 0; x < w.out_width; ++x) {
                const int64_t number = y * Phases(w).columns + x, pixel = y * w.out_width + x;
                if (number < first_pixel || number >= last_pixel) continue;
                int64_t sum = 0;
                for (int64_t t = 0; t < c.in_channels * taps; ++t) {
                    const int64_t from = group * c.in_channels + t / taps, i = t % taps / w.kernel_x, j = t % w.kernel_x;
                    sum += c.weights[((panel * fours + t / 4) * int8_panel + n % int8_panel) * 4 + t % 4] * tap(c.in[from], w, y, x, i, j, c.fill[from]);
                }
                c.out[channel][pixel] = ended(sum, c.ends[channel], c.residual.base ? c.residual[channel] + pixel : nullptr);
            }
    }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const ConvolutionInt8& c) {
    const Phases phases(c.window);
    return double(c.groups) * c.in_channels * (double(c.rows) * work(c.window) + static_cast<double>(phases.count(c.window) * phases.bytes));
}
// Elements.
inline double written(const ConvolutionInt8& c) { return double(c.groups) * c.rows * c.window.out_height * c.window.out_width; }

inline void test_convolution_int8(Report& report, ConvolutionInt8::Function* kernel) {
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 20; ++variant)
            report.run([&](Random& random, std::string& about) {
                const Window w = any_window(random, random.between(1, 9), width, variant < 12);
                const int32_t groups = random.of({1, 1, 2}), rows = random.between(1, 9), in_channels = random.between(1, 4);
                const Residual residual = random.once_in(2) ? Residual::none : random.of(residuals);
                Bytes arena(random);
                Tensor in = arena.add(groups * in_channels, w.in_height * w.in_width);
                const Tensor out = arena.add(groups * rows, w.out_height * w.out_width);
                const Tensor added = residual == Residual::in_place ? out : arena.add(groups * rows, out.pixels);
                arena.make();
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets), addeds = table(added.offsets);
                const auto depth = static_cast<int32_t>(convolution_int8_depth(in_channels, w));
                const auto weights = packed_bytes(random, groups, rows, depth);
                const auto fill = bytes(random, groups * in_channels);
                const auto all_ends = ends(random, groups * rows, depth);
                const ConvolutionInt8 c{{nullptr, ins.data()}, {nullptr, outs.data()}, {nullptr, addeds.data()}, weights.data(), fill.data(), all_ends.data(),
                                        groups, rows, in_channels, w, have_seven_bits(weights.data(), static_cast<int64_t>(weights.size()))};
                const Guarded<uint8_t> scratch(static_cast<size_t>(convolution_int8_scratch(in_channels, w)), true, 64);
                const Range p = any_share(random, static_cast<int32_t>(Phases(w).pixels), int8_block);
                const Range n = any_share(random, static_cast<int32_t>(groups * int8_panels(rows)), 1);
                about = text(w) + text(", %d channels -> %d rows, %d groups, numbers [%d, %d), panels [%d, %d), %s", in_channels, rows, groups, p.first, p.last,
                                       n.first, n.last, residual_words[static_cast<int>(residual)]);
                return compare<ConvolutionInt8>(
                    arena, c, out,
                    [&](ConvolutionInt8& c, uint8_t* base) { c.in.base = c.out.base = base, c.residual.base = residual == Residual::none ? nullptr : base; },
                    [&](const ConvolutionInt8& c) { kernel(c, scratch.data(), p.first, p.last, n.first, n.last); },
                    [&](const ConvolutionInt8& c) { reference::convolution_int8(c, p.first, p.last, n.first, n.last); });
            });
}

}  // namespace shufflekit::testing
