// The twin and the cases of the softmax, and what a step takes.
#pragma once

#include "kernels/softmax/softmax.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void softmax(const Softmax& s, int32_t first_pixel, int32_t last_pixel) {
    for (int64_t p = first_pixel; p < last_pixel; ++p) {
        double most = -INFINITY, sum = 0;
        for (int64_t c = 0; c < s.channels; ++c) most = std::max<double>(most, s.in[c][p]);
        for (int64_t c = 0; c < s.channels; ++c) sum += std::exp(s.in[c][p] - most);
        for (int64_t c = 0; c < s.channels; ++c) s.out[c][p] = static_cast<float>(std::exp(s.in[c][p] - most) / sum);
    }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Softmax& s) { return double(s.channels) * s.pixels * 16; }
// Elements.
inline double written(const Softmax& s) { return double(s.channels) * s.pixels; }

inline void test_softmax(Report& report, Softmax::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (const int32_t channels : {1, 2, 9, 33})
            report.run([&](Random& random, std::string& about) {
                const bool in_place = random.once_in(2);
                Arena arena(random);
                const Tensor in = arena.add(channels, pixels), out = in_place ? in : arena.add(channels, pixels);
                arena.make();
                arena.fill(in, random.of({1.0f, 30.0f, 1000.0f}));
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const Softmax s{{nullptr, ins.data()}, {nullptr, outs.data()}, channels, pixels};
                const Range p = any_share(random, pixels, 16);
                about = text("%d channels, pixels [%d, %d) of %d%s", channels, p.first, p.last, pixels, in_place ? ", in place" : "");
                return compare<Softmax>(
                    arena, s, out, 1e-6, [&](Softmax& s, float* base) { s.in.base = s.out.base = base; },
                    [&](const Softmax& s) { kernel(s, p.first, p.last); }, [&](const Softmax& s) { reference::softmax(s, p.first, p.last); });
            });
}

}  // namespace shufflekit::testing
