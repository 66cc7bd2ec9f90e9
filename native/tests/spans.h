// Lines of planes (kernels/spans.h) in plain loops, and any of them for the tests.
#pragma once

#include "kernels/spans.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

template <class Task>
void each_line(const Spans&, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line, Task task) {
    for (int64_t group = first_group; group < last_group; ++group)
        for (int64_t line = first_line; line < last_line; ++line) task(group, line);
}

// task(plane, pixel, r) for each element of a line.
template <class Task>
void each_element(const Spans& s, int64_t group, int64_t line, Task task) {
    for (int64_t k = 0; k < s.count; ++k)
        for (int64_t r = 0; r < s.length; ++r) task(group * s.count + k, (line / s.inner * s.length + r) * s.inner + line % s.inner, r);
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

struct SpansShare {
    Range groups, lines;
};

// One size around the edges of all tiles, the others small.
inline Spans any_spans(Random& random, int32_t edge) {
    Spans s{random.between(1, 3), random.between(1, 4), 1, 1, 1};
    const auto few = [&] { return random.once_in(2) ? 1 : random.between(1, 5); };
    switch (random.below(4)) {
        case 0: s.length = edge, s.outer = few(); break;
        case 1: s.inner = edge, s.outer = few(), s.length = few(); break;
        case 2: s.count = edge, s.inner = few(), s.length = few(); break;
        default: s.outer = edge, s.length = few(), s.inner = few();
    }
    return s;
}

inline SpansShare any_share(Random& random, const Spans& s) {
    return {any_share(random, s.groups, 1), any_share(random, static_cast<int32_t>(s.lines()), s.inner == 1 ? 1 : 16)};
}

inline std::string text(const Spans& s, const SpansShare& own) {
    return text("%d x %d planes of %d x %d x %d, groups [%d, %d), lines [%d, %d)", s.groups, s.count, s.outer, s.length, s.inner, own.groups.first,
                own.groups.last, own.lines.first, own.lines.last);
}

}  // namespace shufflekit::testing
