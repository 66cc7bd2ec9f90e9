// The twin and the cases of elements by computed numbers, and what a step takes.
#pragma once

#include "kernels/pick/pick.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void pick(const Pick& p, int32_t first_group, int32_t last_group) {
    for (int64_t group = first_group; group < last_group; ++group)
        for (int64_t k = 0; k < p.count; ++k)
            for (int64_t i = 0; i < p.inner; ++i) {
                const double number = p.index[group][k * p.of_index + (p.of_index > 1 ? i : 0)];
                float& out = p.out[group][k * p.inner + i] = 0;
                for (int64_t n = 0; n < p.length; ++n)
                    if (number == static_cast<double>(n)) out = p.in[group][n * p.inner + i];
            }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Pick& p) { return double(p.groups) * p.count * (p.inner + 4.0) * 4; }
// Elements.
inline double written(const Pick& p) { return double(p.groups) * p.count * p.inner; }

inline void test_pick(Report& report, Pick::Function* kernel) {
    for (const int32_t edge : side_edges)
        for (int32_t variant = 0; variant < 8; ++variant)
            report.run([&](Random& random, std::string& about) {
                Pick p{};
                p.groups = random.between(1, 4), p.length = random.between(1, 40), p.inner = edge, p.count = random.between(1, 12);
                if (variant % 4 == 3) p.inner = random.between(1, 4), p.count = edge;
                p.of_index = variant % 2 ? p.inner : 1;
                Arena arena(random);
                Tensor in = arena.add(p.groups, p.length * p.inner), index = arena.add(p.groups, p.count * p.of_index);
                const Tensor out = arena.add(p.groups, p.count * p.inner);
                arena.make();
                arena.fill(in), arena.fill(index);
                for (const int32_t offset : index.offsets)
                    for (int32_t i = 0; i < p.count * p.of_index; ++i) {
                        float& x = arena.base()[offset + i];
                        x = static_cast<float>(random.below(p.length));
                        if (random.once_in(8)) x = random.of({-1.0f, 0.5f, NAN, INFINITY, -INFINITY, static_cast<float>(p.length)});
                    }
                repeat_some(random, in), repeat_some(random, index);
                const auto ins = table(in.offsets), indices = table(index.offsets), outs = table(out.offsets);
                p.in.offsets = ins.data(), p.index.offsets = indices.data(), p.out.offsets = outs.data();
                const Range g = any_share(random, p.groups, 1);
                about = text("%d of %d x %d, %d numbers a row, groups [%d, %d)", p.count, p.length, p.inner, p.of_index, g.first, g.last);
                return compare<Pick>(
                    arena, p, out, 0, [&](Pick& p, float* base) { p.in.base = p.index.base = p.out.base = base; },
                    [&](const Pick& p) { kernel(p, g.first, g.last); }, [&](const Pick& p) { reference::pick(p, g.first, g.last); });
            });
}

}  // namespace shufflekit::testing
