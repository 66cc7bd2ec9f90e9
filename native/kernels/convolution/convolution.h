// Contract of the dense (or grouped) convolution with any window. Input planes may be tight.
//
//   out[g * rows + n][y, x] = act(bias[g, n] + sum_{c, i, j} weight[g, n, c, i, j] * in[g * in_channels + c][window(y, x, i, j)]
//                                 + residual[g * rows + n][y, x])
//
// with zeros outside of the input. in_channels is that of one group. Weights and bias are packed as for the GEMM (gemm.h) with
// depth = in_channels * kernel_y * kernel_x and k = (c * kernel_y + i) * kernel_x + j.
//
// scratch: convolution_scratch(...) floats of the calling thread, on a 64-byte border.
// A call works on output pixels [first_pixel, last_pixel) and panels [first_panel, last_panel), as in gemm.h.
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

inline constexpr int32_t convolution_block = 48;  // output pixels whose patches are gathered together

constexpr int64_t convolution_scratch(int64_t in_channels, int64_t kernel_y, int64_t kernel_x) {
    return in_channels * kernel_y * kernel_x * (convolution_block + 1);  // patches, and where each starts
}

#define SHUFFLEKIT_DECLARE(isa) \
    namespace isa {             \
    void convolution(const Convolution&, float* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
