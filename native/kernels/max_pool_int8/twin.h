// The twin and the cases of the maximum pooling of bytes, and what a step takes.
#pragma once

#include "kernels/max_pool_int8/max_pool_int8.h"
#include "tests/byte_cases.h"

namespace shufflekit::reference {

inline void max_pool_int8(const MaxPoolInt8& m, int32_t first_channel, int32_t last_channel) {
    const Window& w = m.window;
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t y = 0; y < w.out_height; ++y)
            for (int64_t x = 0; x < w.out_width; ++x) {
                uint8_t largest = 0;
                for (int64_t i = 0; i < w.kernel_y; ++i)
                    for (int64_t j = 0; j < w.kernel_x; ++j) largest = std::max(largest, tap(m.in[channel], w, y, x, i, j, uint8_t{0}));
                m.out[channel][y * w.out_width + x] = largest;
            }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const MaxPoolInt8& m) {
    const Phases phases(m.window);
    return double(m.channels) * (work(m.window) * 64 + static_cast<double>(phases.count(m.window) * phases.bytes));
}
// Elements.
inline double written(const MaxPoolInt8& m) { return double(m.channels) * m.window.out_height * m.window.out_width; }

inline void test_max_pool_int8(Report& report, MaxPoolInt8::Function* kernel) {
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 20; ++variant)
            report.run([&](Random& random, std::string& about) {
                const Window w = any_window(random, random.between(1, 9), width, variant < 12);
                const int32_t channels = random.between(1, 4);
                Bytes arena(random);
                Tensor in = arena.add(channels, w.in_height * w.in_width);
                const Tensor out = arena.add(channels, w.out_height * w.out_width);
                arena.make();
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const MaxPoolInt8 m{{nullptr, ins.data()}, {nullptr, outs.data()}, channels, w};
                const Guarded<uint8_t> scratch(static_cast<size_t>(max_pool_int8_scratch(w)), true, 64);
                const Range c = any_share(random, channels, 1);
                about = text(w) + text(", channels [%d, %d) of %d", c.first, c.last, channels);
                return compare<MaxPoolInt8>(
                    arena, m, out, [](MaxPoolInt8& m, uint8_t* base) { m.in.base = m.out.base = base; },
                    [&](const MaxPoolInt8& m) { kernel(m, scratch.data(), c.first, c.last); },
                    [&](const MaxPoolInt8& m) { reference::max_pool_int8(m, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
