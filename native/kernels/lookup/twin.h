// The twin and the cases of the lookup, and what a step takes.
#pragma once

#include "kernels/lookup/lookup.h"
#include "tests/byte_cases.h"

namespace shufflekit::reference {

inline void lookup(const Lookup& l, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t p = 0; p < l.pixels; ++p) l.out[channel][p] = l.table[channel * 256 + l.in[channel][p]];
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Lookup& l) { return double(l.channels) * l.pixels * 4; }
// Elements.
inline double written(const Lookup& l) { return double(l.channels) * l.pixels; }

inline void test_lookup(Report& report, Lookup::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t round = 0; round < 4; ++round)
            report.run([&](Random& random, std::string& about) {
                const int32_t channels = random.between(1, 5);
                const bool in_place = random.once_in(2);
                Bytes arena(random);
                const Tensor in = arena.add(channels, pixels), out = in_place ? in : arena.add(channels, pixels);
                arena.make();
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const auto entries = bytes(random, channels * 256);
                const Lookup l{{nullptr, ins.data()}, {nullptr, outs.data()}, entries.data(), channels, pixels};
                const Range c = any_share(random, channels, 1);
                about = text("%d pixels, channels [%d, %d) of %d%s", pixels, c.first, c.last, channels, in_place ? ", in place" : "");
                return compare<Lookup>(
                    arena, l, out, [](Lookup& l, uint8_t* base) { l.in.base = l.out.base = base; }, [&](const Lookup& l) { kernel(l, c.first, c.last); },
                    [&](const Lookup& l) { reference::lookup(l, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
