// Contract of the affine kernel: a batch norm that could not be folded, sums and products with constants, an activation by itself.
//
//   out[c][p] = act(in[c][p] * scale[c] + shift[c])
//
// Input planes may be tight. Aliasing: an out plane may be the in plane of the same channel, and no other.
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/activation.h"
#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

struct Affine {
    Planes in;
    MutablePlanes out;
    const float* scale;
    const float* shift;
    int32_t channels, pixels;
    Epilogue epilogue;

    using Function = void(const Affine&, int32_t first_channel, int32_t last_channel);

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels), step.pixels("pixels", pixels);
        step.written(out, channels, pixels);
        step.read("in", in, channels, pixels, Overlap::same_channel, Reach::pixels);
        step.weights("scale", scale, channels), step.weights("shift", shift, channels);
        step.epilogue(epilogue, channels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(channels, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
