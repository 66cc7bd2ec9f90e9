// Contract of the lookup: an activation of bytes, whatever it is.
//
//   out[c][p] = table[c][in[c][p]]
//
// with 256 bytes a channel. Aliasing: an out plane may be the in plane of the same channel, and no other.
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

struct Lookup {
    ReadPlanes<uint8_t> in;
    WrittenPlanes<uint8_t> out;
    const uint8_t* table;
    int32_t channels, pixels;

    using Function = void(const Lookup&, int32_t first_channel, int32_t last_channel);

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels), step.pixels("pixels", pixels);
        step.written(out, channels, pixels);
        step.read("in", in, channels, pixels, Overlap::same_channel, Reach::pixels);
        step.weights("table", table, int64_t{channels} * 256);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(channels, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
