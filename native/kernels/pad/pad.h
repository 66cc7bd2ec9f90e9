// Contract of padding by a number. In and out planes may be tight.
//
//   out[c][y, x] = in[c][y - top, x - left], or value outside of the input
//
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

struct Pad {
    Planes in;
    MutablePlanes out;
    int32_t channels, in_height, in_width, out_height, out_width, top, left;
    float value;

    using Function = void(const Pad&, int32_t first_channel, int32_t last_channel);

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels);
        step.pixels("in_height", in_height), step.pixels("in_width", in_width);
        step.pixels("out_height", out_height), step.pixels("out_width", out_width);
        step.whole("top", top, 0, out_height), step.whole("left", left, 0, out_width);
        step.real("value", value);
        step.require(int64_t{top} + in_height <= out_height, "top", "small enough for out_height");
        step.require(int64_t{left} + in_width <= out_width, "left", "small enough for out_width");
        step.written(out, channels, step.product("out_height", out_height, out_width), Reach::pixels);
        step.read("in", in, channels, int64_t{in_height} * in_width, Overlap::never, Reach::pixels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(channels, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
