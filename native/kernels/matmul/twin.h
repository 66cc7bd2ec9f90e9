// The twin and the cases of the product of two matrices, and what a step takes.
#pragma once

#include "kernels/gemm/twin.h"
#include "kernels/matmul/matmul.h"

namespace shufflekit::reference {

inline void matmul(const MatMul& m, int32_t first_panel, int32_t last_panel) {
    rows_of_panels(m.groups, m.rows, first_panel, last_panel, [&](int64_t group, int32_t n) {
        const int64_t channel = group * m.rows + n;
        for (int64_t p = 0; p < m.pixels; ++p) {
            double sum = 0;
            for (int64_t k = 0; k < m.depth; ++k)
                sum += double{m.a_is_across ? m.a[group * m.depth + k][n] : m.a[channel][k]} * m.in[group * m.depth + k][p];
            sum *= m.scale;
            if (m.residual.base) sum += m.residual[channel][p];
            m.out[channel][p] = static_cast<float>(activate(sum, m.epilogue.of(channel)));
        }
    });
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const MatMul& m) { return double(m.groups) * m.rows * m.depth * (m.pixels + 2); }
// Elements.
inline double written(const MatMul& m) { return double(m.groups) * m.rows * m.pixels; }

inline void test_matmul(Report& report, MatMul::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t variant = 0; variant < 20; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t groups = random.of({1, 1, 2, 3}), rows = random.of({1, 2, 5, 8, 9, 17, 25}), depth = random.of({1, 2, 3, 8, 9, 33});
                const bool across = random.once_in(2);
                const Residual residual = random.of(residuals);
                Arena arena(random);
                Tensor in = arena.add(groups * depth, pixels), a = across ? arena.add(groups * depth, rows) : arena.add(groups * rows, depth);
                const Tensor out = arena.add(groups * rows, pixels);
                const Tensor added = residual == Residual::in_place ? out : arena.add(groups * rows, pixels);
                arena.make();
                arena.fill(in), arena.fill(a);
                if (residual != Residual::none) arena.fill(added);
                repeat_some(random, in), repeat_some(random, a);
                const auto ins = table(in.offsets, gemm_operands_ahead), as = table(a.offsets), outs = table(out.offsets), addeds = table(added.offsets);
                const MatMul m{{nullptr, ins.data()}, {nullptr, as.data()}, {nullptr, outs.data()}, {nullptr, addeds.data()}, groups, rows, depth, pixels,
                               across, random.number(), any_epilogue(random)};
                const Range n = any_share(random, groups * gemm_panels(rows), 1);
                Guarded<float> scratch(static_cast<size_t>(m.scratch()), true);
                about = text("%d pixels, %d groups x %d rows, panels [%d, %d), depth %d, a %s, %s, activation %d", pixels, groups, rows, n.first, n.last, depth,
                             across ? "across" : "along", residual_words[static_cast<int>(residual)], static_cast<int>(m.epilogue.activation));
                return compare<MatMul>(
                    arena, m, out, tolerance(depth),
                    [&](MatMul& m, float* base) { m.in.base = m.a.base = m.out.base = base, m.residual.base = residual == Residual::none ? nullptr : base; },
                    [&](const MatMul& m) { kernel(m, scratch.data(), n.first, n.last); },
                    [&](const MatMul& m) { reference::matmul(m, n.first, n.last); });
            });
}

}  // namespace shufflekit::testing
