// The twin and the cases of the GEMM of scaled planes, and what a step takes.
#pragma once

#include "kernels/affine_gemm/affine_gemm.h"
#include "kernels/gemm/twin.h"

namespace shufflekit::reference {

inline void affine_gemm(const AffineGemm& a, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    rows_of_panels(a.groups, a.rows, first_panel, last_panel, [&](int32_t group, int32_t n) {
        const PackedRow row = packed_row(a.weights, a.bias, a.rows, a.depth, group, n);
        const int64_t channel = int64_t{group} * a.rows + n, first = int64_t{group} * a.depth;
        for (int64_t p = first_pixel; p < last_pixel; ++p) {
            double sum = row.bias;
            for (int64_t k = 0; k < a.depth; ++k)
                sum += row.weights[k * gemm_panel] * activate(double{a.in[first + k][p]} * a.scale[first + k] + a.shift[first + k], a.before);
            if (a.residual.base) sum += a.residual[channel][p];
            a.out[channel][p] = static_cast<float>(activate(sum, a.epilogue.of(channel)));
        }
    });
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

inline void test_affine_gemm(Report& report, AffineGemm::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t variant = 0; variant < 16 && pixels > 1; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t rows = random.between(1, 26), groups = random.of({1, 1, 2, 3}), depth = random.of({1, 2, 7, 8, 9, 24, 161});
                const Residual residual = random.of(residuals);
                const bool tight = random.once_in(3);
                Arena arena(random), input(random, tight);
                Arena& source = tight ? input : arena;
                Tensor in = source.add(groups * depth, pixels);
                const Tensor out = arena.add(groups * rows, pixels);
                const Tensor added = residual == Residual::in_place ? out : arena.add(groups * rows, pixels);
                arena.make(), input.make();
                source.fill(in);
                if (residual != Residual::none) arena.fill(added);
                repeat_some(random, in);
                const auto ins = table(in.offsets, gemm_operands_ahead), outs = table(out.offsets), addeds = table(added.offsets);
                const Packed packed(random, groups, rows, depth);
                const auto scale = numbers(random, groups * depth), shift = numbers(random, groups * depth);
                const Epilogue before{static_cast<Activation>(random.below(3)), 0};
                const AffineGemm a{{{nullptr, ins.data()}, {nullptr, outs.data()}, {nullptr, addeds.data()}, packed.weights, packed.bias,
                                    groups, rows, depth, pixels, any_epilogue(random)}, scale.data(), shift.data(), before};
                const Guarded<float> scratch(static_cast<size_t>(a.scratch()), true, 64);
                for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = canary(i);
                const Range p = any_share(random, pixels, 16), n = any_share(random, groups * gemm_panels(rows), 1);
                about = text("%d pixels [%d, %d), %d groups x %d rows, panels [%d, %d), depth %d%s, %s, activations %d, %d", pixels, p.first, p.last,
                             groups, rows, n.first, n.last, depth, tight ? ", tight" : "", residual_words[static_cast<int>(residual)], static_cast<int>(before.activation),
                             static_cast<int>(a.epilogue.activation));
                return compare<AffineGemm>(
                    arena, a, out, tolerance(2 * depth),
                    [&](AffineGemm& a, float* base) {
                        a.in.base = tight ? input.base() : base, a.out.base = base;
                        a.residual.base = residual == Residual::none ? nullptr : base;
                    },
                    [&](const AffineGemm& a) { kernel(a, scratch.data(), p.first, p.last, n.first, n.last); },
                    [&](const AffineGemm& a) { reference::affine_gemm(a, p.first, p.last, n.first, n.last); });
            });
}

}  // namespace shufflekit::testing
