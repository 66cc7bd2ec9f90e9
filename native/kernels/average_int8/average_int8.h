// Contract of the means of planes of bytes.
//
//   out[c] = end[c](sum_p in[c][p])
//
// for 0 <= p < pixels, with `end` of int8.h, whose multiplier has the number of pixels in it. A call works on channels
// [first_channel, last_channel).
#pragma once

#include "kernels/int8.h"
#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

struct AverageInt8 {
    ReadPlanes<uint8_t> in;
    WrittenPlanes<uint8_t> out;
    const Int8End* ends;
    int32_t channels, pixels;

    using Function = void(const AverageInt8&, int32_t first_channel, int32_t last_channel);

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels), step.pixels("pixels", pixels);
        step.written(out, channels, 1);
        step.read("in", in, channels, pixels, Overlap::never, Reach::pixels);
        read_ends(step, ends, channels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(channels, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
