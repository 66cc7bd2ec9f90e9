// Contract of the position kernel: where in each line (spans.h) its largest or smallest element is. Input planes may be tight.
//
//   out[g][line] = k * length + r of the first element, or with `last` the last one, that no other is larger (or smaller) than
//
// as a float, which is exact: a line has fewer than 2^24 elements. A NaN is larger and smaller than any number.
// A call works on groups [first_group, last_group) and their lines [first_line, last_line).
#pragma once

#include "kernels/plane.h"
#include "kernels/spans.h"

namespace shufflekit {

struct Position {
    Planes in;
    MutablePlanes out;
    Spans spans;
    bool smallest, last;

    using Function = void(const Position&, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line);

    template <class Step>
    void read(Step& step) {
        spans.read(step);
        step.truth("smallest", smallest), step.truth("last", last);
        step.require(spans.elements() < (1 << 24), "length", "smaller: with count it is a number that no float holds");
        step.written(out, spans.groups, spans.lines());
        step.read("in", in, spans.planes(), spans.pixels(), Overlap::never, Reach::pixels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { spans.run(kernel, *this, part, parts); }
};

}  // namespace shufflekit
