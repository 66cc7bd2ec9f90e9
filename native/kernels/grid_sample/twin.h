// The twin and the cases of maps sampled at computed places, and what a step takes.
#pragma once

#include "kernels/grid_sample/grid_sample.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

// A coordinate that lies outside of [0, size), as a pixel or between two.
inline double brought_inside(const GridSample& s, double x, int32_t size) {
    const double low = s.corners ? 0 : -0.5, high = s.corners ? size - 1 : size - 0.5;
    if (s.outside == Outside::zeros) return x;
    if (s.outside == Outside::reflection)
        while (high > low && (x < low || x > high)) x = x < low ? 2 * low - x : 2 * high - x;
    return std::min(std::max(x, 0.0), size - 1.0);
}

inline double keys(double x) {
    const double a = -0.75, d = std::fabs(x);
    return d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : d < 2 ? ((d - 5) * d + 8) * d * a - 4 * a : 0;
}

inline double weight_of(Sampling mode, double x, double place) {
    const double away = std::fabs(x - place);
    return mode == Sampling::nearest ? std::nearbyint(x) == place : mode == Sampling::linear ? std::max(0.0, 1 - away) : keys(away);
}

// The pixels around a place, whatever their weights are: of an infinity also 0 makes a NaN.
inline std::vector<double> taps(Sampling mode, double at) {
    const double first = std::floor(at);
    if (mode == Sampling::nearest) return {std::nearbyint(at)};
    return mode == Sampling::linear ? std::vector{first, first + 1} : std::vector{first - 1, first, first + 1, first + 2};
}

inline void grid_sample(const GridSample& s, int32_t first_pixel, int32_t last_pixel) {
    for (int64_t p = first_pixel; p < last_pixel; ++p) {
        double at[2];
        const int32_t sizes[2] = {s.in_width, s.in_height};
        for (int axis = 0; axis < 2; ++axis) {
            const double x = s.grid[0][2 * p + axis], size = sizes[axis];
            at[axis] = s.corners ? (x + 1) / 2 * (size - 1) : ((x + 1) * size - 1) / 2;
            if (std::isnan(at[axis]) && s.outside != Outside::zeros) at[axis] = 0;
            at[axis] = std::isnan(at[axis]) ? at[axis] : std::clamp(at[axis], -8388608.0, 8388608.0);
            if (s.mode != Sampling::cubic) at[axis] = brought_inside(s, at[axis], sizes[axis]);
        }
        for (int64_t c = 0; c < s.channels; ++c) {
            double sum = 0;
            if (!std::isnan(at[0]) && !std::isnan(at[1]))
                for (const double y : taps(s.mode, at[1]))
                    for (const double x : taps(s.mode, at[0])) {
                        const bool each = s.mode == Sampling::cubic;  // else the place was brought inside
                        const double inside_y = each ? brought_inside(s, y, s.in_height) : y, inside_x = each ? brought_inside(s, x, s.in_width) : x;
                        if (!(inside_y >= 0 && inside_y < s.in_height && inside_x >= 0 && inside_x < s.in_width)) continue;
                        const double weight = weight_of(s.mode, at[1], y) * weight_of(s.mode, at[0], x);
                        sum += weight * s.in[c][static_cast<int64_t>(inside_y) * s.in_width + static_cast<int64_t>(inside_x)];
                    }
            s.out[c][p] = static_cast<float>(sum);
        }
    }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const GridSample& s) { return double(s.pixels) * (s.channels * 34.0 + 200); }
// Elements.
inline double written(const GridSample& s) { return double(s.channels) * s.pixels; }

inline void test_grid_sample(Report& report, GridSample::Function* kernel) {
    for (const int32_t side : side_edges)
        for (int32_t variant = 0; variant < 18; ++variant)
            report.run([&](Random& random, std::string& about) {
                GridSample s{};
                s.channels = random.between(1, 4), s.in_height = random.once_in(2) ? side : random.between(1, 7);
                s.in_width = s.in_height == side ? random.between(1, 9) : side, s.pixels = random.between(1, 90);
                s.mode = static_cast<Sampling>(variant % 3), s.outside = static_cast<Outside>(variant / 3 % 3), s.corners = variant >= 9;
                Arena arena(random);
                Tensor in = arena.add(s.channels, s.in_height * s.in_width), grid = arena.add(1, 2 * s.pixels);
                const Tensor out = arena.add(s.channels, s.pixels);
                arena.make();
                arena.fill(in), arena.fill(grid);
                // Places up to some sides away, and not where the nearest of two pixels is a matter of rounding.
                for (int32_t i = 0; i < 2 * s.pixels; ++i) {
                    float& x = arena.base()[grid.offsets[0] + i];
                    const int32_t size = i % 2 ? s.in_height : s.in_width;
                    const double pixel = random.between(-2 * size, 3 * size) + 0.4 * random.number(), span = s.corners ? size - 1 : size;
                    x = static_cast<float>(span == 0 ? x : s.corners ? pixel / span * 2 - 1 : (pixel * 2 + 1) / span - 1);
                    if (random.once_in(60)) x = random.of({NAN, INFINITY, -INFINITY});
                    if (std::isinf(x) && s.outside == Outside::reflection) x = 0;  // mirrored so often that a float has no digit left
                }
                repeat_some(random, in);
                const auto ins = table(in.offsets), grids = table(grid.offsets), outs = table(out.offsets);
                s.in.offsets = ins.data(), s.grid.offsets = grids.data(), s.out.offsets = outs.data();
                const Range p = any_share(random, s.pixels, 16);
                about = text("%dx%d at %d, %s, %s%s, pixels [%d, %d)", s.in_height, s.in_width, s.pixels, sampling_words[variant % 3],
                             outside_words[variant / 3 % 3], s.corners ? ", corners" : "", p.first, p.last);
                return compare<GridSample>(
                    arena, s, out, 2e-4, [&](GridSample& s, float* base) { s.in.base = s.grid.base = s.out.base = base; },
                    [&](const GridSample& s) { kernel(s, p.first, p.last); }, [&](const GridSample& s) { reference::grid_sample(s, p.first, p.last); });
            });
}

}  // namespace shufflekit::testing
