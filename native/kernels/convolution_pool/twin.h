// The twin and the cases of the stem with its pooling, and what a step takes.
#pragma once

#include "kernels/convolution_pool/convolution_pool.h"
#include "kernels/convolution/twin.h"
#include "kernels/gemm/twin.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void convolution_pool(const ConvolutionPool& c, int32_t first_row, int32_t last_row) {
    const Window& w = c.pool;
    for (int32_t n = 0; n < c.convolution.rows; ++n)
        for (int64_t y = first_row; y < last_row; ++y)
            for (int64_t x = 0; x < w.out_width; ++x) {
                double most = -INFINITY;
                for (int64_t row = std::max<int64_t>(2 * y - 1, 0); row < std::min<int64_t>(2 * y + 2, w.in_height); ++row)
                    for (int64_t column = std::max<int64_t>(2 * x - 1, 0); column < std::min<int64_t>(2 * x + 2, w.in_width); ++column)
                        most = larger(most, convolved(c.convolution, 0, n, row * w.in_width + column));
                c.convolution.out[n][y * w.out_width + x] = static_cast<float>(most);
            }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const ConvolutionPool& c) { return work(c.convolution); }
// Elements.
inline double written(const ConvolutionPool& c) { return double(c.convolution.rows) * c.pool.out_height * c.pool.out_width; }

inline void test_convolution_pool(Report& report, ConvolutionPool::Function* kernel) {
    for (int32_t width = 16; width <= 67; ++width)
        for (int32_t variant = 0; variant < 4; ++variant)
            report.run([&](Random& random, std::string& about) {
                Window w = any_window(random, random.between(1, 17), width * random.between(1, 2), variant < 2);
                w.out_width = width;  // the padding on the right fills it up
                const int32_t height = (w.out_height + 1) / 2, rows = random.between(1, 17), in_channels = random.of({1, 2, 3, 5});
                const Window pool{w.out_height, width, height, (width + 1) / 2, 3, 3, 2, 2, 1, 1, 1, 1};
                const bool tight = random.once_in(2);
                Arena arena(random), input(random, tight);
                Arena& source = tight ? input : arena;
                Tensor in = source.add(in_channels, w.in_height * w.in_width);
                const Tensor out = arena.add(rows, height * pool.out_width);
                arena.make(), input.make();
                source.fill(in);
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const int64_t depth = int64_t{in_channels} * w.kernel_y * w.kernel_x;
                const Packed packed(random, 1, rows, depth);
                const ConvolutionPool c{{{{nullptr, ins.data()}, {nullptr, outs.data()}, {}, packed.weights, packed.bias, 1, rows,
                                         in_channels, w, any_epilogue(random)}}, pool};
                const Guarded<float> scratch(static_cast<size_t>(c.scratch()), true, 64);
                for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = canary(i);
                const Range y = any_share(random, height, 1);
                about = text(w) + text(", rows [%d, %d) of the pooled %d, %d of %d channels%s, activation %d", y.first, y.last, height, rows, in_channels,
                                       tight ? ", tight" : "", static_cast<int>(c.convolution.epilogue.activation));
                return compare<ConvolutionPool>(
                    arena, c, out, tolerance(depth),
                    [&](ConvolutionPool& c, float* base) { c.convolution.in.base = tight ? input.base() : base, c.convolution.out.base = base; },
                    [&](const ConvolutionPool& c) { kernel(c, scratch.data(), y.first, y.last); },
                    [&](const ConvolutionPool& c) { reference::convolution_pool(c, y.first, y.last); });
            });
}

}  // namespace shufflekit::testing
