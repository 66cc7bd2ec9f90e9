// The twin of the convolution, the cases of its variants, and what a step takes.
#pragma once

#include "kernels/convolution/convolution.h"
#include "kernels/gemm/twin.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

// Pixel p of the group's output row n.
inline double convolved(const Convolution& c, int32_t group, int32_t n, int64_t p) {
    const Window& w = c.window;
    const int64_t taps = int64_t{w.kernel_y} * w.kernel_x, depth = c.in_channels * taps;
    const PackedRow row = packed_row(c.weights, c.bias, c.rows, depth, group, n);
    double sum = row.bias;
    for (int64_t k = 0; k < depth; ++k) {
        const float* plane = c.in[int64_t{group} * c.in_channels + k / taps];
        sum += row.weights[k * gemm_panel] * tap(plane, w, p / w.out_width, p % w.out_width, k % taps / w.kernel_x, k % taps % w.kernel_x);
    }
    if (c.residual.base) sum += c.residual[int64_t{group} * c.rows + n][p];
    return activate(sum, c.epilogue.of(int64_t{group} * c.rows + n));
}

inline void convolution(const Convolution& c, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    rows_of_panels(c.groups, c.rows, first_panel, last_panel, [&](int32_t group, int32_t n) {
        for (int64_t p = first_pixel; p < last_pixel; ++p) c.out[int64_t{group} * c.rows + n][p] = static_cast<float>(convolved(c, group, n, p));
    });
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Convolution& c) { return double(c.groups) * (c.rows + 1) * c.in_channels * work(c.window); }
// Elements.
inline double written(const Convolution& c) { return double(c.groups) * c.rows * c.window.out_height * c.window.out_width; }

// Of a variant.
template <class Variant>
void test_convolutions(Report& report, typename Variant::Function* kernel) {
    constexpr bool by_rows = std::is_same_v<Variant, ConvolutionRows>, by_patches = std::is_same_v<Variant, ConvolutionPatches>;
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 32; ++variant)
            report.run([&](Random& random, std::string& about) {
                Window w = any_window(random, random.between(1, 9), width, variant < 12);
                if (by_rows) w.out_width = std::max(w.out_width, 16);  // the padding on the right fills it up
                const bool by_strided_rows = by_rows && variant >= 26;
                if (by_strided_rows) {  // strided_rows.h
                    w = {random.between(3, 19), 16 + 32 * random.between(1, 3), 0, 0, 3, 3, 2, 2, random.below(2), 1, 1, 1};
                    w.out_height = (w.in_height + 2 * w.pad_y - 3) / 2 + 1, w.out_width = w.in_width / 2;
                }
                const int32_t groups = random.of({1, 1, 1, 2, 3}), in_channels = random.of({1, 2, 3, 5, 8, 20});
                const int32_t rows = by_strided_rows ? 8 * random.between(1, 3) : random.between(1, 17);
                const int32_t pixels = w.out_height * w.out_width;
                const bool tight = random.once_in(3);
                const Residual residual = by_rows || tight || random.once_in(3) ? Residual::none : random.of(residuals);
                Arena arena(random), input(random, tight);
                Arena& source = tight ? input : arena;
                Tensor in = source.add(groups * in_channels, w.in_height * w.in_width);
                const Tensor out = arena.add(groups * rows, pixels);
                const Tensor added = residual == Residual::in_place ? out : arena.add(groups * rows, pixels);
                arena.make(), input.make();
                source.fill(in);
                if (residual != Residual::none) arena.fill(added);
                repeat_some(random, in);
                const int64_t depth = int64_t{in_channels} * w.kernel_y * w.kernel_x;
                const auto ins = table(in.offsets), outs = table(out.offsets), addeds = table(added.offsets);
                const Packed packed(random, groups, rows, depth);
                const Variant c{{{nullptr, ins.data()},
                                    {nullptr, outs.data()},
                                    {nullptr, residual == Residual::none ? nullptr : addeds.data()},
                                    packed.weights, packed.bias, groups, rows, in_channels, w, any_epilogue(random)}};
                const Guarded<float> scratch(static_cast<size_t>(c.scratch()), true, 64);
                for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = canary(i);
                const Range p = any_share(random, pixels, by_patches ? 16 : w.out_width);
                const Range n = any_share(random, groups * gemm_panels(rows), 1);
                about = text(w) + text(", pixels [%d, %d), %d groups x %d rows, panels [%d, %d), %d channels%s, %s, activation %d", p.first, p.last, groups,
                                       rows, n.first, n.last, in_channels, tight ? ", tight" : "", residual_words[static_cast<int>(residual)],
                                       static_cast<int>(c.epilogue.activation));
                const auto point_at = [&](Variant& c, float* base) {
                    c.in.base = tight ? input.base() : base;
                    c.out.base = base;
                    if (residual != Residual::none) c.residual.base = base;
                };
                return compare<Variant>(
                    arena, c, out, tolerance(depth), point_at,
                    [&](const Variant& c) { kernel(c, scratch.data(), p.first, p.last, n.first, n.last); },
                    [&](const Convolution& c) { reference::convolution(c, p.first, p.last, n.first, n.last); });
            });
}

