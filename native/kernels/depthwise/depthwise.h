// Contract of the depthwise convolution (one filter a channel).
//
//   out[c][y, x] = act(bias[c] + sum_{i, j} weight[c, i, j] * in[c][window(y, x, i, j)] + residual[c][y, x])
//
// with zeros outside of the input; residual may be absent. weights: channels x kernel_y x kernel_x, dense; bias: channels.
// Aliasing: an out plane may be the residual plane of the same channel, and no other.
// scratch: depthwise_scratch(window) floats of the calling thread, on a 64-byte border.
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/activation.h"
#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

// Columns of one of the stride_x phases into which a plane's bordered copy is split: phase f holds columns f, f + stride_x, ...
constexpr int64_t depthwise_phase_columns(const Window& w) {
    return w.out_width + (int64_t{w.kernel_x} - 1) * w.dilation_x / w.stride_x + plane_alignment;
}
constexpr int64_t depthwise_rows(const Window& w) {
    return (int64_t{w.out_height} - 1) * w.stride_y + (int64_t{w.kernel_y} - 1) * w.dilation_y + 1;
}
constexpr int64_t depthwise_border(const Window& w) { return depthwise_rows(w) * w.stride_x * depthwise_phase_columns(w) + plane_alignment; }
// A bordered copy, or an output plane before a residual is added.
constexpr int64_t depthwise_scratch(const Window& w) {
    return slides_3x3(w) ? plane_floats(int64_t{w.out_height} * w.out_width) : depthwise_border(w);
}

struct Depthwise {
    Planes in;
    MutablePlanes out;
    Planes residual;  // base is null: none
    const float* weights;
    const float* bias;
    int32_t channels;
    Window window;
    Epilogue epilogue;

    using Function = void(const Depthwise&, float* scratch, int32_t first_channel, int32_t last_channel);

    // All but weights and scratch.
    template <class Step>
    void read_planes(Step& step) {
        step.count("channels", channels);
        step.window("window", window);
        step.product("window", step.product("window", depthwise_rows(window), window.stride_x), depthwise_phase_columns(window));
        const int64_t pixels = step.product("window", window.out_height, window.out_width);
        step.written(out, channels, pixels);
        step.read("in", in, channels, int64_t{window.in_height} * window.in_width, Overlap::never, Reach::whole_vectors);
        step.residual(residual, channels, pixels);
        step.epilogue(epilogue, channels);
    }
    template <class Step>
    void read(Step& step) {
        read_planes(step);
        step.scratch(depthwise_scratch(window));
        step.weights("weights", weights, step.product("window", channels, int64_t{window.kernel_y} * window.kernel_x));
        step.weights("bias", bias, channels);
    }
    void at(const void* from, void* to, const void* arena) {
        in.at(from), out.at(to);
        if (residual.offsets) residual.at(arena);
    }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        run_share(share(channels, 1, part, parts), kernel, *this, static_cast<float*>(scratch));
    }
};

// Variant `channels`, of windows of 3, 5 or 7 columns at stride 1 or 2: lanes are channels, so that narrow planes fill vectors too and no
// window is cut. Weights are (blocks, kernel_y x kernel_x, 16) and the bias (blocks, 16) for blocks of 16 channels, absent ones 0.
// Channels [first_channel, last_channel) of a call begin with a block.
struct DepthwiseChannels : Depthwise {
    static constexpr int64_t block = 16;

    using Function = void(const DepthwiseChannels&, float* scratch, int32_t first_channel, int32_t last_channel);

    bool takes() const {
        const Window& w = window;
        const bool is_odd = w.kernel_x == 3 || w.kernel_x == 5 || w.kernel_x == 7;
        const bool has_planes = int64_t{w.in_height} * w.in_width > 1 && int64_t{w.out_height} * w.out_width > 1;  // which own whole vectors
        return is_odd && w.stride_x <= 2 && w.dilation_x == 1 && w.dilation_y == 1 && has_planes;
    }
    // Pixels of a row of the copy, with the border's.
    int64_t pitch() const {
        const int64_t seen = (int64_t{window.out_width} - 1) * window.stride_x + window.kernel_x, there = int64_t{window.pad_x} + window.in_width;
        return seen > there ? seen : there;
    }
    int64_t copied() const { return window.in_height * pitch() * block; }
    // Floats: a block's planes, its sums, and what is read of the last sums' vectors.
    int64_t scratch() const { return copied() + (int64_t{window.out_height} * window.out_width + block) * block; }

    template <class Step>
    void read(Step& step) {
        read_planes(step);
        step.require(takes(), "variant", "any but for 3, 5 or 7 columns at stride 1 or 2, without dilation, and more than one pixel");
        step.product("window", step.product("window", window.in_height, pitch()), block);
        step.product("window", int64_t{window.out_height} * window.out_width, block);
        step.scratch(scratch());
        const int64_t lanes = (channels + block - 1) / block * block;
        step.weights("weights", weights, step.product("window", lanes, int64_t{window.kernel_y} * window.kernel_x));
        step.weights("bias", bias, lanes);
    }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        run_share(share(channels, block, part, parts), kernel, *this, static_cast<float*>(scratch));
    }
};

}  // namespace shufflekit
