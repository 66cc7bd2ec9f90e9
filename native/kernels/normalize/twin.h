// The twin and the cases of norms by statistics, and what a step takes.
#pragma once

#include "kernels/normalize/normalize.h"
#include "tests/spans.h"

namespace shufflekit::reference {

inline void normalize(const Normalize& n, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line) {
    each_line(n.spans, first_group, last_group, first_line, last_line, [&](int64_t group, int64_t line) {
        double mean = 0, variance = 0;
        const double count = static_cast<double>(n.spans.elements());
        if (n.centred) each_element(n.spans, group, line, [&](int64_t plane, int64_t pixel, int64_t) { mean += n.in[plane][pixel] / count; });
        each_element(n.spans, group, line, [&](int64_t plane, int64_t pixel, int64_t) {
            const double x = n.in[plane][pixel] - mean;
            variance += x * x / count;
        });
        each_element(n.spans, group, line, [&](int64_t plane, int64_t pixel, int64_t r) {
            const int64_t at = plane % n.scale_planes * n.scale_length + r % n.scale_length;
            const double x = (n.in[plane][pixel] - mean) / std::sqrt(variance + n.eps) * n.scale[at] + n.shift[at];
            n.out[plane][pixel] = static_cast<float>(activate(x, n.epilogue));
        });
    });
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Normalize& n) { return double(n.spans.planes()) * n.spans.pixels() * 64; }
// Elements.
inline double written(const Normalize& n) { return double(n.spans.planes()) * n.spans.pixels(); }

inline void test_normalize(Report& report, Normalize::Function* kernel) {
    for (const int32_t edge : pixel_edges)
        for (int32_t variant = 0; variant < 8; ++variant)
            report.run([&](Random& random, std::string& about) {
                Normalize n{};
                n.spans = any_spans(random, edge);
                n.centred = random.once_in(2), n.eps = 0.01f;
                n.scale_planes = random.of({1, n.spans.count, static_cast<int32_t>(n.spans.planes())});
                n.scale_length = random.once_in(2) ? 1 : n.spans.length;
                const auto scale = numbers(random, int64_t{n.scale_planes} * n.scale_length), shift = numbers(random, int64_t{n.scale_planes} * n.scale_length);
                n.scale = scale.data(), n.shift = shift.data();
                n.epilogue = any_epilogue(random);
                const bool in_place = random.once_in(2);
                Arena arena(random);
                const Tensor in = arena.add(n.spans.planes(), n.spans.pixels()), out = in_place ? in : arena.add(n.spans.planes(), n.spans.pixels());
                arena.make();
                arena.fill(in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                n.in.offsets = ins.data(), n.out.offsets = outs.data();
                const SpansShare own = any_share(random, n.spans);
                about = text(n.spans, own) + text(", scales %dx%d%s%s, activation %d", n.scale_planes, n.scale_length, n.centred ? ", centred" : "",
                                                  in_place ? ", in place" : "", static_cast<int>(n.epilogue.activation));
                return compare<Normalize>(
                    arena, n, out, tolerance(64), [&](Normalize& n, float* base) { n.in.base = n.out.base = base; },
                    [&](const Normalize& n) { kernel(n, own.groups.first, own.groups.last, own.lines.first, own.lines.last); },
                    [&](const Normalize& n) { reference::normalize(n, own.groups.first, own.groups.last, own.lines.first, own.lines.last); });
            });
}

}  // namespace shufflekit::testing
