// Contract of the maximum pooling of bytes.
//
//   out[c][y, x] = max_{i, j} in[c][window(y, x, i, j)]
//
// with 0, the least byte, outside of the input. scratch: max_pool_int8_scratch(window) bytes of the calling thread, on a 64-byte border.
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/int8_phases.h"
#include "kernels/step.h"

namespace shufflekit {

constexpr int64_t max_pool_int8_scratch(const Window& w) {
    const Phases phases(w);
    return phases.count(w) * phases.bytes + int64_t{w.kernel_y} * w.kernel_x * 4;  // copies, and where taps lie
}

struct MaxPoolInt8 {
    ReadPlanes<uint8_t> in;
    WrittenPlanes<uint8_t> out;
    int32_t channels;
    Window window;

    using Function = void(const MaxPoolInt8&, uint8_t* scratch, int32_t first_channel, int32_t last_channel);

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels);
        step.window("window", window);
        const Phases phases(window);
        step.product("window", step.product("window", window.stride_y, window.stride_x), step.product("window", phases.rows, phases.columns));
        step.scratch((max_pool_int8_scratch(window) + 3) / 4);
        step.written(out, channels, step.product("window", window.out_height, window.out_width));
        step.read("in", in, channels, int64_t{window.in_height} * window.in_width, Overlap::never, Reach::whole_vectors);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        run_share(share(channels, 1, part, parts), kernel, *this, static_cast<uint8_t*>(scratch));
    }
};

}  // namespace shufflekit
