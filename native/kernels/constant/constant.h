// Contract of a constant: numbers of the plan as planes, where a step reads them beside what others wrote.
//
//   out[c][p] = values[c * pixels + p]
//
// Out planes may be tight. A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

struct Constant {
    MutablePlanes out;
    const float* values;
    int32_t channels, pixels;

    using Function = void(const Constant&, int32_t first_channel, int32_t last_channel);

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels), step.pixels("pixels", pixels);
        step.written(out, channels, pixels, Reach::pixels);
        step.weights("values", values, step.product("pixels", channels, pixels));
    }
    void at(const void*, void* to, const void*) { out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(channels, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
