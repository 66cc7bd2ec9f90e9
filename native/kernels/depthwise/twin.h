// The twin and the cases of the depthwise convolution, and what a step takes.
#pragma once

#include "kernels/depthwise/depthwise.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

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
                d.out[channel][y * w.out_width + x] = static_cast<float>(activate(sum, d.epilogue.of(channel)));
            }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Depthwise& d) { return double(d.channels) * work(d.window); }
// Elements.
inline double written(const Depthwise& d) { return double(d.channels) * d.window.out_height * d.window.out_width; }

inline void test_depthwise(Report& report, Depthwise::Function* kernel) {
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 40; ++variant)
            report.run([&](Random& random, std::string& about) {
                const Window w = any_window(random, random.between(1, 9), width, variant < 24);
                const int32_t channels = random.between(1, 5);
                const Residual residual = random.once_in(2) ? Residual::none : random.of(residuals);
                Arena arena(random);
                Tensor in = arena.add(channels, w.in_height * w.in_width);
                const Tensor out = arena.add(channels, w.out_height * w.out_width);
                const Tensor added = residual == Residual::in_place ? out : arena.add(channels, out.pixels);
                arena.make();
                arena.fill(in);
                if (residual != Residual::none) arena.fill(added);
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets), addeds = table(added.offsets);
                const auto weights = numbers(random, channels * w.kernel_y * w.kernel_x), bias = numbers(random, channels);
                const Depthwise d{{nullptr, ins.data()}, {nullptr, outs.data()}, {nullptr, addeds.data()}, weights.data(), bias.data(), channels, w,
                                  any_epilogue(random)};
                const Guarded<float> scratch(static_cast<size_t>(depthwise_scratch(w)), true, 64);
                for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = canary(i);
                const Range c = any_share(random, channels, 1);
                about = text(w) + text(", channels [%d, %d) of %d, %s, activation %d", c.first, c.last, channels,
                                       residual_words[static_cast<int>(residual)], static_cast<int>(d.epilogue.activation));
                return compare<Depthwise>(
                    arena, d, out, tolerance(w.kernel_y * w.kernel_x),
                    [&](Depthwise& d, float* base) { d.in.base = d.out.base = base, d.residual.base = residual == Residual::none ? nullptr : base; },
                    [&](const Depthwise& d) { kernel(d, scratch.data(), c.first, c.last); },
                    [&](const Depthwise& d) { reference::depthwise(d, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
