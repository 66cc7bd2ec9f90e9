// The twin and the cases of unpacking, and what a step takes.
#pragma once

#include "kernels/unpack/unpack.h"
#include "tests/byte_cases.h"

namespace shufflekit::reference {

inline void unpack(const Unpack& u, int32_t first_pixel, int32_t last_pixel) {
    for (int64_t channel = 0; channel < u.channels; ++channel)
        for (int64_t p = first_pixel; p < last_pixel; ++p) u.out[channel][p] = u.in[channel][p * u.step];
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// A picture's channels: interleaved in any order, one of them maybe read twice, or planes by themselves.
struct Picture {
    int32_t channels, step;
    Guarded<uint8_t> content;
    std::vector<int32_t> offsets;

    Picture(Random& random, int32_t pixels)
        : channels(random.once_in(2) ? 3 : random.between(1, unpack_channels)), step(random.once_in(3) ? 1 : random.once_in(3) ? unpack_channels : channels),
          content(bytes(random, int64_t{channels > step ? channels : step} * pixels)) {
        for (int32_t c = 0; c < channels; ++c) offsets.push_back(step == 1 ? c * pixels : c);
        for (int32_t c = channels - 1; c > 0; --c) std::swap(offsets[c], offsets[random.below(c + 1)]);
        if (random.once_in(8)) offsets[0] = offsets[static_cast<size_t>(channels) - 1];
    }
};

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Unpack& u) { return double(u.channels) * u.pixels * 4; }
// Elements.
inline double written(const Unpack& u) { return double(u.channels) * u.pixels; }

inline void test_unpack(Report& report, Unpack::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t round = 0; round < 8; ++round)
            report.run([&](Random& random, std::string& about) {
                const Picture picture(random, pixels);
                Bytes arena(random);
                const Tensor out = arena.add(picture.channels, pixels);
                arena.make();
                const auto ins = table(picture.offsets), outs = table(out.offsets);
                const Unpack u{{picture.content.data(), ins.data()}, {nullptr, outs.data()}, picture.channels, pixels, picture.step};
                const Range p = any_share(random, pixels, plane_border);
                about = text("pixels [%d, %d) of %d, %d channels by %d", p.first, p.last, pixels, picture.channels, picture.step);
                return compare<Unpack>(
                    arena, u, out, [](Unpack& u, uint8_t* base) { u.out.base = base; }, [&](const Unpack& u) { kernel(u, p.first, p.last); },
                    [&](const Unpack& u) { reference::unpack(u, p.first, p.last); });
            });
}

}  // namespace shufflekit::testing
