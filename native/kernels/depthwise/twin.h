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

// Of a variant: `pack` gives its arguments from those with weights in order, and `scratch_of` their scratch.
template <class Variant, class Draw, class Pack, class ScratchOf>
void test_depthwise_variant(Report& report, typename Variant::Function* kernel, int32_t unit, Draw draw, Pack pack, ScratchOf scratch_of) {
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 40; ++variant)
            report.run([&](Random& random, std::string& about) {
                const Window w = draw(random, width, variant);
                const int32_t channels = unit > 1 ? random.between(1, 2 * unit + 3) : random.between(1, 5);
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
                const Depthwise plain{{nullptr, ins.data()}, {nullptr, outs.data()}, {nullptr, addeds.data()}, weights.data(), bias.data(), channels, w,
                                      any_epilogue(random)};
                std::vector<float> packed_weights, packed_bias;
                const Variant d = pack(plain, packed_weights, packed_bias);
                const Guarded<float> scratch(static_cast<size_t>(scratch_of(d)), true, 64);
                for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = canary(i);
                const Range c = any_share(random, channels, unit);
                about = text(w) + text(", channels [%d, %d) of %d, %s, activation %d", c.first, c.last, channels,
                                       residual_words[static_cast<int>(residual)], static_cast<int>(d.epilogue.activation));
                return compare<Variant>(
                    arena, d, out, tolerance(w.kernel_y * w.kernel_x),
                    [&](Variant& d, float* base) { d.in.base = d.out.base = base, d.residual.base = residual == Residual::none ? nullptr : base; },
                    [&](const Variant& d) { kernel(d, scratch.data(), c.first, c.last); },
                    [&](Depthwise d) {
                        d.weights = plain.weights, d.bias = plain.bias;
                        reference::depthwise(d, c.first, c.last);
                    });
            });
}

inline void test_depthwise(Report& report, Depthwise::Function* kernel) {
    test_depthwise_variant<Depthwise>(
        report, kernel, 1, [](Random& random, int32_t width, int32_t variant) { return any_window(random, random.between(1, 9), width, variant < 24); },
        [](const Depthwise& d, std::vector<float>&, std::vector<float>&) { return d; }, [](const Depthwise& d) { return depthwise_scratch(d.window); });
}

inline void test_depthwise_channels(Report& report, DepthwiseChannels::Function* kernel) {
    constexpr int64_t block = DepthwiseChannels::block;
    const auto draw = [](Random& random, int32_t width, int32_t variant) {
        Window w{};
        do {
            w = any_window(random, random.between(1, 9), width, variant < 12);
            if (variant >= 12) w.kernel_x = random.of({3, 5, 7}), w.stride_x = random.between(1, 2), w.dilation_x = w.dilation_y = 1;
        } while (!DepthwiseChannels{{{}, {}, {}, nullptr, nullptr, 1, w, {}}}.takes());
        return w;
    };
    const auto pack = [](const Depthwise& d, std::vector<float>& weights, std::vector<float>& bias) {
        const int64_t taps = int64_t{d.window.kernel_y} * d.window.kernel_x, blocks = (d.channels + block - 1) / block;
        weights.assign(static_cast<size_t>(blocks * taps * block), 0), bias.assign(static_cast<size_t>(blocks * block), 0);
        for (int64_t c = 0; c < d.channels; ++c) {
            bias[c] = d.bias[c];
            for (int64_t tap = 0; tap < taps; ++tap) weights[(c / block * taps + tap) * block + c % block] = d.weights[c * taps + tap];
        }
        DepthwiseChannels packed{d};
        packed.weights = weights.data(), packed.bias = bias.data();
        return packed;
    };
    test_depthwise_variant<DepthwiseChannels>(report, kernel, block, draw, pack, [](const DepthwiseChannels& d) { return d.scratch(); });
}

}  // namespace shufflekit::testing
