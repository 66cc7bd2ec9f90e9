// The twin and the cases of the gather, and what a step takes.
#pragma once

#include "kernels/gather/gather.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void gather(const Gather& g, int64_t first_row, int64_t last_row) {
    for (int64_t element = first_row * g.columns(); element < last_row * g.columns(); ++element) {
        int64_t plane = 0, offset = g.first, rest = element;
        for (int32_t d = g.rank - 1; d >= 0; rest /= g.sizes[d--]) plane += rest % g.sizes[d] * g.steps[d], offset += rest % g.sizes[d] * g.strides[d];
        g.out[element / g.pixels][element % g.pixels] = g.in[plane][offset];
    }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Gather& g) { return double(g.channels) * g.pixels * 4; }
// Elements.
inline double written(const Gather& g) { return double(g.channels) * g.pixels; }

// Two or more digits: sizes of the last two around those of vectors; each steps from plane to plane, along a plane, both ways or not at all.
inline void test_gather(Report& report, Gather::Function* kernel) {
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 60; ++variant)
            report.run([&](Random& random, std::string& about) {
                Gather g{};
                g.rank = random.between(1, 5);
                int32_t count = 1;
                for (int32_t d = 0; d < g.rank; ++d) {
                    g.sizes[d] = d == g.rank - 1 ? width : d == g.rank - 2 ? random.of({1, 2, 3, 15, 16, 17, 33}) : random.between(1, 3);
                    count *= g.sizes[d];
                }
                const int32_t outer = g.rank > 1 ? random.below(g.rank) : 0;  // so many digits count planes
                g.channels = 1;
                for (int32_t d = 0; d < outer; ++d) g.channels *= g.sizes[d];
                g.pixels = count / g.channels;
                const int32_t unit = random.below(g.rank);  // along which elements are neighbours, mostly
                int32_t planes = 1, most = 0;
                for (int32_t d = 0; d < g.rank; ++d) {
                    if (variant % 4 && d == unit) g.strides[d] = 1;
                    else if (random.once_in(2)) g.steps[d] = random.between(1, 2);
                    else g.strides[d] = random.between(-3, 3);
                    planes += g.steps[d] * (g.sizes[d] - 1);
                    (g.strides[d] < 0 ? g.first : most) += std::abs(g.strides[d]) * (g.sizes[d] - 1);
                }
                g.planes = planes, most += g.first;
                Arena input(random, random.once_in(2)), output(random, random.once_in(2));
                Tensor in = input.add(planes, most + 1);
                const Tensor out = output.add(g.channels, g.pixels);
                input.make(), output.make();
                input.fill(in);
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                g.in = {input.base(), ins.data()}, g.out = {nullptr, outs.data()};
                const Range r = any_share(random, static_cast<int32_t>(g.rows()), 1);
                about = text("rows [%d, %d) of %d planes of %d;", r.first, r.last, g.channels, g.pixels);
                for (int32_t d = 0; d < g.rank; ++d) about += text(" %d: step %d stride %d", g.sizes[d], g.steps[d], g.strides[d]);
                return compare<Gather>(
                    output, g, out, 0, [&](Gather& g, float* base) { g.out.base = base; },
                    [&](const Gather& g) { kernel(g, r.first, r.last); }, [&](const Gather& g) { reference::gather(g, r.first, r.last); });
            });
}

}  // namespace shufflekit::testing
