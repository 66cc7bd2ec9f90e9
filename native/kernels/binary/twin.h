// The twin and the cases of the binary kernel, and what a step takes.
#pragma once

#include "kernels/binary/binary.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void binary(const Binary& o, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t p = 0; p < o.pixels; ++p) {
            const double a = o.a[channel][p], b = o.b[channel][o.b_is_scalar ? 0 : p];
            o.out[channel][p] = static_cast<float>(activate(o.operation == Operation::add ? a + b : a * b, o.epilogue.of(channel)));
        }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Binary& o) { return double(o.channels) * o.pixels * 16; }
// Elements.
inline double written(const Binary& o) { return double(o.channels) * o.pixels; }

inline void test_binary(Report& report, Binary::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t variant = 0; variant < 8; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t channels = random.between(1, 5), place = random.below(3);
                const bool scalar = random.once_in(3);
                Arena arena(random);
                const Tensor a = arena.add(channels, pixels), b = arena.add(channels, scalar ? 1 : pixels);
                const Tensor out = place == 0 ? a : place == 1 && !scalar ? b : arena.add(channels, pixels);
                arena.make();
                arena.fill(a), arena.fill(b);
                const auto as = table(a.offsets), bs = table(b.offsets), outs = table(out.offsets);
                const Binary o{{nullptr, as.data()}, {nullptr, bs.data()}, {nullptr, outs.data()}, static_cast<Operation>(variant % operations), scalar,
                               channels, pixels, any_epilogue(random)};
                const Range c = any_share(random, channels, 1);
                about = text("%d pixels, channels [%d, %d) of %d, operation %d%s, out %s, activation %d", pixels, c.first, c.last, channels,
                             variant % operations, scalar ? " with a scalar" : "", place == 0 ? "over a" : place == 1 ? "over b" : "elsewhere",
                             static_cast<int>(o.epilogue.activation));
                return compare<Binary>(
                    arena, o, out, tolerance(1), [&](Binary& o, float* base) { o.a.base = o.b.base = o.out.base = base; },
                    [&](const Binary& o) { kernel(o, c.first, c.last); }, [&](const Binary& o) { reference::binary(o, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
