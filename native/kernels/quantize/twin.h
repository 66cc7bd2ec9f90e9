// The twin and the cases of quantizing, and what a step takes.
#pragma once

#include "kernels/quantize/quantize.h"
#include "tests/byte_cases.h"

namespace shufflekit::reference {

inline void quantize(const Quantize& q, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t p = 0; p < q.pixels; ++p)
            q.out[channel][p] = rounded(q.in[channel][p] / q.scale[channel], q.zero_point[channel], 0, 255);
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Quantize& q) { return double(q.channels) * q.pixels * 8; }
// Elements.
inline double written(const Quantize& q) { return double(q.channels) * q.pixels; }

inline void test_quantize(Report& report, Quantize::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t round = 0; round < 8; ++round)
            report.run([&](Random& random, std::string& about) {
                const int32_t channels = random.between(1, 5);
                const Guarded<float> floats(static_cast<size_t>(channels * pixels), true);
                for (float& x : std::span(floats.data(), floats.size())) {
                    x = random.once_in(3) ? 0.5f * static_cast<float>(random.between(-600, 600)) : 1000 * random.number();
                    if (random.once_in(50)) x = random.of({NAN, INFINITY, -INFINITY, 3e38f, -0.0f});
                }
                Bytes arena(random);
                const Tensor out = arena.add(channels, pixels);
                arena.make();
                std::vector<int32_t> offsets;
                for (int32_t c = 0; c < channels; ++c) offsets.push_back(c * pixels);
                const auto ins = table(offsets), outs = table(out.offsets);
                const auto scale = numbers(random, channels);
                for (int32_t c = 0; c < channels; ++c) scale[c] = random.once_in(2) ? random.of({1.0f, 0.25f, 8.0f}) : std::fabs(scale[c]) + 1e-3f;
                for (int64_t i = 0; i < channels * pixels; ++i)  // about the middle of two bytes
                    if (random.once_in(4)) floats[i] = (static_cast<float>(random.between(-300, 300)) + 0.5f) * scale[i / pixels];
                const auto zero_point = bytes(random, channels);
                const Quantize q{{floats.data(), ins.data()}, {nullptr, outs.data()}, scale.data(), zero_point.data(), channels, pixels};
                const Range c = any_share(random, channels, 1);
                about = text("%d pixels, channels [%d, %d) of %d", pixels, c.first, c.last, channels);
                return compare<Quantize>(
                    arena, q, out, [](Quantize& q, uint8_t* base) { q.out.base = base; }, [&](const Quantize& q) { kernel(q, c.first, c.last); },
                    [&](const Quantize& q) { reference::quantize(q, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
