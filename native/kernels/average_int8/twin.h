// The twin and the cases of the means of planes of bytes, and what a step takes.
#pragma once

#include "kernels/average_int8/average_int8.h"
#include "tests/byte_cases.h"

namespace shufflekit::reference {

inline void average_int8(const AverageInt8& a, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel) {
        int64_t sum = 0;
        for (int64_t p = 0; p < a.pixels; ++p) sum += a.in[channel][p];
        *a.out[channel] = ended(sum, a.ends[channel], nullptr);
    }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Elements that are read, and that are written.
inline double work(const AverageInt8& a) { return double(a.channels) * (a.pixels + 16.0); }
inline double written(const AverageInt8& a) { return a.channels; }

inline void test_average_int8(Report& report, AverageInt8::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t round = 0; round < 4; ++round)
            report.run([&](Random& random, std::string& about) {
                const int32_t channels = random.between(1, 5);
                Bytes arena(random);
                const Tensor in = arena.add(channels, pixels), out = arena.add(channels, 1);
                arena.make();
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const auto all_ends = ends(random, channels, pixels);
                const AverageInt8 a{{nullptr, ins.data()}, {nullptr, outs.data()}, all_ends.data(), channels, pixels};
                const Range c = any_share(random, channels, 1);
                about = text("%d pixels, channels [%d, %d) of %d", pixels, c.first, c.last, channels);
                return compare<AverageInt8>(
                    arena, a, out, [](AverageInt8& a, uint8_t* base) { a.in.base = a.out.base = base; },
                    [&](const AverageInt8& a) { kernel(a, c.first, c.last); }, [&](const AverageInt8& a) { reference::average_int8(a, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
