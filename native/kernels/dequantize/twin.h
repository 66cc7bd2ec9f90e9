// The twin and the cases of dequantizing, and what a step takes.
#pragma once

#include "kernels/dequantize/dequantize.h"
#include "tests/byte_cases.h"

namespace shufflekit::reference {

inline void dequantize(const Dequantize& d, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t p = 0; p < d.pixels; ++p)
            d.out[channel][p] = static_cast<float>(double{d.scale[channel]} * (d.in[channel][p] - d.zero_point[channel]));
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Dequantize& d) { return double(d.channels) * d.pixels * 4; }
// Elements.
inline double written(const Dequantize& d) { return double(d.channels) * d.pixels; }

inline void test_dequantize(Report& report, Dequantize::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t round = 0; round < 8; ++round)
            report.run([&](Random& random, std::string& about) {
                const int32_t channels = random.between(1, 5);
                const auto in = bytes(random, channels * pixels), zero_point = bytes(random, channels);
                const auto scale = numbers(random, channels);
                Arena arena(random);
                const Tensor out = arena.add(channels, pixels);
                arena.make();
                std::vector<int32_t> offsets;
                for (int32_t c = 0; c < channels; ++c) offsets.push_back(c * pixels);
                const auto ins = table(offsets), outs = table(out.offsets);
                const Dequantize d{{in.data(), ins.data()}, {nullptr, outs.data()}, scale.data(), zero_point.data(), channels, pixels};
                const Range c = any_share(random, channels, 1);
                about = text("%d pixels, channels [%d, %d) of %d", pixels, c.first, c.last, channels);
                return compare<Dequantize>(
                    arena, d, out, 0, [](Dequantize& d, float* base) { d.out.base = base; }, [&](const Dequantize& d) { kernel(d, c.first, c.last); },
                    [&](const Dequantize& d) { reference::dequantize(d, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
