// The twin and the cases of the GEMM, and what a step takes.
#pragma once

#include "kernels/gemm/gemm.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

// Row n of a group with `rows` rows and `depth` weights a row, as gemm.h packs them.
struct PackedRow {
    const float* weights;  // weight k at k * gemm_panel
    float bias;
};

inline PackedRow packed_row(const float* weights, const float* bias, int32_t rows, int64_t depth, int32_t group, int32_t n) {
    int32_t panel = 0;
    while (n >= gemm_first_row(rows, panel + 1)) ++panel;
    const int64_t number = int64_t{group} * gemm_panels(rows) + panel, row = n - gemm_first_row(rows, panel);
    return {weights + number * depth * gemm_panel + row, bias[number * gemm_panel + row]};
}

// Calls each(group, row) for the rows of panels [first, last) of all groups' panels together.
template <class Each>
void rows_of_panels(int32_t groups, int32_t rows, int32_t first, int32_t last, Each each) {
    for (int32_t group = 0; group < groups; ++group)
        for (int32_t panel = 0; panel < gemm_panels(rows); ++panel) {
            const int32_t number = group * gemm_panels(rows) + panel;
            if (number < first || number >= last) continue;
            for (int32_t n = gemm_first_row(rows, panel); n < gemm_first_row(rows, panel + 1); ++n) each(group, n);
        }
}

inline void gemm(const Gemm& g, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    rows_of_panels(g.groups, g.rows, first_panel, last_panel, [&](int32_t group, int32_t n) {
        const PackedRow row = packed_row(g.weights, g.bias, g.rows, g.depth, group, n);
        const int64_t channel = int64_t{group} * g.rows + n;
        for (int64_t p = first_pixel; p < last_pixel; ++p) {
            double sum = row.bias;
            for (int64_t k = 0; k < g.depth; ++k) sum += double{row.weights[k * gemm_panel]} * g.in[int64_t{group} * g.depth + k][p];
            if (g.residual.base) sum += g.residual[channel][p];
            g.out[channel][p] = static_cast<float>(activate(sum, g.epilogue.of(channel)));
        }
    });
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Packed as gemm.h says; half of them end where their memory does, the others start at an odd float.
struct Packed {
    int shift;
    Guarded<float> all_weights, all_bias;
    float *weights, *bias;

    Packed(Random& random, int32_t groups, int32_t rows, int64_t depth)
        : shift(random.below(2)),
          all_weights(static_cast<size_t>(groups * gemm_panels(rows) * depth * gemm_panel + shift), shift == 0),
          all_bias(static_cast<size_t>(groups * gemm_panels(rows) * gemm_panel + shift), shift == 0),
          weights(all_weights.data() + shift),
          bias(all_bias.data() + shift) {
        for (int32_t panel = 0; panel < groups * gemm_panels(rows); ++panel)
            for (int32_t row = 0; row < gemm_panel_rows(rows, panel % gemm_panels(rows)); ++row) {
                bias[panel * gemm_panel + row] = random.number();
                for (int64_t k = 0; k < depth; ++k) weights[(panel * depth + k) * gemm_panel + row] = random.number();
            }
    }
};

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Gemm& g) { return double(g.groups) * g.rows * g.depth * g.pixels; }
// Elements.
inline double written(const Gemm& g) { return double(g.groups) * g.rows * g.pixels; }

inline void test_gemm(Report& report, Gemm::Function* kernel) {
    constexpr int32_t more_rows[] = {24, 25, 58, 61};
    for (const int32_t pixels : pixel_edges)
        for (int32_t variant = 0; variant < 2 * 21; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t number = variant % 21, rows = number < 17 ? number + 1 : more_rows[number - 17];
                const int32_t groups = random.of({1, 1, 2, 3}), depth = random.of({1, 2, 3, 7, 8, 9, 24, 30, 161});
                const Residual residual = random.of(residuals);
                Arena arena(random);
                Tensor in = arena.add(groups * depth, pixels);
                const Tensor out = arena.add(groups * rows, pixels);
                const Tensor added = residual == Residual::in_place ? out : arena.add(groups * rows, pixels);
                arena.make();
                arena.fill(in);
                if (residual != Residual::none) arena.fill(added);
                repeat_some(random, in);
                const auto ins = table(in.offsets, gemm_operands_ahead), outs = table(out.offsets), addeds = table(added.offsets);
                const Packed packed(random, groups, rows, depth);
                const Gemm gemm{{nullptr, ins.data()}, {nullptr, outs.data()}, {nullptr, addeds.data()}, packed.weights, packed.bias,
                                groups, rows, depth, pixels, any_epilogue(random)};
                const Range p = any_share(random, pixels, 16), n = any_share(random, groups * gemm_panels(rows), 1);
                about = text("%d pixels [%d, %d), %d groups x %d rows, panels [%d, %d), depth %d, %s, activation %d", pixels, p.first, p.last, groups, rows,
                             n.first, n.last, depth, residual_words[static_cast<int>(residual)], static_cast<int>(gemm.epilogue.activation));
                return compare<Gemm>(
                    arena, gemm, out, tolerance(depth),
                    [&](Gemm& g, float* base) { g.in.base = g.out.base = base, g.residual.base = residual == Residual::none ? nullptr : base; },
                    [&](const Gemm& g) { kernel(g, p.first, p.last, n.first, n.last); },
                    [&](const Gemm& g) { reference::gemm(g, p.first, p.last, n.first, n.last); });
            });
}

}  // namespace shufflekit::testing
