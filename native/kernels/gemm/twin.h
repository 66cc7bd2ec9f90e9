// The twin and the cases of the GEMM, and what a step takes.
#pragma once

#include <bit>

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

// To the nearest bfloat16, halves to the even one.
inline float to_bfloat16(float x) {
    const auto bits = std::bit_cast<uint32_t>(x);
    return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}

// Panels of words as floats.
inline std::vector<float> unpacked(const GemmBfloat16& g) {
    const int64_t pairs = gemm_pairs(g.depth), panels = int64_t{g.groups} * gemm_panels(g.rows);
    std::vector<float> panel(static_cast<size_t>(panels * g.depth * gemm_panel));
    for (int64_t i = 0; i < panels * g.depth * gemm_panel; ++i) {
        const int64_t k = i / gemm_panel % g.depth, word = (i / gemm_panel / g.depth * pairs + k / 2) * gemm_panel + i % gemm_panel;
        const auto two = std::bit_cast<uint32_t>(g.weights[word]);
        panel[i] = std::bit_cast<float>(k % 2 ? two & 0xffff0000 : two << 16);
    }
    return panel;
}

// The GEMM of rounded weights, and of rounded copies of what it reads.
inline void gemm_bfloat16(const GemmBfloat16& g, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    const auto weights = unpacked(g);
    std::vector<float> in(static_cast<size_t>(int64_t{g.groups} * g.depth * g.pixels));
    std::vector<int32_t> offsets;
    for (int64_t k = 0; k < int64_t{g.groups} * g.depth; ++k) {
        offsets.push_back(static_cast<int32_t>(k * g.pixels));
        for (int64_t p = 0; p < g.pixels; ++p) in[k * g.pixels + p] = to_bfloat16(g.in[k][p]);
    }
    Gemm rounded = g;
    rounded.in = {in.data(), offsets.data()}, rounded.weights = weights.data();
    gemm(rounded, first_pixel, last_pixel, first_panel, last_panel);
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

// Cases of a variant. pack(random, gemm) makes its weights, and returns what holds them; kernel and twin get a part of a call.
template <class G, class Pack, class Kernel, class Twin>
void test_gemms(Report& report, Pack pack, Kernel kernel, Twin twin) {
    constexpr int32_t more_rows[] = {24, 25, 58, 61};
    for (const int32_t pixels : pixel_edges)
        for (int32_t variant = 0; variant < 2 * 21; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t number = variant % 21, rows = number < 17 ? number + 1 : more_rows[number - 17];
                const int32_t groups = random.of({1, 1, 2, 3}), depth = random.of({1, 2, 3, 7, 8, 9, 24, 30, 40, 161});
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
                G gemm{};
                static_cast<Gemm&>(gemm) = {{nullptr, ins.data()}, {nullptr, outs.data()}, {nullptr, addeds.data()}, nullptr, nullptr,
                                            groups, rows, depth, pixels, {}};
                const auto packed = pack(random, gemm);
                gemm.epilogue = any_epilogue(random);
                const Range p = any_share(random, pixels, 16), n = any_share(random, groups * gemm_panels(rows), 1);
                about = text("%d pixels [%d, %d), %d groups x %d rows, panels [%d, %d), depth %d, %s, activation %d", pixels, p.first, p.last, groups, rows,
                             n.first, n.last, depth, residual_words[static_cast<int>(residual)], static_cast<int>(gemm.epilogue.activation));
                return compare<G>(
                    arena, gemm, out, tolerance(depth),
                    [&](G& g, float* base) { g.in.base = g.out.base = base, g.residual.base = residual == Residual::none ? nullptr : base; },
                    [&](const G& g) { kernel(g, p, n); }, [&](const G& g) { twin(g, p, n); });
            });
}

inline void test_gemm(Report& report, Gemm::Function* kernel) {
    const auto pack = [](Random& random, Gemm& g) {
        Packed packed(random, g.groups, g.rows, g.depth);
        g.weights = packed.weights, g.bias = packed.bias;
        return packed;
    };
    test_gemms<Gemm>(
        report, pack, [&](const Gemm& g, Range p, Range n) { kernel(g, p.first, p.last, n.first, n.last); },
        [&](const Gemm& g, Range p, Range n) { reference::gemm(g, p.first, p.last, n.first, n.last); });
}

// The same in words of bfloat16, against the end of their memory.
inline Guarded<float> in_words(const Packed& packed, const GemmBfloat16& g) {
    const int64_t pairs = gemm_pairs(g.depth), panels = int64_t{g.groups} * gemm_panels(g.rows);
    Guarded<float> words(static_cast<size_t>(panels * pairs * gemm_panel), true);
    for (int64_t panel = 0; panel < panels; ++panel)
        for (int64_t k = 0; k < g.depth; ++k)
            for (int64_t row = 0; row < gemm_panel; ++row) {
                const auto bits = std::bit_cast<uint32_t>(reference::to_bfloat16(packed.weights[(panel * g.depth + k) * gemm_panel + row]));
                float& word = words[(panel * pairs + k / 2) * gemm_panel + row];
                word = std::bit_cast<float>(std::bit_cast<uint32_t>(word) | (k % 2 ? bits : bits >> 16));
            }
    return words;
}

inline void test_gemm_bfloat16(Report& report, GemmBfloat16::Function* kernel) {
    const auto pack = [](Random& random, GemmBfloat16& g) {
        Packed packed(random, g.groups, g.rows, g.depth);
        auto words = in_words(packed, g);
        g.weights = words.data(), g.bias = packed.bias;
        return std::pair(std::move(packed), std::move(words));
    };
    test_gemms<GemmBfloat16>(
        report, pack,
        [&](const GemmBfloat16& g, Range p, Range n) {
            const Guarded<uint32_t> scratch(static_cast<size_t>(g.scratch()), true, 64);
            kernel(g, scratch.data(), p.first, p.last, n.first, n.last);
        },
        [&](const GemmBfloat16& g, Range p, Range n) { reference::gemm_bfloat16(g, p.first, p.last, n.first, n.last); });
}

}  // namespace shufflekit::testing
