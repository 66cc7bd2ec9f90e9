// Contract of planes of bytes by a number each: the gates of squeeze-and-excite.
//
//   out[c][p] = end[c]((in[c][p] - zero_point[c]) * (gate[c] - zero_point[channels + c]))
//
// for 0 <= p < pixels, with `end` of int8.h. A gate is a plane of one pixel. A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/int8.h"
#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

struct GateInt8 {
    ReadPlanes<uint8_t> in, gate;
    WrittenPlanes<uint8_t> out;
    const uint8_t* zero_point;  // of the planes, then of the gates
    const Int8End* ends;
    int32_t channels, pixels;

    using Function = void(const GateInt8&, int32_t first_channel, int32_t last_channel);

    // (in[p] - zero_point) * factor + bias = in[p] * factor + first.
    [[gnu::always_inline]] int32_t factor(int64_t channel) const { return *gate[channel] - zero_point[channels + channel]; }
    [[gnu::always_inline]] int32_t first(int64_t channel) const { return int8_plus(ends[channel].bias, -zero_point[channel] * factor(channel)); }

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels), step.pixels("pixels", pixels);
        step.written(out, channels, pixels);
        step.read("in", in, channels, pixels, Overlap::never, Reach::whole_vectors);
        step.read("gate", gate, channels, 1, Overlap::never, Reach::pixels);
        step.weights("zero_point", zero_point, step.product("channels", channels, 2));
        read_ends(step, ends, channels);
    }
    void at(const void* from, void* to, const void* arena) { in.at(from), gate.at(arena), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(channels, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