// 3x3 weights packed as for the GEMM, transformed for tiles of M x M pixels: G w G^T in double precision.
template <int M>
std::vector<float> transformed(const Winograd<M>& c) {
    constexpr int side = M + 2;
    constexpr double small[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
    constexpr double large[6][3] = {{64 / 81., 0, 0},
                                    {-128 / 243., -32 / 81., -8 / 27.},
                                    {-128 / 243., 32 / 81., -8 / 27.},
                                    {32 / 243., 16 / 81., 8 / 27.},
                                    {32 / 243., -16 / 81., 8 / 27.},
                                    {0, 0, 1}};
    const auto g = [&](int i, int a) { return M == 2 ? small[i % 4][a] : large[i][a]; };
    std::vector<float> result;
    for (int32_t group = 0; group < c.groups; ++group)
        for (int32_t first = 0; first < c.rows; first += winograd_rows)
            for (int k = 0; k < side * side; ++k) {
                const int32_t rows = std::min(winograd_rows, c.rows - first);
                for (int32_t panel = 0; panel < gemm_panels(rows); ++panel)
                    for (int32_t channel = 0; channel < c.in_channels; ++channel)
                        for (int32_t n = 0; n < gemm_panel; ++n) {
                            double sum = 0;
                            if (n < gemm_panel_rows(rows, panel)) {
                                const int32_t row = first + gemm_first_row(rows, panel) + n;
                                const auto packed = reference::packed_row(c.weights, c.bias, c.rows, c.depth(), group, row);
                                for (int a = 0; a < 3; ++a)
                                    for (int b = 0; b < 3; ++b)
                                        sum += g(k / side, a) * g(k % side, b) * packed.weights[(channel * 9 + 3 * a + b) * gemm_panel];
                            }
                            result.push_back(static_cast<float>(sum));
                        }
            }
    return result;
}

// The same for stride 2: a panel has the pieces that are stored, each of all channels.
template <int M, int Stored>
std::vector<float> transformed(const WinogradStride2<M, Stored>& c) {
    constexpr double small[4][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 0, 1}};
    constexpr double large[6][3] = {{32 / 27., 0, 0},
                                    {0, 1, 0},
                                    {0, 0, 1},
                                    {-32 / 27., 0, -8 / 9.},
                                    {-32 / 81., 0, 8 / 27.},
                                    {32 / 81., 0, 16 / 27.}};
    const auto g = [&](int i, int a) { return M == 2 ? small[i % 4][a] : large[i][a]; };
    std::vector<float> result;
    for (int32_t group = 0; group < c.groups; ++group)
        for (int32_t panel = 0; panel < gemm_panels(c.rows); ++panel)
            for (int piece = 0; piece < c.stored * c.stored; ++piece)
                for (int32_t channel = 0; channel < c.in_channels; ++channel)
                    for (int32_t n = 0; n < gemm_panel; ++n) {
                        double sum = 0;
                        if (n < gemm_panel_rows(c.rows, panel)) {
                            const auto packed =
                                reference::packed_row(c.weights, c.bias, c.rows, c.depth(), group, gemm_first_row(c.rows, panel) + n);
                            for (int k = 0; k < 9; ++k)
                                sum += g(piece / c.stored, k / 3) * g(piece % c.stored, k % 3) * packed.weights[(channel * 9 + k) * gemm_panel];
                        }
                        result.push_back(static_cast<float>(sum));
                    }
    return result;
}

