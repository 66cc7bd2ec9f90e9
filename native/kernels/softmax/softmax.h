// Contract of softmax over each line (spans.h), and of its logarithm.
//
//   out[x] = exp(in[x] - m) / sum_y exp(in[y] - m),  m = max_y in[y];   logarithm: out[x] = in[x] - m - log(sum_y exp(in[y] - m))
//
// for the elements x, y of a line; `out` has the planes and pixels of `in`, which may be tight.
// Aliasing: an out plane may be the in plane of the same channel, and no other.
// A call works on groups [first_group, last_group) and their lines [first_line, last_line).
#pragma once

#include "kernels/plane.h"
#include "kernels/spans.h"

namespace shufflekit {

struct Softmax {
    Planes in;
    MutablePlanes out;
    Spans spans;
    bool logarithm;

    using Function = void(const Softmax&, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line);

    template <class Step>
    void read(Step& step) {
        spans.read(step);
        step.truth("logarithm", logarithm);
        step.written(out, spans.planes(), spans.pixels());
        step.read("in", in, spans.planes(), spans.pixels(), Overlap::same_channel, Reach::pixels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { spans.run(kernel, *this, part, parts); }
};

}  // namespace shufflekit
