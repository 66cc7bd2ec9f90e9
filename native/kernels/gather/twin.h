// The twin and the cases of the gather, and what a step takes.
#pragma once

#include "kernels/gather/gather.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void gather(const Gather& g, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t y = 0; y < g.out_height; ++y)
            for (int64_t x = 0; x < g.out_width; ++x)
                g.out[channel][y * g.out_width + x] =
                    g.in[channel][(y * g.step_y + g.first_y) * int64_t{g.in_width} + x * g.step_x + g.first_x];
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Gather& g) { return double(g.channels) * g.out_height * g.out_width * 4; }
// Elements.
inline double written(const Gather& g) { return double(g.channels) * g.out_height * g.out_width; }

inline void test_gather(Report& report, Gather::Function* kernel) {
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 8; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t channels = random.between(1, 5), in_height = random.between(1, 9);
                const int32_t first_y = random.below(in_height), first_x = random.below(width), step_y = random.between(1, 3), step_x = random.between(1, 3);
                const int32_t out_height = random.between(1, (in_height - first_y - 1) / step_y + 1);
                const int32_t out_width = random.between(1, (width - first_x - 1) / step_x + 1);
                Arena input(random, random.once_in(2)), output(random, random.once_in(2));
                const Tensor in = input.add(channels, in_height * width), out = output.add(channels, out_height * out_width);
                input.make(), output.make();
                input.fill(in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const Gather g{{input.base(), ins.data()}, {nullptr, outs.data()}, channels, width, out_height, out_width, first_y, first_x, step_y, step_x};
                const Range c = any_share(random, channels, 1);
                about = text("%dx%d -> %dx%d, first (%d, %d), step (%d, %d), channels [%d, %d) of %d", in_height, width, out_height, out_width, first_y,
                             first_x, step_y, step_x, c.first, c.last, channels);
                return compare<Gather>(
                    output, g, out, 0, [&](Gather& g, float* base) { g.out.base = base; },
                    [&](const Gather& g) { kernel(g, c.first, c.last); }, [&](const Gather& g) { reference::gather(g, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
