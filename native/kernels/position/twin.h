// The twin and the cases of the position kernel, and what a step takes.
#pragma once

#include "kernels/position/position.h"
#include "tests/spans.h"

namespace shufflekit::reference {

inline void position(const Position& p, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line) {
    each_line(p.spans, first_group, last_group, first_line, last_line, [&](int64_t group, int64_t line) {
        int64_t number = 0, found = 0;
        double best = 0;
        each_element(p.spans, group, line, [&](int64_t plane, int64_t pixel, int64_t) {
            const double x = p.smallest ? -p.in[plane][pixel] : p.in[plane][pixel];
            const bool is_more = std::isnan(x) ? !std::isnan(best) : x > best, is_same = std::isnan(x) ? std::isnan(best) : x == best;
            if (number == 0 || is_more || (is_same && p.last)) best = x, found = number;
            ++number;
        });
        p.out[group][line] = static_cast<float>(found);
    });
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Position& p) { return double(p.spans.planes()) * p.spans.pixels() * 16; }
// Elements.
inline double written(const Position& p) { return double(p.spans.groups) * p.spans.lines(); }

inline void test_position(Report& report, Position::Function* kernel) {
    for (const int32_t edge : pixel_edges)
        for (int32_t variant = 0; variant < 12; ++variant)
            report.run([&](Random& random, std::string& about) {
                Position p{};
                p.spans = any_spans(random, edge);
                p.smallest = random.once_in(2), p.last = random.once_in(2);
                Arena arena(random);
                Tensor in = arena.add(p.spans.planes(), p.spans.pixels());
                const Tensor out = arena.add(p.spans.groups, static_cast<int32_t>(p.spans.lines()));
                arena.make();
                arena.fill(in);
                const bool some_are_same = random.once_in(2), some_are_none = random.once_in(4);
                for (const int32_t offset : in.offsets)
                    for (int64_t i = 0; i < p.spans.pixels(); ++i) {
                        float& x = arena.base()[offset + i];
                        if (some_are_same) x = std::round(x * 2);
                        if (some_are_none && random.once_in(5)) x = NAN;
                    }
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                p.in.offsets = ins.data(), p.out.offsets = outs.data();
                const SpansShare own = any_share(random, p.spans);
                about = text(p.spans, own) + (p.smallest ? ", smallest" : "") + (p.last ? ", last" : "");
                return compare<Position>(
                    arena, p, out, 0, [&](Position& p, float* base) { p.in.base = p.out.base = base; },
                    [&](const Position& p) { kernel(p, own.groups.first, own.groups.last, own.lines.first, own.lines.last); },
                    [&](const Position& p) { reference::position(p, own.groups.first, own.groups.last, own.lines.first, own.lines.last); });
            });
}

}  // namespace shufflekit::testing
