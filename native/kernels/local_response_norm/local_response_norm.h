// Contract of local response normalisation over neighbouring channels (AlexNet, GoogLeNet).
//
//   out[c][p] = in[c][p] / (bias + scale * sum_d in[d][p]^2)^(quarters / 4),  c - size / 2 <= d <= c + (size - 1) / 2, 0 <= d < channels
//
// Powers of a quarter need square roots only. A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

struct LocalResponseNorm {
    Planes in;
    MutablePlanes out;
    int32_t channels, pixels, size, quarters;
    float scale, bias;

    using Function = void(const LocalResponseNorm&, int32_t first_channel, int32_t last_channel);

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels), step.pixels("pixels", pixels);
        step.written(out, channels, pixels);
        step.read("in", in, channels, pixels, Overlap::never, Reach::whole_vectors);
        step.count("size", size), step.whole("quarters", quarters, 1, 16);
        step.real("scale", scale), step.real("bias", bias);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(channels, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
