// The twin and the cases of the convolution of bytes, and what a step takes.
#pragma once

#include "kernels/convolution_int8/convolution_int8.h"
#include "kernels/gemm_int8/twin.h"

namespace shufflekit::reference {

// weight(group, row, t) for each t of the depth; is_ours(group, row, y, x).
template <class Weight, class IsOurs>
void convolve(const ConvolutionInt8& c, Weight weight, IsOurs is_ours) {
    const Window& w = c.window;
    const int64_t taps = int64_t{w.kernel_y} * w.kernel_x;
    for (int64_t channel = 0; channel < int64_t{c.groups} * c.rows; ++channel)
        for (int64_t y = 0; y < w.out_height; ++y)
            for (int64_t x = 0; x < w.out_width; ++x) {
                const int64_t group = channel / c.rows, row = channel % c.rows, pixel = y * w.out_width + x;
                if (!is_ours(group, row, y, x)) continue;
                int64_t sum = 0;
                for (int64_t t = 0; t < c.in_channels * taps; ++t) {
                    const int64_t from = group * c.in_channels + t / taps, i = t % taps / w.kernel_x, j = t % w.kernel_x;
                    sum += weight(group, row, t) * tap(c.in[from], w, y, x, i, j, c.fill[from]);
                }
                c.out[channel][pixel] = ended(sum, c.ends[channel], c.residual.base ? c.residual[channel] + pixel : nullptr);
            }
}

inline void convolution_int8(const ConvolutionInt8& c, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    const int64_t fours = int8_fours(convolution_int8_depth(c.in_channels, c.window));
    const auto panel = [&](int64_t group, int64_t row) { return group * int8_panels(c.rows) + row / int8_panel; };
    convolve(
        c, [&](int64_t group, int64_t row, int64_t t) { return c.weights[((panel(group, row) * fours + t / 4) * int8_panel + row % int8_panel) * 4 + t % 4]; },
        [&](int64_t group, int64_t row, int64_t y, int64_t x) {
            const int64_t number = y * c.columns() + x;
            return first_panel <= panel(group, row) && panel(group, row) < last_panel && first_pixel <= number && number < last_pixel;
        });
}

inline void convolution_int8_winograd(const ConvolutionInt8Winograd& c, int32_t first_row, int32_t last_row, int32_t first_chunk, int32_t last_chunk) {
    const auto chunk = [&](int64_t group, int64_t row) { return group * c.chunks() + row / c.chunk; };
    convolve(
        c, [&](int64_t group, int64_t row, int64_t t) { return c.weights[c.place(group, row, t / 9, t % 9)]; },
        [&](int64_t group, int64_t row, int64_t y, int64_t) {
            return first_chunk <= chunk(group, row) && chunk(group, row) < last_chunk && first_row <= y / c.tile && y / c.tile < last_row;
        });
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const ConvolutionInt8& c) {
    const Phases phases(c.window);
    return double(c.groups) * c.in_channels * (double(c.rows) * work(c.window) + static_cast<double>(phases.count(c.window) * phases.bytes));
}
// Elements.
inline double written(const ConvolutionInt8& c) { return double(c.groups) * c.rows * c.window.out_height * c.window.out_width; }

// Planes, fill and ends of a convolution, all but its weights; task(arena, convolution, out, about, point_at) says what is wrong or "".
template <class Variant, class Task>
std::string on_any_bytes(Random& random, const Window& w, int32_t groups, int32_t rows, int32_t in_channels, Task task) {
    const Residual residual = random.once_in(2) ? Residual::none : random.of(residuals);
    Bytes arena(random);
    Tensor in = arena.add(groups * in_channels, w.in_height * w.in_width);
    const Tensor out = arena.add(groups * rows, w.out_height * w.out_width);
    const Tensor added = residual == Residual::in_place ? out : arena.add(groups * rows, out.pixels);
    arena.make();
    repeat_some(random, in);
    const auto ins = table(in.offsets), outs = table(out.offsets), addeds = table(added.offsets);
    const auto fill = bytes(random, groups * in_channels);
    const auto all_ends = ends(random, groups * rows, convolution_int8_depth(in_channels, w));
    const Variant c{{{nullptr, ins.data()}, {nullptr, outs.data()}, {nullptr, addeds.data()}, nullptr, fill.data(), all_ends.data(), groups, rows, in_channels, w, false,
                     are_plain(all_ends.data(), groups * rows)}};
    const std::string about = text(w) + text(", %d channels -> %d rows, %d groups, %s", in_channels, rows, groups, residual_words[static_cast<int>(residual)]);
    return task(arena, c, out, about, [&](Variant& c, uint8_t* base) { c.in.base = c.out.base = base, c.residual.base = residual == Residual::none ? nullptr : base; });
}

inline void test_convolution_int8(Report& report, ConvolutionInt8::Function* kernel) {
    struct Any : ConvolutionInt8 {};
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 36; ++variant)
            report.run([&](Random& random, std::string& about) {
                Window w = any_window(random, random.between(1, 9), width, variant < 12 || variant >= 31);
                if (variant >= 20) {  // outputs as wide as their inputs
                    w.stride_y = w.stride_x = 1, w.out_height = w.in_height, w.out_width = w.in_width;
                    w.pad_y = (w.kernel_y - 1) * w.dilation_y / 2, w.pad_x = (w.kernel_x - 1) * w.dilation_x / 2;
                }
                if (variant >= 26) {  // or their phases
                    w.stride_y = random.between(variant < 31 ? 1 : 2, 2), w.stride_x = random.between(variant < 31 ? 1 : 2, 2);
                    w.out_height = w.in_height, w.out_width = w.in_width;
                    w.in_height *= w.stride_y, w.in_width *= w.stride_x;
                }
                const int32_t groups = random.of({1, 1, 2}), in_channels = random.between(1, variant < 26 ? 4 : 9), rows = random.once_in(variant < 20 ? 4 : variant < 31 ? 2 : 1) ? 100 : random.between(1, 9);
                return on_any_bytes<Any>(random, w, groups, rows, in_channels, [&](Bytes& arena, Any c, const Tensor& out, const std::string& sizes, auto point_at) {
                    const auto weights = packed_bytes(random, groups, rows, static_cast<int32_t>(convolution_int8_depth(in_channels, w)));
                    c.weights = weights.data(), c.seven_bits = have_seven_bits(weights.data(), static_cast<int64_t>(weights.size()));
                    const Guarded<uint8_t> scratch(static_cast<size_t>(c.scratch()), true, 64);
                    const Range p = any_share(random, static_cast<int32_t>(c.pixels()), int8_block);
                    const Range n = any_share(random, static_cast<int32_t>(groups * int8_panels(rows)), 1);
                    about = sizes + text(", numbers [%d, %d), panels [%d, %d)", p.first, p.last, n.first, n.last);
                    return compare<Any>(
                        arena, c, out, point_at, [&](const Any& c) { kernel(c, scratch.data(), p.first, p.last, n.first, n.last); },
                        [&](const Any& c) { reference::convolution_int8(c, p.first, p.last, n.first, n.last); });
                });
            });
}

