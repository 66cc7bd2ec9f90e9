// Contract of quantizing: float32 planes to bytes.
//
//   out[c][p] = zero_point[c] + round(clamp(in[c][p] / scale[c], -zero_point[c], 255 - zero_point[c]))
//
// with halves to the even number; NaN becomes 0. Input planes may be tight. A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

struct Quantize {
    Planes in;
    WrittenPlanes<uint8_t> out;
    const float* scale;
    const uint8_t* zero_point;
    int32_t channels, pixels;

    using Function = void(const Quantize&, int32_t first_channel, int32_t last_channel);

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels), step.pixels("pixels", pixels);
        step.written(out, channels, pixels);
        step.read("in", in, channels, pixels, Overlap::never, Reach::pixels);
        step.weights("scale", scale, channels), step.weights("zero_point", zero_point, channels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(channels, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
