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

// Room for a copy of one plane with its border, whole vectors to spare at the end of each row.
constexpr int64_t depthwise_scratch(const Window& w) {
    const int64_t rows = w.in_height + 2 * int64_t{w.pad_y} + int64_t{w.kernel_y} * w.dilation_y;
    const int64_t columns = w.in_width + 2 * int64_t{w.pad_x} + int64_t{w.kernel_x} * w.dilation_x + 4 * plane_alignment;
    return rows * columns;
}

#define SHUFFLEKIT_DECLARE(isa) \
    namespace isa {             \
    void depthwise(const Depthwise&, float* scratch, int32_t first_channel, int32_t last_channel); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
