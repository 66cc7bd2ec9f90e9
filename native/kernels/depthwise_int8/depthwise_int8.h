// Contract of the depthwise convolution of bytes (one filter a channel).
//
//   out[c][y, x] = end[c](sum_{i, j} weight[c, i, j] * in[c][window(y, x, i, j)], residual[c][y, x])
//
// with fill[c], which is the zero point of the channel, outside of the input, and `end` of int8.h. weights: channels x kernel_y x
// kernel_x, signed.
// Aliasing: an out plane may be the residual plane of the same channel, and no other.
// scratch: depthwise_int8_scratch(window) bytes of the calling thread, on a 64-byte border.
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/int8.h"
#include "kernels/int8_phases.h"
#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

inline constexpr int64_t depthwise_int8_taps = 1024;   // of a window at most
inline constexpr int64_t depthwise_int8_chunk = 2048;  // pixels whose four rows of taps lie together at a time

constexpr int64_t depthwise_int8_fours(const Window& w) {
    return (w.kernel_y + 3) / 4 * int64_t{w.stride_x} * 4 * (depthwise_int8_chunk + (int64_t{w.kernel_x} - 1) * w.dilation_x / w.stride_x + 128);
}
// Or two planes of pairs of words.
constexpr int64_t depthwise_int8_pairs(const Window& w) { return 8 * Phases(w).bytes; }
constexpr int64_t depthwise_int8_joined(const Window& w) {
    const int64_t fours = depthwise_int8_fours(w), pairs = depthwise_int8_pairs(w);
    return ((fours > pairs ? fours : pairs) + 63) / 64 * 64;
}
// Or the planes of one channel as floats, in whole vectors, for windows that slides_3x3 takes.
constexpr int64_t depthwise_int8_plane(int64_t pixels) { return pixels == 1 ? plane_alignment : plane_floats(pixels); }
constexpr int64_t depthwise_int8_floats(const Window& w) {
    return depthwise_int8_plane(int64_t{w.in_height} * w.in_width) + depthwise_int8_plane(int64_t{w.out_height} * w.out_width) + 2 * window_slack;
}
// Or masks of 12 loads for each 16 pixels.
constexpr int64_t depthwise_int8_masks(const Window& w) { return (int64_t{w.out_height} * w.out_width + 15) / 16 * 12 * 16; }
constexpr int64_t depthwise_int8_scratch(const Window& w) {
    const Phases phases(w);
    const int64_t bytes = phases.count(w) * phases.bytes + depthwise_int8_joined(w) + (phases.pixels + 63) / 64 * 64 + 64;
    if (!slides_3x3(w)) return bytes;
    const int64_t of_floats = depthwise_int8_floats(w) * int64_t{sizeof(float)}, masks = depthwise_int8_masks(w);
    const int64_t most = of_floats > masks ? of_floats : masks;
    return bytes > most ? bytes : most;
}

struct DepthwiseInt8 {
    ReadPlanes<uint8_t> in;
    WrittenPlanes<uint8_t> out;
    ReadPlanes<uint8_t> residual;  // base is null: none
    const int8_t* weights;
    const uint8_t* fill;
    const Int8End* ends;
    int32_t channels;
    Window window;
    bool has_plain_ends = false;  // of all: whether they need no bounds; the results are the same

    using Function = void(const DepthwiseInt8&, uint8_t* scratch, int32_t first_channel, int32_t last_channel);

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels);
        step.window("window", window);
        step.require(int64_t{window.kernel_y} * window.kernel_x <= depthwise_int8_taps, "window", "of 1024 taps at most");
        const Phases phases(window);
        step.product("window", step.product("window", window.stride_y, window.stride_x), step.product("window", phases.rows, phases.columns));
        step.scratch((depthwise_int8_scratch(window) + 3) / 4);
        const int64_t pixels = step.product("window", window.out_height, window.out_width);
        step.written(out, channels, pixels);
        step.read("in", in, channels, int64_t{window.in_height} * window.in_width, Overlap::never, Reach::whole_vectors);
        step.residual(residual, channels, pixels);
        step.weights("weights", weights, step.product("window", channels, int64_t{window.kernel_y} * window.kernel_x));
        step.weights("fill", fill, channels);
        read_ends(step, ends, channels);
        has_plain_ends = are_plain(ends, channels);
    }
    void at(const void* from, void* to, const void* arena) {
        in.at(from), out.at(to);
        if (residual.offsets) residual.at(arena);
    }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        run_share(share(channels, 1, part, parts), kernel, *this, static_cast<uint8_t*>(scratch));
    }
};

}  // namespace shufflekit
