// The twin and the cases of the softmax, and what a step takes.
#pragma once

#include "kernels/softmax/softmax.h"
#include "tests/spans.h"

namespace shufflekit::reference {

inline void softmax(const Softmax& s, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line) {
    each_line(s.spans, first_group, last_group, first_line, last_line, [&](int64_t group, int64_t line) {
        double most = -INFINITY, sum = 0;
        each_element(s.spans, group, line, [&](int64_t plane, int64_t pixel, int64_t) { most = std::max<double>(most, s.in[plane][pixel]); });
        each_element(s.spans, group, line, [&](int64_t plane, int64_t pixel, int64_t) { sum += std::exp(s.in[plane][pixel] - most); });
        each_element(s.spans, group, line, [&](int64_t plane, int64_t pixel, int64_t) {
            const double less = s.in[plane][pixel] - most;
            s.out[plane][pixel] = static_cast<float>(s.logarithm ? less - std::log(sum) : std::exp(less) / sum);
        });
    });
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Softmax& s) { return double(s.spans.planes()) * s.spans.pixels() * 64; }
// Elements.
inline double written(const Softmax& s) { return double(s.spans.planes()) * s.spans.pixels(); }

inline void test_softmax(Report& report, Softmax::Function* kernel) {
    for (const int32_t edge : pixel_edges)
        for (int32_t variant = 0; variant < 8; ++variant)
            report.run([&](Random& random, std::string& about) {
                Softmax s{};
                s.spans = any_spans(random, edge);
                s.logarithm = random.once_in(2);
                const bool in_place = random.once_in(2);
                Arena arena(random);
                const Tensor in = arena.add(s.spans.planes(), s.spans.pixels()), out = in_place ? in : arena.add(s.spans.planes(), s.spans.pixels());
                arena.make();
                arena.fill(in, random.of({1.0f, 30.0f, 1000.0f}));
                const auto ins = table(in.offsets), outs = table(out.offsets);
                s.in.offsets = ins.data(), s.out.offsets = outs.data();
                const SpansShare own = any_share(random, s.spans);
                about = text(s.spans, own) + (s.logarithm ? ", logarithm" : "") + (in_place ? ", in place" : "");
                return compare<Softmax>(
                    arena, s, out, 1e-6, [&](Softmax& s, float* base) { s.in.base = s.out.base = base; },
                    [&](const Softmax& s) { kernel(s, own.groups.first, own.groups.last, own.lines.first, own.lines.last); },
                    [&](const Softmax& s) { reference::softmax(s, own.groups.first, own.groups.last, own.lines.first, own.lines.last); });
            });
}

}  // namespace shufflekit::testing
