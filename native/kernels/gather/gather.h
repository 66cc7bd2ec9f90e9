// Contract of the gather: the one kernel that only moves data. It writes out the network's outputs, cuts regions out of planes, and
// brings the input in where its first reader cannot take it as it lies. In and out planes may be tight.
//
//   out[c][y, x] = in[c][(y * step_y + first_y) * in_width + x * step_x + first_x]
//
// for 0 <= y < out_height, 0 <= x < out_width. Nothing outside of these planes' pixels is read or written.
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

struct Gather {
    Planes in;
    MutablePlanes out;
    int32_t channels;
    int32_t in_width, out_height, out_width;
    int32_t first_y, first_x, step_y, step_x;

    using Function = void(const Gather&, int32_t first_channel, int32_t last_channel);

    template <class Step>
    void read(Step& step) {
        int32_t in_height;
        step.count("channels", channels), step.pixels("in_height", in_height), step.pixels("in_width", in_width);
        step.whole("out_height", out_height, 1, in_height), step.whole("out_width", out_width, 1, in_width);
        step.whole("first_y", first_y, 0, in_height), step.whole("first_x", first_x, 0, in_width);
        step.pixels("step_y", step_y), step.pixels("step_x", step_x);
        step.require(first_y + int64_t{step_y} * (out_height - 1) < in_height, "out_height", "small enough for in_height");
        step.require(first_x + int64_t{step_x} * (out_width - 1) < in_width, "out_width", "small enough for in_width");
        const int64_t in_pixels = step.product("in_height", in_height, in_width);
        step.written(out, channels, int64_t{out_height} * out_width, Reach::pixels);
        step.read("in", in, channels, in_pixels, Overlap::never, Reach::pixels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(channels, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
