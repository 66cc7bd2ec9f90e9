// Contract of resampling along one side: each row of the output is a sum of some rows of the input. Input planes may be tight.
//
//   out[c][(o * out_length + q) * inner + i] = sum_t weights[q * taps + t] * in[c][(o * length + places[q * taps + t]) * inner + i]
//
// for o < outer, q < out_length, i < inner, t < taps. Aliasing: none. A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

struct Resample {
    Planes in;
    MutablePlanes out;
    int32_t channels, outer, length, inner, out_length, taps;
    const int32_t* places;
    const float* weights;

    using Function = void(const Resample&, int32_t first_channel, int32_t last_channel);

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels);
        step.pixels("outer", outer), step.side("length", length), step.pixels("inner", inner), step.side("out_length", out_length);
        step.side("taps", taps);
        const int64_t lines = step.product("outer", outer, inner), numbers = step.product("taps", out_length, taps);
        step.written(out, channels, step.product("out_length", lines, out_length), Reach::pixels);
        step.read("in", in, channels, step.product("length", lines, length), Overlap::never, Reach::pixels);
        step.weights("places", places, numbers), step.weights("weights", weights, numbers);
        for (int64_t i = 0; i < numbers; ++i) step.require(places[i] >= 0 && places[i] < length, "places", "numbers of rows");
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(channels, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
