// The twin and the cases of the GEMM of bytes whose result is float32, and what a step takes.
#pragma once

#include "kernels/gemm_int8/twin.h"
#include "kernels/gemm_int8_float/gemm_int8_float.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void gemm_int8_float(const GemmInt8Float& g, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    each_sum(g, first_pixel, last_pixel, first_panel, last_panel, [&](int64_t channel, int64_t p, int64_t sum) {
        const float x = static_cast<float>(sum + g.ends[channel].bias) * g.ends[channel].multiplier;
        g.out[channel][p] = g.epilogue.activation == Activation::none ? x : static_cast<float>(activate(x, g.epilogue.of(channel)));
    });
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const GemmInt8Float& g) { return double(g.groups) * g.rows * (g.depth + 16.0) * g.pixels; }
// Elements.
inline double written(const GemmInt8Float& g) { return double(g.groups) * g.rows * g.pixels; }

inline void test_gemm_int8_float(Report& report, GemmInt8Float::Function* kernel) {
    for (const int32_t pixels : pixel_edges)
        for (int32_t variant = 0; variant < 16; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t rows = variant < 9 ? variant + 1 : random.between(1, 40), groups = random.of({1, 1, 2, 3});
                const int32_t depth = random.of({1, 2, 3, 4, 5, 7, 8, 9, 24, 31, 32, 33, 161});
                Bytes bytes(random);
                Tensor in = bytes.add(groups * depth, pixels);
                bytes.make();
                repeat_some(random, in);
                Arena arena(random);
                const Tensor out = arena.add(groups * rows, pixels);
                arena.make();
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const auto weights = packed_bytes(random, groups, rows, depth);
                const auto all_ends = ends(random, groups * rows, depth);
                const Epilogue epilogue = random.once_in(2) ? Epilogue{} : any_epilogue(random);
                const GemmInt8Float gemm{{bytes.base(), ins.data()}, {nullptr, outs.data()}, weights.data(), all_ends.data(), groups, rows, depth, pixels,
                                         epilogue, have_seven_bits(weights.data(), static_cast<int64_t>(weights.size()))};
                const Guarded<uint8_t> scratch(static_cast<size_t>(gemm_int8_scratch(depth)), true, 64);
                const Range p = any_share(random, pixels, int8_block), n = any_share(random, static_cast<int32_t>(groups * int8_panels(rows)), 1);
                about = text("%d pixels [%d, %d), %d groups x %d rows, panels [%d, %d), depth %d, activation %d", pixels, p.first, p.last, groups, rows,
                             n.first, n.last, depth, static_cast<int>(epilogue.activation));
                return compare<GemmInt8Float>(
                    arena, gemm, out, epilogue.activation == Activation::none ? 0 : 1e-5, [&](GemmInt8Float& g, float* base) { g.out.base = base; },
                    [&](const GemmInt8Float& g) { kernel(g, scratch.data(), p.first, p.last, n.first, n.last); },
                    [&](const GemmInt8Float& g) { reference::gemm_int8_float(g, p.first, p.last, n.first, n.last); });
            });
}

}  // namespace shufflekit::testing
