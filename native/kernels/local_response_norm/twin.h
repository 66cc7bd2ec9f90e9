// The twin and the cases of the local response normalisation, and what a step takes.
#pragma once

#include "kernels/local_response_norm/local_response_norm.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void local_response_norm(const LocalResponseNorm& n, int32_t first_channel, int32_t last_channel) {
    for (int32_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t p = 0; p < n.pixels; ++p) {
            double sum = 0;
            for (int32_t d = std::max(channel - n.size / 2, 0); d <= std::min(channel + (n.size - 1) / 2, n.channels - 1); ++d)
                sum += double{n.in[d][p]} * n.in[d][p];
            n.out[channel][p] = static_cast<float>(n.in[channel][p] / std::pow(n.bias + n.scale * sum, n.quarters / 4.0));
        }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const LocalResponseNorm& n) { return double(n.channels) * n.pixels * n.size; }
// Elements.
inline double written(const LocalResponseNorm& n) { return double(n.channels) * n.pixels; }

inline void test_local_response_norm(Report& report, LocalResponseNorm::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t quarters = 1; quarters <= 8; ++quarters)
            report.run([&](Random& random, std::string& about) {
                const int32_t channels = random.between(1, 9), size = random.between(1, 6);
                Arena arena(random);
                const Tensor in = arena.add(channels, pixels), out = arena.add(channels, pixels);
                arena.make();
                arena.fill(in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const LocalResponseNorm n{{nullptr, ins.data()}, {nullptr, outs.data()}, channels, pixels, size, quarters, 0.1f, 1.5f};
                const Range c = any_share(random, channels, 1);
                about = text("%d pixels, channels [%d, %d) of %d, size %d, power %d / 4", pixels, c.first, c.last, channels, size, quarters);
                return compare<LocalResponseNorm>(
                    arena, n, out, 1e-5, [&](LocalResponseNorm& n, float* base) { n.in.base = n.out.base = base; },
                    [&](const LocalResponseNorm& n) { kernel(n, c.first, c.last); },
                    [&](const LocalResponseNorm& n) { reference::local_response_norm(n, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