// Bias as a variant reads it, and what a call's second range counts: chunks of dense rows, or panels.
template <int M>
std::vector<float> bias_of(const Winograd<M>& c) {
    std::vector<float> bias;
    for (int32_t n = 0; n < c.groups * c.rows; ++n)
        bias.push_back(reference::packed_row(c.weights, c.bias, c.rows, c.depth(), n / c.rows, n % c.rows).bias);
    return bias;
}
template <int M, int Stored>
std::vector<float> bias_of(const WinogradStride2<M, Stored>& c) {
    return {c.bias, c.bias + c.panels() * gemm_panel};
}
template <int M>
int64_t units_of(const Winograd<M>& c) {
    return c.groups * c.chunks();
}
template <int M, int Stored>
int64_t units_of(const WinogradStride2<M, Stored>& c) {
    return c.panels();
}
template <int M>
int64_t unit_of(const Winograd<M>& c, int32_t channel) {
    return channel / c.rows * c.chunks() + channel % c.rows / winograd_rows;
}
template <int M, int Stored>
int64_t unit_of(const WinogradStride2<M, Stored>& c, int32_t channel) {
    int32_t panel = 0;
    while (channel % c.rows >= gemm_first_row(c.rows, panel + 1)) ++panel;
    return channel / c.rows * gemm_panels(c.rows) + panel;
}

