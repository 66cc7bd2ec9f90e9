// What sums over channels, rows, columns, or several of these read: lines of elements that belong together.
//
// Planes come in groups of `count`, one group behind another, and a plane is cut into outer x length x inner pixels. A line (g, o, i)
// has the elements in[g * count + k][(o * length + r) * inner + i] for all k < count and r < length: with inner = 1 its parts lie
// in one piece, with length = 1 one pixel of each plane belongs to it. Lines are numbered o * inner + i within their group.
#pragma once

#include "kernels/step.h"

namespace shufflekit {

struct Spans {
    int32_t groups, count, outer, length, inner;

    constexpr int64_t planes() const { return int64_t{groups} * count; }
    constexpr int64_t pixels() const { return int64_t{outer} * length * inner; }
    constexpr int64_t lines() const { return int64_t{outer} * inner; }
    constexpr int64_t elements() const { return int64_t{count} * length; }  // of a line

    template <class Step>
    void read(Step& step) {
        step.count("groups", groups), step.count("count", count);
        step.pixels("outer", outer), step.pixels("length", length), step.pixels("inner", inner);
        step.product("outer", step.product("length", length, inner), outer);
        step.require(planes() <= (1 << 24), "count", "smaller: with the groups it is too many planes");
    }

    // kernel(arguments, groups, lines): some groups each, or where there are few of them some lines of all.
    template <class Function, class Arguments>
    void run(Function* kernel, const Arguments& arguments, int part, int parts) const {
        const bool by_group = groups >= 4 * parts;
        const Range g = by_group ? share(groups, 1, part, parts) : Range{0, groups};
        const Range l = by_group ? Range{0, static_cast<int32_t>(lines())} : share(lines(), inner == 1 ? 1 : 16, part, parts);
        if (g.first < g.last && l.first < l.last) kernel(arguments, g.first, g.last, l.first, l.last);
    }

    // task(at, lines, line) for some lines side by side at a time: where in a plane the first of them begins, how many there are, up
    // to `most`, and the first one's number.
    template <class Task>
    [[gnu::always_inline]] void each(int32_t first_line, int32_t last_line, int64_t most, Task task) const {
        for (int64_t line = first_line; line < last_line;) {
            const int64_t o = line / inner, i = line % inner;
            int64_t lines = inner - i < most ? inner - i : most;
            if (lines > last_line - line) lines = last_line - line;
            task(o * length * inner + i, lines, line);
            line += lines;
        }
    }
};

}  // namespace shufflekit
