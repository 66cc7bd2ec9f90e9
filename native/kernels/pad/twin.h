// The twin and the cases of padding, and what a step takes.
#pragma once

#include "kernels/pad/pad.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void pad(const Pad& p, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t y = 0; y < p.out_height; ++y)
            for (int64_t x = 0; x < p.out_width; ++x) {
                const int64_t row = y - p.top, column = x - p.left;
                const bool is_inside = row >= 0 && row < p.in_height && column >= 0 && column < p.in_width;
                p.out[channel][y * p.out_width + x] = is_inside ? p.in[channel][row * p.in_width + column] : p.value;
            }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Pad& p) { return double(p.channels) * p.out_height * p.out_width * 2; }
// Elements.
inline double written(const Pad& p) { return double(p.channels) * p.out_height * p.out_width; }

inline void test_pad(Report& report, Pad::Function* kernel) {
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 6; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t channels = random.between(1, 5), height = random.between(1, 9), top = random.below(4), left = random.below(4);
                const int32_t out_height = top + height + random.below(4), out_width = left + width + random.below(4);
                Arena input(random, random.once_in(2)), output(random, random.once_in(2));
                const Tensor in = input.add(channels, height * width), out = output.add(channels, out_height * out_width);
                input.make(), output.make();
                input.fill(in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const Pad p{{input.base(), ins.data()}, {nullptr, outs.data()}, channels, height, width, out_height, out_width, top, left, random.number()};
                const Range c = any_share(random, channels, 1);
                about = text("%dx%d -> %dx%d at (%d, %d), channels [%d, %d) of %d", height, width, out_height, out_width, top, left, c.first, c.last, channels);
                return compare<Pad>(
                    output, p, out, 0, [&](Pad& p, float* base) { p.out.base = base; }, [&](const Pad& p) { kernel(p, c.first, c.last); },
                    [&](const Pad& p) { reference::pad(p, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