// Of a variant by tiles.
template <class Variant>
void test_tiles(Report& report, typename Variant::Function* kernel) {
    constexpr int M = Variant::tile, stride = Variant::step / M;
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 10; ++variant)
            report.run([&](Random& random, std::string& about) {
                Window w{};
                w.in_height = random.between(1, stride * (3 * M + 2)), w.in_width = stride * width - random.below(stride);
                w.kernel_y = w.kernel_x = 3, w.stride_y = w.stride_x = stride, w.dilation_y = w.dilation_x = 1;
                w.pad_y = random.below(3), w.pad_x = random.below(3);
                w.out_height = std::max(1, (w.in_height + w.pad_y + random.below(3) - 3) / stride + 1);
                w.out_width = std::max(1, (w.in_width + w.pad_x + random.below(3) - 3) / stride + 1);
                int32_t in_channels = random.of({1, 2, 3, 4, 5, 8, 20, 40, 120});
                if (stride == 2 && variant < 3) {  // grids of 4 x 4 tiles that begin before the first output
                    w.in_height = w.in_width = 2 * (3 * M + 1) - random.below(3), w.out_height = w.out_width = 3 * M + 1;
                    w.pad_y = random.between(1, 2), w.pad_x = random.between(1, 2), in_channels = random.of({16, 20, 120});
                }
                if (stride == 1 && variant < 2) in_channels = M == 2 ? 300 : 140;  // from so many tiles on product by product
                int32_t groups = random.of({1, 1, 2}), rows = random.between(1, 40);
                if (stride == 1 && variant > 6) in_channels = 40, rows = random.between(32, 48);  // chunks two by two
                if (stride == 2 && variant == 9) in_channels = 4, rows = random.between(129, 140);  // two chunks of panels
                if (stride == 2 && random.once_in(3)) in_channels = 40, rows = random.of({32, 40, 160});  // four whole panels at a time
                const bool tight = random.once_in(3);
                const Residual residual = tight ? Residual::none : random.of(residuals);
                Arena arena(random), input(random, tight);
                Arena& source = tight ? input : arena;
                Tensor in = source.add(groups * in_channels, w.in_height * w.in_width);
                const Tensor out = arena.add(groups * rows, w.out_height * w.out_width);
                const Tensor added = residual == Residual::in_place ? out : arena.add(groups * rows, out.pixels);
                arena.make(), input.make();
                source.fill(in);
                if (residual != Residual::none) arena.fill(added);
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets), addeds = table(added.offsets);
                const Packed packed(random, groups, rows, int64_t{in_channels} * 9);
                Variant c{};
                static_cast<Convolution&>(c) = {{nullptr, ins.data()},
                                                {nullptr, outs.data()},
                                                {nullptr, residual == Residual::none ? nullptr : addeds.data()},
                                                packed.weights, packed.bias, groups, rows, in_channels, w, any_epilogue(random)};
                const auto weights = transformed(c), bias = bias_of(c);
                c.weights = weights.data(), c.bias = bias.data();
                const Guarded<float> scratch(static_cast<size_t>(c.scratch()), true, 64);
                for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = canary(i);
                const Range tiles = any_share(random, static_cast<int32_t>(c.tiles()), 16);
                const Range units = any_share(random, static_cast<int32_t>(units_of(c)), 1);
                about = text(w) + text(", tiles [%d, %d), %d groups x %d rows, [%d, %d) of them, %d channels%s, %s, activation %d", tiles.first,
                                       tiles.last, groups, rows, units.first, units.last, in_channels, tight ? ", tight" : "",
                                       residual_words[static_cast<int>(residual)], static_cast<int>(c.epilogue.activation));
                const auto point_at = [&](Variant& c, float* base) {
                    c.in.base = tight ? input.base() : base;
                    c.out.base = base;
                    if (residual != Residual::none) c.residual.base = base;
                };
                const auto twin = [&](Variant c) {
                    c.weights = packed.weights, c.bias = packed.bias;
                    for (int32_t channel = 0; channel < groups * rows; ++channel)
                        for (int64_t p = 0; p < out.pixels; ++p) {
                            const int64_t tile = p / w.out_width / M * c.columns() + p % w.out_width / M;
                            const int64_t unit = unit_of(c, channel);
                            if (tile < tiles.first || tile >= tiles.last || unit < units.first || unit >= units.last) continue;
                            c.out[channel][p] = static_cast<float>(reference::convolved(c, channel / rows, channel % rows, p));
                        }
                };
                return compare<Variant>(
                    arena, c, out, (M == 2 ? 1 : 2) * tolerance(9 * in_channels), point_at,
                    [&](const Variant& c) { kernel(c, scratch.data(), tiles.first, tiles.last, units.first, units.last); }, twin);
            });
}

inline void test_convolution_winograd2(Report& report, ConvolutionWinograd2::Function* kernel) { test_tiles<ConvolutionWinograd2>(report, kernel); }
inline void test_convolution_winograd4(Report& report, ConvolutionWinograd4::Function* kernel) { test_tiles<ConvolutionWinograd4>(report, kernel); }
inline void test_convolution_winograd2_stride2(Report& report, ConvolutionWinograd2Stride2::Function* kernel) {
    test_tiles<ConvolutionWinograd2Stride2>(report, kernel);
}
inline void test_convolution_winograd2_taps_stride2(Report& report, ConvolutionWinograd2TapsStride2::Function* kernel) {
    test_tiles<ConvolutionWinograd2TapsStride2>(report, kernel);
}
inline void test_convolution_winograd4_stride2(Report& report, ConvolutionWinograd4Stride2::Function* kernel) {
    test_tiles<ConvolutionWinograd4Stride2>(report, kernel);
}
inline void test_convolution_rows(Report& report, Convolution::Function* kernel) { test_convolutions<ConvolutionRows>(report, kernel); }
inline void test_convolution_patches(Report& report, Convolution::Function* kernel) { test_convolutions<ConvolutionPatches>(report, kernel); }
inline void test_convolution_flat(Report& report, ConvolutionFlat::Function* kernel) { test_convolutions<ConvolutionFlat>(report, kernel); }

}  // namespace shufflekit::testing
