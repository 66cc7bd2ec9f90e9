// Contract of a dense convolution followed by 3x3 max pooling of stride 2, the stem of many networks: rows of the convolution are
// pooled while they are in the cache and never reach the arena. Input planes may be tight.
//
//   out[n][y, x] = max of act(convolution[n]) over the pooling window's pixels that lie in the convolution's output, a NaN with one
//                  among them
//
// with `convolution` as in convolution.h: one group, no residual, rows of whole vectors (convolution_by_rows); its `out` is that of the
// pooling. `pool` is 3x3 with stride 2, a padding of 1 above, below and on both sides, and sees the input everywhere.
//
// scratch: convolution_pool_scratch(...) floats of the calling thread, on a 64-byte border.
// A call works on rows [first_row, last_row) of the pooling's output.
#pragma once

#include "kernels/convolution/convolution.h"

namespace shufflekit {

struct ConvolutionPool {
    Convolution convolution;
    Window pool;
};

constexpr bool pools_stem(const Window& w) {
    return w.kernel_y == 3 && w.kernel_x == 3 && w.stride_y == 2 && w.stride_x == 2 && w.pad_y == 1 && w.pad_x == 1 && w.dilation_y == 1 &&
           w.dilation_x == 1 && w.out_height == (w.in_height + 1) / 2 && w.out_width == (w.in_width + 1) / 2;
}

// A row of the convolution's output in scratch, with room for the last vectors that are read.
inline int64_t convolution_pool_pitch(const ConvolutionPool& c) {
    return (int64_t{c.convolution.window.out_width} + plane_alignment - 1) / plane_alignment * plane_alignment + plane_alignment;
}
// A vector that is read before the first row, three rows of each channel, where they start, and the convolution's own.
inline int64_t convolution_pool_scratch(const ConvolutionPool& c) {
    return plane_alignment + int64_t{c.convolution.rows} * (3 * convolution_pool_pitch(c) + 1) + convolution_scratch(c.convolution);
}

#define SHUFFLEKIT_DECLARE(isa) \
    namespace isa {             \
    void convolution_pool(const ConvolutionPool&, float* scratch, int32_t first_row, int32_t last_row); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
