// The twin and the cases of non-maximum suppression, and what a step takes.
#pragma once

#include "kernels/suppress/suppress.h"
#include "kernels/top_k/twin.h"

namespace shufflekit::reference {

// Shared area over covered area, 0 where one has none.
inline double shared(const Suppress& s, int32_t a, int32_t b) {
    double low[2][2], high[2][2], area[2] = {1, 1}, both = 1;
    for (int i = 0; i < 2; ++i)
        for (int axis = 0; axis < 2; ++axis) {
            const float* box = s.in[0] + int64_t{4} * (i ? b : a);
            const double first = s.centred ? box[axis] - box[axis + 2] / 2.0 : box[axis], last = s.centred ? box[axis] + box[axis + 2] / 2.0 : box[axis + 2];
            low[i][axis] = s.centred ? first : std::min(first, last), high[i][axis] = s.centred ? last : std::max(first, last);
            area[i] *= high[i][axis] - low[i][axis];
        }
    for (int axis = 0; axis < 2; ++axis)
        both *= std::max(0.0, std::min(high[0][axis], high[1][axis]) - std::max(low[0][axis], low[1][axis]));
    return both > 0 && area[0] > 0 && area[1] > 0 ? both / (area[0] + area[1] - both) : 0;
}

inline void suppress(const Suppress& s) {
    std::vector<float> rows;
    for (int32_t number = 0; number < s.classes; ++number) {
        std::vector<int32_t> taken;
        for (const int32_t box : ranked(s.scores[number], s.boxes, false)) {
            const bool is_free = std::all_of(taken.begin(), taken.end(), [&](int32_t other) { return !(shared(s, box, other) > s.overlap); });
            if (static_cast<int32_t>(taken.size()) < s.most && s.scores[number][box] > s.least && is_free) taken.push_back(box);
        }
        for (const int32_t box : taken) rows.insert(rows.end(), {0.0f, static_cast<float>(number), static_cast<float>(box)});
    }
    rows.resize(size_t{3} * s.classes * s.most, -1);
    std::copy(rows.begin(), rows.end(), s.out[0]);
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Suppress& s) {
    return double(s.classes) * s.boxes * (8 * (2 + std::log2(double(s.boxes))) + 16.0 * s.most) + 3.0 * s.classes * s.most;
}
// Elements.
inline double written(const Suppress& s) { return 3.0 * s.classes * s.most; }

inline void test_suppress(Report& report, Suppress::Function* kernel) {
    for (const int32_t boxes : pixel_edges)
        for (int32_t variant = 0; variant < 6; ++variant)
            report.run([&](Random& random, std::string& about) {
                Suppress s{};
                s.boxes = boxes, s.classes = random.between(1, 4), s.most = variant % 3 == 0 ? boxes : random.between(1, boxes);
                s.centred = variant % 2, s.overlap = random.of({0.0f, 0.3f, 0.5f, 1.0f}), s.least = random.of({-INFINITY, 0.0f, 0.5f});
                Arena arena(random);
                Tensor in = arena.add(1, 4 * boxes), scores = arena.add(s.classes, boxes);
                const Tensor out = arena.add(1, 3 * s.classes * s.most);
                arena.make();
                arena.fill(in), arena.fill(scores);
                // Whole numbers, whose areas are exact: many boxes are the same or have no area.
                const bool some_are_same = random.once_in(2), some_are_none = random.once_in(4);
                for (int32_t i = 0; i < 4 * boxes; ++i) {
                    float& x = arena.base()[in.offsets[0] + i];
                    x = s.centred ? 2 * std::round(x * 6) : std::round(x * 12);
                    if (some_are_none && random.once_in(20)) x = NAN;
                }
                for (const int32_t offset : scores.offsets)
                    for (int32_t i = 0; i < boxes; ++i) {
                        float& x = arena.base()[offset + i];
                        if (some_are_same) x = std::round(x * 4) / 4;
                        if (some_are_none && random.once_in(6)) x = random.of({NAN, INFINITY});
                    }
                repeat_some(random, scores);
                const auto ins = table(in.offsets), all = table(scores.offsets), outs = table(out.offsets);
                s.in.offsets = ins.data(), s.scores.offsets = all.data(), s.out.offsets = outs.data();
                Guarded<float> scratch(static_cast<size_t>(s.scratch()), true);
                about = text("%d of %d boxes, %d classes, %g shared, more than %g%s", s.most, boxes, s.classes, s.overlap, s.least, s.centred ? ", centred" : "");
                return compare<Suppress>(
                    arena, s, out, 0, [&](Suppress& s, float* base) { s.in.base = s.scores.base = s.out.base = base; },
                    [&](const Suppress& s) { kernel(s, scratch.data()); }, [&](const Suppress& s) { reference::suppress(s); });
            });
}

}  // namespace shufflekit::testing
