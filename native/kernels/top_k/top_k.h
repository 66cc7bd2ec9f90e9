// Contract of the places of the largest: of each line of a plane's pixels the numbers of the first `kept` elements, in falling order.
// Input planes may be tight.
//
//   out[c][line * kept + j] = the number, within in[c][line * length ...], of the element that j others come before
//
// as a float, which is exact: a line has fewer than 2^24 elements. The larger of two comes first, or with `smallest` the smaller; of two
// that are equal the first. A NaN is larger than any number. scratch: scratch() floats of the calling thread. Aliasing: none.
// A call works on lines [first_line, last_line) of all channels' lines together.
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

struct TopK {
    Planes in;
    MutablePlanes out;
    int32_t channels, lines, length, kept;
    bool smallest;

    using Function = void(const TopK&, float* scratch, int32_t first_line, int32_t last_line);

    constexpr int64_t scratch() const { return kept; }

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels), step.pixels("lines", lines);
        step.whole("length", length, 1, (1 << 24) - 1), step.whole("kept", kept, 1, length);
        step.truth("smallest", smallest);
        step.product("lines", channels, lines);
        step.written(out, channels, step.product("kept", lines, kept), Reach::pixels);
        step.read("in", in, channels, step.product("length", lines, length), Overlap::never, Reach::pixels);
        step.scratch(scratch());
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        run_share(share(int64_t{channels} * lines, 1, part, parts), kernel, *this, static_cast<float*>(scratch));
    }
};

}  // namespace shufflekit
