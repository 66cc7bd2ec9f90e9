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
#include "kernels/isa.h"
#include "kernels/plane.h"

namespace shufflekit {

struct Depthwise {
    Planes in;
    MutablePlanes out;
    Planes residual;  // base is null: none
    const float* weights;
    const float* bias;
    int32_t channels;
    Window window;
    Epilogue epilogue;
};

// Columns of one of the stride_x phases into which a plane's bordered copy is split: phase f holds columns f, f + stride_x, ...
constexpr int64_t depthwise_phase_columns(const Window& w) {
    return w.out_width + (int64_t{w.kernel_x} - 1) * w.dilation_x / w.stride_x + plane_alignment;
}
constexpr int64_t depthwise_rows(const Window& w) {
    return (int64_t{w.out_height} - 1) * w.stride_y + (int64_t{w.kernel_y} - 1) * w.dilation_y + 1;
}
constexpr int64_t depthwise_scratch(const Window& w) { return depthwise_rows(w) * w.stride_x * depthwise_phase_columns(w); }

#define SHUFFLEKIT_DECLARE(isa) \
    namespace isa {             \
    void depthwise(const Depthwise&, float* scratch, int32_t first_channel, int32_t last_channel); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
