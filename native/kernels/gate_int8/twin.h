// The twin and the cases of planes of bytes by a number each, and what a step takes.
#pragma once

#include "kernels/gate_int8/gate_int8.h"
#include "tests/byte_cases.h"

namespace shufflekit::reference {

inline void gate_int8(const GateInt8& g, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t p = 0; p < g.pixels; ++p) {
            const int64_t x = g.in[channel][p] - int64_t{g.zero_point[channel]}, factor = *g.gate[channel] - int64_t{g.zero_point[g.channels + channel]};
            g.out[channel][p] = ended(x * factor, g.ends[channel], nullptr);
        }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

inline double work(const GateInt8& g) { return double(g.channels) * (g.pixels + 16.0); }
inline double written(const GateInt8& g) { return double(g.channels) * g.pixels; }

inline void test_gate_int8(Report& report, GateInt8::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t round = 0; round < 8; ++round)
            report.run([&](Random& random, std::string& about) {
                const int32_t channels = random.between(1, 5);
                Bytes arena(random);
                const Tensor in = arena.add(channels, pixels), gate = arena.add(channels, 1), out = arena.add(channels, pixels);
                arena.make();
                const auto ins = table(in.offsets), gates = table(gate.offsets), outs = table(out.offsets);
                const auto zero_points = bytes(random, 2 * channels);
                const auto all_ends = ends(random, channels, 100);
                const GateInt8 g{{nullptr, ins.data()}, {nullptr, gates.data()}, {nullptr, outs.data()}, zero_points.data(), all_ends.data(), channels, pixels};
                const Range c = any_share(random, channels, 1);
                about = text("%d pixels, channels [%d, %d) of %d", pixels, c.first, c.last, channels);
                return compare<GateInt8>(
                    arena, g, out, [](GateInt8& g, uint8_t* base) { g.in.base = g.gate.base = g.out.base = base; },
                    [&](const GateInt8& g) { kernel(g, c.first, c.last); }, [&](const GateInt8& g) { reference::gate_int8(g, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
