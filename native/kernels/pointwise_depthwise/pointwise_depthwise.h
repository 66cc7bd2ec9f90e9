// Contract of a pointwise convolution followed by a 3x3 depthwise one, a few rows at a time: the tensor between them never leaves the L2
// cache. For planes that are too large for it otherwise.
//
//   out[n] = depthwise(pointwise(in))[n]: a GEMM of one group (gemm.h) whose rows the depthwise convolution (depthwise.h) reads
//
// `depthwise` has a window that window_3x3.h does, output rows of at least 16 pixels, and no residual; neither has `pointwise`. Both
// activations are bounds (Epilogue::is_bounds). The `out` of `pointwise` and the `in` of `depthwise` are not read.
//
// scratch: pointwise_depthwise_scratch(...) floats of the calling thread, on a 64-byte border.
// A call works on rows [first_row, last_row) of the output.
#pragma once

#include "kernels/depthwise/depthwise.h"
#include "kernels/gemm/gemm.h"

namespace shufflekit {

struct PointwiseDepthwise {
    Gemm pointwise;
    Depthwise depthwise;
};

inline constexpr int64_t fused_rows = 8;  // output rows at a time: 4 and 16 are slower

inline bool fuses(const PointwiseDepthwise& f) {
    const Window& w = f.depthwise.window;
    return f.pointwise.groups == 1 && f.pointwise.rows == f.depthwise.channels && slides_3x3(w) && w.pad_y == 1 && w.pad_x == 1 &&
           w.out_width >= plane_alignment && f.pointwise.pixels == w.in_height * w.in_width && f.pointwise.epilogue.is_bounds() &&
           f.depthwise.epilogue.is_bounds();
}

// The rows that `fused_rows` rows of output see, of one channel, and room for the GEMM's last vector.
constexpr int64_t fused_pitch(const Window& w) {
    const int64_t floats = ((fused_rows - 1) * w.stride_y + 3) * w.in_width + plane_alignment;
    return plane_floats((floats + plane_alignment - 1) / plane_alignment * plane_alignment);
}
inline int64_t pointwise_depthwise_scratch(const PointwiseDepthwise& f) {
    return f.depthwise.channels * (fused_pitch(f.depthwise.window) + 1) + 2 * window_slack;
}

#define SHUFFLEKIT_DECLARE(isa) \
    namespace isa {             \
    void pointwise_depthwise(const PointwiseDepthwise&, float* scratch, int32_t first_row, int32_t last_row); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
