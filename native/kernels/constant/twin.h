// The twin and the cases of constants, and what a step takes.
#pragma once

#include "kernels/constant/constant.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void constant(const Constant& c, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t p = 0; p < c.pixels; ++p) c.out[channel][p] = c.values[channel * c.pixels + p];
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Constant& c) { return double(c.channels) * c.pixels; }
// Elements.
inline double written(const Constant& c) { return double(c.channels) * c.pixels; }

inline void test_constant(Report& report, Constant::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        report.run([&](Random& random, std::string& about) {
            const int32_t channels = random.between(1, 5);
            Arena output(random, random.once_in(2));
            const Tensor out = output.add(channels, pixels);
            output.make();
            const auto outs = table(out.offsets);
            const auto values = numbers(random, int64_t{channels} * pixels);
            const Constant constant{{nullptr, outs.data()}, values.data(), channels, pixels};
            const Range c = any_share(random, channels, 1);
            about = text("%d pixels, channels [%d, %d) of %d", pixels, c.first, c.last, channels);
            return compare<Constant>(
                output, constant, out, 0, [&](Constant& c, float* base) { c.out.base = base; },
                [&](const Constant& of) { kernel(of, c.first, c.last); }, [&](const Constant& of) { reference::constant(of, c.first, c.last); });
        });
}

}  // namespace shufflekit::testing