// Weights of all sizes, and of the largest: sums of 455 channels have as many bits as they may.
inline void test_convolution_int8_winograd(Report& report, ConvolutionInt8Winograd::Function* kernel) {
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 14; ++variant)
            report.run([&](Random& random, std::string& about) {
                Window w = any_window(random, random.between(1, 19), width, true);
                w.stride_y = w.stride_x = 1, w.out_height = std::max(w.in_height + 2 * w.pad_y - 2, 1), w.out_width = std::max(w.in_width + 2 * w.pad_x - 2, 1);
                const bool is_deep = variant == 0 && width < 9;
                const int32_t groups = is_deep ? 1 : random.of({1, 1, 2}), rows = random.of({1, 7, 8, 9, 16, 17, 33}), most = random.of({3, 127, 128});
                const int32_t in_channels = is_deep ? 115 : random.between(1, 9);
                return on_any_bytes<ConvolutionInt8Winograd>(
                    random, w, groups, rows, in_channels, [&](Bytes& arena, ConvolutionInt8Winograd c, const Tensor& out, const std::string& sizes, auto point_at) {
                        Guarded<int8_t> weights(static_cast<size_t>(c.packed()), random.once_in(2));
                        for (int64_t i = 0; i < c.packed(); ++i) weights[i] = 0;
                        for (int64_t channel = 0; channel < groups * rows; ++channel)
                            for (int64_t t = 0; t < in_channels * 9; ++t)
                                weights[c.place(channel / rows, channel % rows, t / 9, t % 9)] =
                                    static_cast<int8_t>(is_deep && channel % 2 ? (channel % 4 == 1 ? 127 : -127) : random.between(-most, std::min(most, 127)));
                        c.weights = weights.data();
                        const Guarded<uint8_t> scratch(static_cast<size_t>(c.scratch()), true, 64);
                        const Range p = any_share(random, static_cast<int32_t>(c.tile_rows()), 1), n = any_share(random, static_cast<int32_t>(groups * c.chunks()), 1);
                        about = sizes + text(", rows of tiles [%d, %d), chunks [%d, %d)", p.first, p.last, n.first, n.last);
                        if (!c.holds_sums()) return std::string("its sums have too many bits");
                        return compare<ConvolutionInt8Winograd>(
                            arena, c, out, point_at, [&](const ConvolutionInt8Winograd& c) { kernel(c, scratch.data(), p.first, p.last, n.first, n.last); },
                            [&](const ConvolutionInt8Winograd& c) { reference::convolution_int8_winograd(c, p.first, p.last, n.first, n.last); });
                    });
            });
}

}  // namespace shufflekit::testing
