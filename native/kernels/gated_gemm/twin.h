// The twin and the cases of the GEMM of gated planes, and what a step takes.
#pragma once

#include "kernels/gated_gemm/gated_gemm.h"
#include "kernels/gemm/twin.h"

namespace shufflekit::reference {

inline void gated_gemm(const GatedGemm& g, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    rows_of_panels(g.groups, g.rows, first_panel, last_panel, [&](int32_t group, int32_t n) {
        const PackedRow row = packed_row(g.weights, g.bias, g.rows, g.depth, group, n);
        const int64_t channel = int64_t{group} * g.rows + n, first = int64_t{group} * g.depth;
        for (int64_t p = first_pixel; p < last_pixel; ++p) {
            double sum = row.bias;
            for (int64_t k = 0; k < g.depth; ++k) sum += double{row.weights[k * gemm_panel]} * g.gate[first + k][0] * g.in[first + k][p];
            if (g.residual.base) sum += g.residual[channel][p];
            g.out[channel][p] = static_cast<float>(activate(sum, g.epilogue.of(channel)));
        }
    });
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

inline double work(const GatedGemm& g) { return double(g.groups) * g.rows * g.depth * (g.pixels + 2); }

inline void test_gated_gemm(Report& report, GatedGemm::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t variant = 0; variant < 16; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t rows = random.between(1, 26), groups = random.of({1, 1, 2, 3}), depth = random.of({1, 2, 7, 8, 9, 24, 161});
                const Residual residual = random.of(residuals);
                Arena arena(random);
                Tensor in = arena.add(groups * depth, pixels), gate = arena.add(groups * depth, 1);
                const Tensor out = arena.add(groups * rows, pixels);
                const Tensor added = residual == Residual::in_place ? out : arena.add(groups * rows, pixels);
                arena.make();
                arena.fill(in), arena.fill(gate);
                if (residual != Residual::none) arena.fill(added);
                repeat_some(random, in), repeat_some(random, gate);
                const auto ins = table(in.offsets, gemm_operands_ahead), gates = table(gate.offsets);
                const auto outs = table(out.offsets), addeds = table(added.offsets);
                const Packed packed(random, groups, rows, depth);
                const GatedGemm g{{{nullptr, ins.data()}, {nullptr, outs.data()}, {nullptr, addeds.data()}, packed.weights, packed.bias,
                                   groups, rows, depth, pixels, any_epilogue(random)}, {nullptr, gates.data()}};
                const Guarded<float> scratch(static_cast<size_t>(g.scratch()), true, 64);
                for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = canary(i);
                const Range p = any_share(random, pixels, 16), n = any_share(random, groups * gemm_panels(rows), 1);
                about = text("%d pixels [%d, %d), %d groups x %d rows, panels [%d, %d), depth %d, %s, activation %d", pixels, p.first, p.last,
                             groups, rows, n.first, n.last, depth, residual_words[static_cast<int>(residual)], static_cast<int>(g.epilogue.activation));
                return compare<GatedGemm>(
                    arena, g, out, tolerance(depth),
                    [&](GatedGemm& g, float* base) {
                        g.in.base = g.gate.base = g.out.base = base, g.residual.base = residual == Residual::none ? nullptr : base;
                    },
                    [&](const GatedGemm& g) { kernel(g, scratch.data(), p.first, p.last, n.first, n.last); },
                    [&](const GatedGemm& g) { reference::gated_gemm(g, p.first, p.last, n.first, n.last); });
            });
}

}  // namespace shufflekit::testing
