// Contract of elements by computed numbers: each row of the output is the row of the input, or part of it, that an index names.
//
//   out[g][k * inner + i] = in[g][n * inner + i], n = index[g][k * of_index + (of_index > 1 ? i : 0)]
//
// for k < count and i < inner; of_index is 1, or inner. Where n is none of 0, 1, ... length - 1 it is 0. Aliasing: none.
// A call works on groups [first_group, last_group).
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

struct Pick {
    Planes in, index;
    MutablePlanes out;
    int32_t groups, length, inner, count, of_index;

    using Function = void(const Pick&, int32_t first_group, int32_t last_group);

    template <class Step>
    void read(Step& step) {
        step.count("groups", groups), step.pixels("length", length), step.pixels("inner", inner), step.pixels("count", count);
        step.pixels("of_index", of_index);
        step.require(of_index == 1 || of_index == inner, "of_index", "1 or inner");
        step.written(out, groups, step.product("count", count, inner), Reach::pixels);
        step.read("in", in, groups, step.product("length", length, inner), Overlap::never, Reach::pixels);
        step.read("index", index, groups, step.product("count", count, of_index), Overlap::never, Reach::pixels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), index.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(groups, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
