// The twin and the cases of the places of the largest, and what a step takes.
#pragma once

#include <algorithm>
#include <numeric>

#include "kernels/top_k/top_k.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

// Places of a line's elements, the first in order first.
inline std::vector<int32_t> ranked(const float* in, int64_t length, bool smallest) {
    std::vector<int32_t> places(length);
    std::iota(places.begin(), places.end(), 0);
    std::stable_sort(places.begin(), places.end(), [&](int32_t a, int32_t b) {
        const bool larger = std::isnan(in[a]) ? !std::isnan(in[b]) : in[a] > in[b], less = std::isnan(in[b]) ? !std::isnan(in[a]) : in[a] < in[b];
        return smallest ? less : larger;
    });
    return places;
}

inline void top_k(const TopK& t, int32_t first_line, int32_t last_line) {
    for (int64_t line = first_line; line < last_line; ++line) {
        const int64_t channel = line / t.lines, at = line % t.lines;
        const auto places = ranked(t.in[channel] + at * t.length, t.length, t.smallest);
        for (int32_t j = 0; j < t.kept; ++j) t.out[channel][at * t.kept + j] = static_cast<float>(places[j]);
    }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const TopK& t) {
    return double(t.channels) * t.lines * (double(t.length) + t.kept) * 8 * (2 + std::log2(double(t.kept)));
}
// Elements.
inline double written(const TopK& t) { return double(t.channels) * t.lines * t.kept; }

inline void test_top_k(Report& report, TopK::Function* kernel) {
    for (const int32_t length : pixel_edges)
        for (int32_t variant = 0; variant < 8; ++variant)
            report.run([&](Random& random, std::string& about) {
                TopK t{};
                t.channels = random.between(1, 3), t.lines = random.between(1, 3), t.length = length;
                t.kept = variant % 4 == 0 ? length : random.between(1, length), t.smallest = variant % 2;
                Arena arena(random);
                Tensor in = arena.add(t.channels, t.lines * length);
                const Tensor out = arena.add(t.channels, t.lines * t.kept);
                arena.make();
                arena.fill(in);
                const bool some_are_same = random.once_in(2), some_are_none = random.once_in(4);
                for (const int32_t offset : in.offsets)
                    for (int32_t i = 0; i < t.lines * length; ++i) {
                        float& x = arena.base()[offset + i];
                        if (some_are_same) x = std::round(x * 3);
                        if (some_are_none && random.once_in(5)) x = NAN;
                    }
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                t.in.offsets = ins.data(), t.out.offsets = outs.data();
                Guarded<float> scratch(static_cast<size_t>(t.scratch()), true);
                const Range l = any_share(random, t.channels * t.lines, 1);
                about = text("%d of %d x %d x %d%s, lines [%d, %d)", t.kept, t.channels, t.lines, length, t.smallest ? ", smallest" : "", l.first, l.last);
                return compare<TopK>(
                    arena, t, out, 0, [&](TopK& t, float* base) { t.in.base = t.out.base = base; },
                    [&](const TopK& t) { kernel(t, scratch.data(), l.first, l.last); },
                    [&](const TopK& t) { reference::top_k(t, l.first, l.last); });
            });
}

}  // namespace shufflekit::testing
