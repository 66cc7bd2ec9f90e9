// Contract of softmax over channels, for each pixel by itself.
//
//   out[c][p] = exp(in[c][p] - m) / sum_d exp(in[d][p] - m),  m = max_d in[d][p]
//
// Aliasing: an out plane may be the in plane of the same channel, and no other.
// A call works on pixels [first_pixel, last_pixel).
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

struct Softmax {
    Planes in;
    MutablePlanes out;
    int32_t channels, pixels;

    using Function = void(const Softmax&, int32_t first_pixel, int32_t last_pixel);

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels), step.pixels("pixels", pixels);
        step.written(out, channels, pixels);
        step.read("in", in, channels, pixels, Overlap::same_channel, Reach::whole_vectors);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(pixels, plane_alignment, part, parts), kernel, *this); }
};

}  // namespace shufflekit
