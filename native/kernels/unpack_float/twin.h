// The twin and the cases of unpacking to float32, and what a step takes.
#pragma once

#include "kernels/unpack/twin.h"
#include "kernels/unpack_float/unpack_float.h"

namespace shufflekit::reference {

inline void unpack_float(const UnpackFloat& u, int32_t first_pixel, int32_t last_pixel) {
    for (int64_t channel = 0; channel < u.channels; ++channel)
        for (int64_t p = first_pixel; p < last_pixel; ++p) {
            const volatile float product = static_cast<float>(u.in[channel][p * u.step]) * u.scale[channel];  // not fused
            u.out[channel][p] = product + u.shift[channel];
        }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const UnpackFloat& u) { return double(u.channels) * u.pixels * 6; }
// Elements.
inline double written(const UnpackFloat& u) { return double(u.channels) * u.pixels; }

inline void test_unpack_float(Report& report, UnpackFloat::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t round = 0; round < 8; ++round)
            report.run([&](Random& random, std::string& about) {
                const Picture picture(random, pixels);
                Arena arena(random);
                const Tensor out = arena.add(picture.channels, pixels);
                arena.make();
                const auto ins = table(picture.offsets), outs = table(out.offsets);
                const auto scale = numbers(random, picture.channels), shift = numbers(random, picture.channels);
                const UnpackFloat u{{picture.content.data(), ins.data()}, {nullptr, outs.data()}, scale.data(), shift.data(), picture.channels, pixels, picture.step};
                const Range p = any_share(random, pixels, plane_alignment);
                about = text("pixels [%d, %d) of %d, %d channels by %d", p.first, p.last, pixels, picture.channels, picture.step);
                return compare<UnpackFloat>(
                    arena, u, out, 0, [](UnpackFloat& u, float* base) { u.out.base = base; }, [&](const UnpackFloat& u) { kernel(u, p.first, p.last); },
                    [&](const UnpackFloat& u) { reference::unpack_float(u, p.first, p.last); });
            });
}

}  // namespace shufflekit::testing
