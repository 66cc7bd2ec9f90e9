// The twin and the cases of the two convolutions, and what a step takes.
#pragma once

#include "kernels/pointwise_depthwise/pointwise_depthwise.h"
#include "kernels/depthwise/twin.h"
#include "kernels/gemm/twin.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void pointwise_depthwise(const PointwiseDepthwise& f, int32_t first_row, int32_t last_row) {
    const Gemm& g = f.pointwise;
    const Depthwise& d = f.depthwise;
    const Window& w = d.window;
    for (int32_t n = 0; n < d.channels; ++n) {
        const PackedRow row = packed_row(g.weights, g.bias, g.rows, g.depth, 0, n);
        std::vector<float> between(static_cast<size_t>(g.pixels));
        for (int64_t p = 0; p < g.pixels; ++p) {
            double sum = row.bias;
            for (int64_t k = 0; k < g.depth; ++k) sum += double{row.weights[k * gemm_panel]} * g.in[k][p];
            between[static_cast<size_t>(p)] = static_cast<float>(activate(sum, g.epilogue));
        }
        for (int64_t y = first_row; y < last_row; ++y)
            for (int64_t x = 0; x < w.out_width; ++x) {
                double sum = d.bias[n];
                for (int64_t i = 0; i < 9; ++i) sum += d.weights[n * 9 + i] * tap(between.data(), w, y, x, i / 3, i % 3);
                d.out[n][y * w.out_width + x] = static_cast<float>(activate(sum, d.epilogue));
            }
    }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const PointwiseDepthwise& f) { return double(f.pointwise.rows) * (double(f.pointwise.depth) * f.pointwise.pixels + work(f.depthwise.window)); }
// Elements.
inline double written(const PointwiseDepthwise& f) { return written(f.depthwise); }

inline void test_pointwise_depthwise(Report& report, PointwiseDepthwise::Function* kernel) {
    for (int32_t width = 16; width <= 67; ++width)
        for (int32_t variant = 0; variant < 4; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t stride = random.between(1, 2), height = random.between(1, 40);
                const int32_t in_width = stride == 1 ? width : 2 * width - random.below(2), out_height = (height - 1) / stride + 1;
                const Window w{height, in_width, out_height, width, 3, 3, stride, stride, 1, 1, 1, 1};
                const int32_t rows = random.between(1, 17), depth = random.between(1, 17);
                Arena arena(random);
                Tensor in = arena.add(depth, height * in_width);
                const Tensor out = arena.add(rows, out_height * width);
                arena.make();
                arena.fill(in);
                repeat_some(random, in);
                const auto ins = table(in.offsets, gemm_operands_ahead), outs = table(out.offsets);
                const Packed packed(random, 1, rows, depth);
                const auto weights = numbers(random, rows * 9), bias = numbers(random, rows);
                const auto bounds = [&] { return Epilogue{static_cast<Activation>(random.below(3)), 0}; };
                const PointwiseDepthwise f{
                    {{nullptr, ins.data()}, {}, {}, packed.weights, packed.bias, 1, rows, depth, height * in_width, bounds()},
                    {{}, {nullptr, outs.data()}, {}, weights.data(), bias.data(), rows, w, bounds()}};
                const Guarded<float> scratch(static_cast<size_t>(f.scratch()), true, 64);
                for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = canary(i);
                const Range y = any_share(random, out_height, 1);
                about = text(w) + text(", rows [%d, %d), %d to %d channels", y.first, y.last, depth, rows);
                return compare<PointwiseDepthwise>(
                    arena, f, out, tolerance(depth * 9),
                    [&](PointwiseDepthwise& f, float* base) { f.pointwise.in.base = f.depthwise.out.base = base; },
                    [&](const PointwiseDepthwise& f) { kernel(f, scratch.data(), y.first, y.last); },
                    [&](const PointwiseDepthwise& f) { reference::pointwise_depthwise(f, y.first, y.last); });
            });
}

}  // namespace shufflekit::testing
