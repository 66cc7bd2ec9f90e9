// The twin and the cases of what computes each element by itself, and what a step takes.
#pragma once

#include "kernels/unary/unary.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void unary(const Unary& u, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t p = 0; p < u.pixels; ++p) {
            const double x = u.in[channel][p], sign = x > 0 ? 1 : x < 0 ? -1 : 0;
            u.out[channel][p] = static_cast<float>(u.function == UnaryFunction::sin   ? std::sin(x)
                                                   : u.function == UnaryFunction::cos ? std::cos(x)
                                                                                      : sign);
        }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Unary& u) { return double(u.channels) * u.pixels * 40; }
// Elements.
inline double written(const Unary& u) { return double(u.channels) * u.pixels; }

inline void test_unary(Report& report, Unary::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t variant = 0; variant < 4 * unary_functions; ++variant)
            report.run([&](Random& random, std::string& about) {
                Unary u{};
                u.channels = random.between(1, 4), u.pixels = pixels;
                u.function = static_cast<UnaryFunction>(variant % unary_functions);
                Arena arena(random);
                Tensor in = arena.add(u.channels, pixels);
                const Tensor out = arena.add(u.channels, pixels);
                arena.make();
                arena.fill(in);
                // From numbers of less than one turn to the largest there are.
                const int32_t most = random.of({2, 17, 40, 127});
                for (const int32_t offset : in.offsets)
                    for (int32_t p = 0; p < pixels; ++p) {
                        float& x = arena.base()[offset + p];
                        x = std::ldexp(x, random.below(most));
                        if (random.once_in(40)) x = random.of({0.0f, -0.0f, INFINITY, -INFINITY, NAN, 3.4028235e38f, 1e5f, 100000.01f});
                    }
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                u.in.offsets = ins.data(), u.out.offsets = outs.data();
                const Range c = any_share(random, u.channels, 1);
                about = text("%d pixels of 2^%d, %s, channels [%d, %d)", pixels, most, unary_words[variant % unary_functions], c.first, c.last);
                return compare<Unary>(
                    arena, u, out, 1e-7, [&](Unary& u, float* base) { u.in.base = u.out.base = base; },
                    [&](const Unary& u) { kernel(u, c.first, c.last); }, [&](const Unary& u) { reference::unary(u, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
