// Contract of a pointwise convolution followed by a 3x3 depthwise one, a few rows at a time: the tensor between them never leaves the L2
// cache. For planes that are too large for it otherwise.
//
//   out[n] = depthwise(pointwise(in))[n]: a GEMM of one group (gemm.h) whose rows the depthwise convolution (depthwise.h) reads
//
// `depthwise` has a window that window_3x3.h does, output rows of at least 16 pixels, and no residual; neither has `pointwise`. Both
// activations are bounds of no parameters. The `out` of `pointwise` and the `in` of `depthwise` are not read.
//
// scratch: scratch() floats of the calling thread, on a 64-byte border.
// A call works on rows [first_row, last_row) of the output.
#pragma once

#include "kernels/depthwise/depthwise.h"
#include "kernels/gemm/gemm.h"

namespace shufflekit {

inline constexpr int64_t fused_rows = 8;  // output rows at a time: 4 and 16 are slower

// The rows that `fused_rows` rows of output see, of one channel, and room for the GEMM's last vector.
constexpr int64_t fused_pitch(const Window& w) {
    const int64_t floats = ((fused_rows - 1) * w.stride_y + 3) * w.in_width + plane_alignment;
    return plane_floats((floats + plane_alignment - 1) / plane_alignment * plane_alignment);
}

struct PointwiseDepthwise {
    Gemm pointwise;
    Depthwise depthwise;

    using Function = void(const PointwiseDepthwise&, float* scratch, int32_t first_row, int32_t last_row);

    bool takes() const {
        const Window& w = depthwise.window;
        const auto fits = [](const Epilogue& epilogue) { return epilogue.is_bounds() && epilogue.activation != Activation::clamp; };
        return slides_3x3(w) && w.pad_y == 1 && w.pad_x == 1 && w.out_width >= plane_alignment && fits(pointwise.epilogue) &&
               fits(depthwise.epilogue);
    }
    int64_t scratch() const { return depthwise.channels * (fused_pitch(depthwise.window) + 1) + 2 * window_slack; }

    template <class Step>
    void read(Step& step) {
        Gemm& g = pointwise;
        Depthwise& d = depthwise;
        const Window& w = d.window;
        g.groups = 1;
        step.count("rows", g.rows), step.count("depth", g.depth);
        d.channels = g.rows;
        step.window("window", d.window);
        const int64_t in_pixels = step.product("window", w.in_height, w.in_width), panels = gemm_panels(g.rows);
        g.pixels = static_cast<int32_t>(in_pixels);
        step.written(d.out, d.channels, step.product("window", w.out_height, w.out_width));
        step.read("in", g.in, g.depth, in_pixels, Overlap::never, Reach::whole_vectors);
        step.weights("weights", g.weights, step.product("depth", panels * gemm_panel, g.depth));
        step.weights("bias", g.bias, panels * gemm_panel);
        step.weights("depthwise_weights", d.weights, step.product("rows", d.channels, 9));
        step.weights("depthwise_bias", d.bias, d.channels);
        step.epilogue(g.epilogue, g.rows);
        step.word("depthwise_activation", d.epilogue.activation, activation_words);
        step.require(takes(), "window", "3x3 with padding 1, at least 16 pixels wide behind it, and activations relu, relu6 or none");
        step.product("rows", d.channels, fused_pitch(w) + 1);
        step.scratch(scratch());
    }
    void at(const void* from, void* to, const void*) { pointwise.in.at(from), depthwise.out.at(to); }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        run_share(share(depthwise.window.out_height, 1, part, parts), kernel, *this, static_cast<float*>(scratch));
    }
};

}  // namespace shufflekit
