// Contract of the dense (or grouped) convolution with any window. Input planes may be tight.
//
//   out[g * rows + n][y, x] = act(bias[g, n] + sum_{c, i, j} weight[g, n, c, i, j] * in[g * in_channels + c][window(y, x, i, j)]
//                                 + residual[g * rows + n][y, x])
//
// with zeros outside of the input. in_channels is that of one group. Weights and bias are packed as for the GEMM (gemm.h) with
// depth = in_channels * kernel_y * kernel_x and k = (c * kernel_y + i) * kernel_x + j.
//
// scratch: convolution_scratch(...) floats of the calling thread, on a 64-byte border.
// A call works on output pixels [first_pixel, last_pixel), each a multiple of convolution_unit or the end, and on panels
// [first_panel, last_panel), as in gemm.h.
#pragma once

#include "kernels/gemm/gemm.h"

namespace shufflekit {

struct Convolution {
    Planes in;
    MutablePlanes out;
    Planes residual;
    const float* weights;
    const float* bias;
    int32_t groups, rows, in_channels;
    Window window;
    Epilogue epilogue;
};

// Wide outputs are computed row by row: their operands are the input's rows themselves, copied once with a border and split by
// stride. Rows shorter than a vector would waste lanes, and a pixel computed twice must not find its result where its residual was:
// there the patches of some pixels are gathered together.
inline constexpr int32_t convolution_block = 48;

inline bool convolution_by_rows(const Convolution& c) { return c.window.out_width >= plane_alignment && !c.residual.offsets; }

// Shares of the output start at multiples of this, in pixels.
inline int64_t convolution_unit(const Convolution& c) { return convolution_by_rows(c) ? c.window.out_width : plane_alignment; }

// Columns of one of the stride_x phases into which an input row is split: phase f holds columns f, f + stride_x, ...; those that
// are read, and the pitch, which keeps every phase's start aligned.
constexpr int64_t convolution_read_columns(const Window& w) { return w.out_width + (int64_t{w.kernel_x} - 1) * w.dilation_x / w.stride_x; }
constexpr int64_t convolution_columns(const Window& w) {
    return (convolution_read_columns(w) + plane_alignment - 1) / plane_alignment * plane_alignment;
}

// Floats: operands, where the row of each starts, the taps of a row, and what a GEMM may read behind its table.
inline int64_t convolution_scratch(const Convolution& c) {
    const Window& w = c.window;
    const int64_t depth = int64_t{c.in_channels} * w.kernel_y * w.kernel_x;
    const int64_t rows = int64_t{c.in_channels} * w.kernel_y * w.stride_x * convolution_columns(w);
    return depth + w.kernel_x + gemm_operands_ahead + (convolution_by_rows(c) ? rows : depth * convolution_block);
}

#define SHUFFLEKIT_DECLARE(isa) \
    namespace isa {             \
    void convolution(const Convolution&, float* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
