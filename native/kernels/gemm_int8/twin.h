// The twin and the cases of the GEMM of bytes, and what a step takes.
#pragma once

#include "kernels/gemm_int8/gemm_int8.h"
#include "tests/byte_cases.h"

namespace shufflekit::reference {

// each(channel, pixel, sum) without the bias.
template <class G, class Each>
void each_sum(const G& g, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel, Each each) {
    for (int64_t group = 0; group < g.groups; ++group)
        for (int64_t n = 0; n < g.rows; ++n) {
            const int64_t panel = group * int8_panels(g.rows) + n / int8_panel;
            if (panel < first_panel || panel >= last_panel) continue;
            for (int64_t p = first_pixel; p < last_pixel; ++p) {
                int64_t sum = 0;
                for (int64_t k = 0; k < g.depth; ++k)
                    sum += g.weights[((panel * int8_fours(g.depth) + k / 4) * int8_panel + n % int8_panel) * 4 + k % 4] * g.in[group * g.depth + k][p];
                each(group * g.rows + n, p, sum);
            }
        }
}

inline void gemm_int8(const GemmInt8& g, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    each_sum(g, first_pixel, last_pixel, first_panel, last_panel, [&](int64_t channel, int64_t p, int64_t sum) {
        g.out[channel][p] = ended(sum, g.ends[channel], g.residual.base ? g.residual[channel] + p : nullptr);
    });
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const GemmInt8& g) { return double(g.groups) * g.rows * g.depth * g.pixels; }
// Elements.
inline double written(const GemmInt8& g) { return double(g.groups) * g.rows * g.pixels; }

// Packed as gemm_int8.h says; of 7 bits half of the time, as far as they may go.
inline Guarded<int8_t> packed_bytes(Random& random, int32_t groups, int32_t rows, int32_t depth) {
    auto weights = bytes<int8_t>(random, groups * int8_panels(rows) * int8_panel * int8_fours(depth) * 4);
    if (random.once_in(2))
        for (int64_t i = 0; i < static_cast<int64_t>(weights.size()); ++i) weights[i] = std::clamp<int8_t>(weights[i], -64, 63);
    for (int64_t i = 0; i < static_cast<int64_t>(weights.size()); ++i) {
        const int64_t panel = i / (16 * int8_fours(depth)), row = panel % int8_panels(rows) * int8_panel + i / 4 % 4;
        if (row >= rows || i / 16 % int8_fours(depth) * 4 + i % 4 >= depth) weights[i] = 0;
    }
    return weights;
}

inline void test_gemm_int8(Report& report, GemmInt8::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t variant = 0; variant < 32; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t rows = variant < 17 ? variant + 1 : random.between(1, 40), groups = random.of({1, 1, 2, 3});
                const int32_t depth = random.of({1, 2, 3, 4, 5, 7, 8, 9, 24, 31, 32, 33, 161});
                const Residual residual = random.of(residuals);
                Bytes arena(random);
                Tensor in = arena.add(groups * depth, pixels);
                const Tensor out = arena.add(groups * rows, pixels);
                const Tensor added = residual == Residual::in_place ? out : arena.add(groups * rows, pixels);
                arena.make();
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets), addeds = table(added.offsets);
                const auto weights = packed_bytes(random, groups, rows, depth);
                const auto all_ends = ends(random, groups * rows, depth);
                const GemmInt8 gemm{{nullptr, ins.data()}, {nullptr, outs.data()}, {nullptr, addeds.data()}, weights.data(), all_ends.data(),
                                    groups, rows, depth, pixels, have_seven_bits(weights.data(), static_cast<int64_t>(weights.size())),
                                    are_plain(all_ends.data(), static_cast<int64_t>(all_ends.size()))};
                const Guarded<uint8_t> scratch(static_cast<size_t>(gemm_int8_scratch(depth)), true, 64);
                const Range p = any_share(random, pixels, int8_block), n = any_share(random, static_cast<int32_t>(groups * int8_panels(rows)), 1);
                about = text("%d pixels [%d, %d), %d groups x %d rows, panels [%d, %d), depth %d, %s", pixels, p.first, p.last, groups, rows, n.first,
                             n.last, depth, residual_words[static_cast<int>(residual)]);
                return compare<GemmInt8>(
                    arena, gemm, out,
                    [&](GemmInt8& g, uint8_t* base) { g.in.base = g.out.base = base, g.residual.base = residual == Residual::none ? nullptr : base; },
                    [&](const GemmInt8& g) { kernel(g, scratch.data(), p.first, p.last, n.first, n.last); },
                    [&](const GemmInt8& g) { reference::gemm_int8(g, p.first, p.last, n.first, n.last); });
            });
}

}  // namespace shufflekit::testing
