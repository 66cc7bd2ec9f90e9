// The twin and the cases of the resizing, and what a step takes.
#pragma once

#include "kernels/resize/resize.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void resize(const Resize& r, int32_t first_channel, int32_t last_channel) {
    const auto where = [&](int64_t at, int64_t in_size, int64_t out_size, float scale) {  // rounded as the contract says
        const auto out = static_cast<float>(at);
        if (repeats_whole(r) && in_size == out_size) return out;
        if (repeats_whole(r) && r.resizing == Resizing::nearest && out_size == 2 * in_size) return out / 2;
        return std::max(r.resizing == Resizing::bilinear ? static_cast<float>((at + 0.5) * scale - 0.5) : out * scale, 0.0f);
    };
    const int64_t right_by = r.in_width != r.out_width, down_by = r.in_height != r.out_height;
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t y = 0; y < r.out_height; ++y)
            for (int64_t x = 0; x < r.out_width; ++x) {
                const auto pixel = [&](int64_t row, int64_t column) {
                    return double{r.in[channel][std::min<int64_t>(row, r.in_height - 1) * r.in_width + std::min<int64_t>(column, r.in_width - 1)]};
                };
                const double at_y = where(y, r.in_height, r.out_height, r.scale_y), at_x = where(x, r.in_width, r.out_width, r.scale_x);
                const auto top = static_cast<int64_t>(at_y), left = static_cast<int64_t>(at_x);
                double value = pixel(top, left);
                if (r.resizing != Resizing::nearest) {
                    const double down = at_y - static_cast<double>(top), right = at_x - static_cast<double>(left);
                    value = (1 - down) * ((1 - right) * pixel(top, left) + right * pixel(top, left + right_by)) +
                            down * ((1 - right) * pixel(top + down_by, left) + right * pixel(top + down_by, left + right_by));
                }
                r.out[channel][y * r.out_width + x] = static_cast<float>(value);
            }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Resize& r) { return double(r.channels) * r.out_height * r.out_width * 4; }
// Elements.
inline double written(const Resize& r) { return double(r.channels) * r.out_height * r.out_width; }

inline void test_resize(Report& report, Resize::Function* kernel) {
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 9; ++variant)
            report.run([&](Random& random, std::string& about) {
                const auto resizing = static_cast<Resizing>(variant % resizings);
                const int32_t channels = random.between(1, 4), in_height = random.between(1, 9), in_width = width;
                const bool doubles = random.once_in(3);
                const int32_t out_height = doubles ? 2 * in_height : random.between(1, 3 * in_height), out_width = doubles ? 2 * in_width : random.between(1, 70);
                const auto scale = [&](int32_t in, int32_t out) {
                    if (resizing != Resizing::bilinear_corners) return static_cast<float>(in) / static_cast<float>(out);
                    return out == 1 ? 0 : static_cast<float>(in - 1) / static_cast<float>(out - 1);
                };
                Arena arena(random);
                const Tensor in = arena.add(channels, in_height * in_width), out = arena.add(channels, out_height * out_width);
                arena.make();
                arena.fill(in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const Resize r{{nullptr, ins.data()}, {nullptr, outs.data()}, channels, in_height, in_width, out_height, out_width, resizing,
                               scale(in_height, out_height), scale(in_width, out_width)};
                const Guarded<float> scratch(static_cast<size_t>(r.scratch()), true, 64);
                for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = canary(i);
                const Range c = any_share(random, channels, 1);
                about = text("%dx%d -> %dx%d, channels [%d, %d) of %d, resizing %d", in_height, in_width, out_height, out_width, c.first, c.last, channels,
                             static_cast<int>(resizing));
                return compare<Resize>(
                    arena, r, out, 1e-4, [&](Resize& r, float* base) { r.in.base = r.out.base = base; },  // coordinates up to 70 in float32
                    [&](const Resize& r) { kernel(r, scratch.data(), c.first, c.last); }, [&](const Resize& r) { reference::resize(r, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
