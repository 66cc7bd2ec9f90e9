// Contract of the convolution of bytes, dense or grouped.
//
//   out[g * rows + n][y, x] = end[g, n](sum_{k, i, j} weight[g, n, k, i, j] * in[g * in_channels + k][window(y, x, i, j)], residual[g * rows + n][y, x])
//
// with fill[g * in_channels + k], which is the zero point of the channel, outside of the input, and `end` of int8.h. Weights are packed as
// gemm_int8.h says, for a depth of in_channels x kernel_y x kernel_x.
// Aliasing: an out plane may be the residual plane of the same channel, and no other.
// scratch: convolution_int8_scratch(in_channels, window) bytes of the calling thread, on a 64-byte border.
// A call works on pixels [first_pixel, last_pixel) of phases (int8_phases.h) and panels [first_panel, last_panel) of all groups' panels
// together; first_pixel is a multiple of 64, and last_pixel too unless it is all.
#pragma once

#include "kernels/gemm_int8/gemm_int8.h"
#include "kernels/int8_phases.h"

namespace shufflekit {

constexpr int64_t convolution_int8_depth(int64_t in_channels, const Window& w) { return in_channels * w.kernel_y * w.kernel_x; }
constexpr int64_t convolution_int8_scratch(int64_t in_channels, const Window& w) {
    const Phases phases(w);
    const int64_t depth = convolution_int8_depth(in_channels, w), table = (depth * 4 + 63) / 64 * 64;
    return gemm_int8_scratch(depth) + in_channels * phases.count(w) * phases.bytes + table;
}

struct ConvolutionInt8 {
    ReadPlanes<uint8_t> in;
    WrittenPlanes<uint8_t> out;
    ReadPlanes<uint8_t> residual;  // base is null: none
    const int8_t* weights;
    const uint8_t* fill;
    const Int8End* ends;
    int32_t groups, rows, in_channels;
    Window window;
    bool seven_bits = false;  // as gemm_int8.h has it

    using Function = void(const ConvolutionInt8&, uint8_t* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel);

    template <class Step>
    void read(Step& step) {
        step.count("groups", groups), step.count("rows", rows), step.count("in_channels", in_channels);
        step.window("window", window);
        const Phases phases(window);
        const int64_t taps = step.product("window", window.kernel_y, window.kernel_x), depth = step.product("in_channels", in_channels, taps);
        const int64_t copied = step.product("window", step.product("window", window.stride_y, window.stride_x), step.product("window", phases.rows, phases.columns));
        step.product("in_channels", in_channels, copied + 256 * phases.count(window));
        step.product("in_channels", depth, 64);
        step.scratch((convolution_int8_scratch(in_channels, window) + 3) / 4);
        const int64_t channels = step.product("rows", groups, rows), pixels = step.product("window", window.out_height, window.out_width);
        const int64_t panels = step.product("rows", groups, int8_panels(rows)), planes = step.product("in_channels", groups, in_channels);
        step.written(out, channels, pixels);
        step.read("in", in, planes, int64_t{window.in_height} * window.in_width, Overlap::never, Reach::whole_vectors);
        step.residual(residual, channels, pixels);
        read_int8_weights(step, *this, step.product("in_channels", panels * int8_panel, 4 * int8_fours(depth)));
        step.weights("fill", fill, planes);
        read_ends(step, ends, channels);
    }
    void at(const void* from, void* to, const void* arena) {
        in.at(from), out.at(to);
        if (residual.offsets) residual.at(arena);
    }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        run_int8_products(*this, kernel, Phases(window).pixels, scratch, part, parts);
    }
};

}  // namespace shufflekit
