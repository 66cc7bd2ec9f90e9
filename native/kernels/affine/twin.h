// The twin and the cases of the affine kernel, and what a step takes.
#pragma once

#include "kernels/affine/affine.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void affine(const Affine& a, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t p = 0; p < a.pixels; ++p)
            a.out[channel][p] = static_cast<float>(activate(double{a.in[channel][p]} * a.scale[channel] + a.shift[channel], a.epilogue.of(channel)));
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Affine& a) { return double(a.channels) * a.pixels * 16; }
// Elements.
inline double written(const Affine& a) { return double(a.channels) * a.pixels; }

inline void test_affine(Report& report, Affine::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t activation = 0; activation < smooth_activations; ++activation)
            report.run([&](Random& random, std::string& about) {
                const int32_t channels = random.between(1, 5);
                const bool in_place = random.once_in(2);
                Arena arena(random);
                const Tensor in = arena.add(channels, pixels), out = in_place ? in : arena.add(channels, pixels);
                arena.make();
                arena.fill(in, 100);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const auto scale = numbers(random, channels), shift = numbers(random, channels);
                const Affine a{{nullptr, ins.data()}, {nullptr, outs.data()}, scale.data(), shift.data(), channels, pixels,
                               epilogue_of(static_cast<Activation>(activation), random)};
                const Range c = any_share(random, channels, 1);
                about = text("%d pixels, channels [%d, %d) of %d%s, activation %d", pixels, c.first, c.last, channels, in_place ? ", in place" : "", activation);
                return compare<Affine>(
                    arena, a, out, 1e-5, [&](Affine& a, float* base) { a.in.base = a.out.base = base; },
                    [&](const Affine& a) { kernel(a, c.first, c.last); }, [&](const Affine& a) { reference::affine(a, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
