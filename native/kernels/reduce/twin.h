// The twin and the cases of reductions, and what a step takes.
#pragma once

#include "kernels/reduce/reduce.h"
#include "tests/spans.h"

namespace shufflekit::reference {

inline void reduce(const Reduce& r, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line) {
    constexpr double starts[] = {0, 0, 0, -INFINITY, INFINITY, 1};
    each_line(r.spans, first_group, last_group, first_line, last_line, [&](int64_t group, int64_t line) {
        double result = starts[static_cast<int32_t>(r.reduction)];
        each_element(r.spans, group, line, [&](int64_t plane, int64_t pixel, int64_t) {
            const double x = r.in[plane][pixel];
            switch (r.reduction) {
                case Reduction::sum: result += x; break;
                case Reduction::sum_of_sizes: result += std::fabs(x); break;
                case Reduction::sum_of_squares: result += x * x; break;
                case Reduction::maximum: result = larger(result, x); break;
                case Reduction::minimum: result = -larger(-result, -x); break;
                case Reduction::product: result *= x; break;
            }
        });
        r.out[group][line] = static_cast<float>(activate(result * r.scale, r.epilogue));
    });
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Reduce& r) { return double(r.spans.planes()) * r.spans.pixels() * 4 + double(r.spans.groups) * r.spans.lines() * 64; }
// Elements.
inline double written(const Reduce& r) { return double(r.spans.groups) * r.spans.lines(); }

inline void test_reduce(Report& report, Reduce::Function* kernel) {
    for (const int32_t edge : pixel_edges)
        for (int32_t reduction = 0; reduction < 2 * reductions; ++reduction)
            report.run([&](Random& random, std::string& about) {
                Reduce r{};
                r.spans = any_spans(random, edge);
                r.reduction = static_cast<Reduction>(reduction % reductions);
                r.scale = random.once_in(2) ? 1 : 1 / static_cast<float>(r.spans.elements());
                r.epilogue = any_epilogue(random);
                Arena arena(random);
                const Tensor in = arena.add(r.spans.planes(), r.spans.pixels()), out = arena.add(r.spans.groups, r.spans.lines());
                arena.make();
                arena.fill(in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                r.in.offsets = ins.data(), r.out.offsets = outs.data();
                const SpansShare own = any_share(random, r.spans);
                about = text(r.spans, own) + text(", %s, activation %d", reduction_words[reduction % reductions], static_cast<int>(r.epilogue.activation));
                return compare<Reduce>(
                    arena, r, out, tolerance(64), [&](Reduce& r, float* base) { r.in.base = r.out.base = base; },
                    [&](const Reduce& r) { kernel(r, own.groups.first, own.groups.last, own.lines.first, own.lines.last); },
                    [&](const Reduce& r) { reference::reduce(r, own.groups.first, own.groups.last, own.lines.first, own.lines.last); });
            });
}

}  // namespace shufflekit::testing
