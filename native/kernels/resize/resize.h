// Contract of resizing, with the coordinates of torch.nn.functional.interpolate. scale_y and scale_x are input steps for one
// output step (in / out, or 1 / scale_factor where the caller gave one; (in - 1) / (out - 1) for bilinear_corners).
//
//   nearest:           out[c][y, x] = in[c][min(floor(y * scale_y), in_height - 1), likewise]
//   bilinear:          at max((y + 0.5) * scale_y - 0.5, 0), likewise, between the four pixels around it
//   bilinear_corners:  at y * scale_y, likewise
//
// Whatever the scales say, a size that stays as it is keeps each pixel, its neighbours unread (0 times a NaN would be one), and
// nearest to the double repeats each; nearest to more than 128 rows and columns together goes by its scales all the same, where PyTorch
// takes its other way (aten/src/ATen/native/cpu/UpSampleKernel.cpp, _use_vectorized_kernel_cond_2d). Coordinates are float32, rounded
// once. A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/isa.h"
#include "kernels/plane.h"

namespace shufflekit {

// The numbers are part of the plan's format.
enum class Resizing : int32_t { nearest = 0, bilinear = 1, bilinear_corners = 2 };
inline constexpr int32_t resizings = 3;

struct Resize {
    Planes in;
    MutablePlanes out;
    int32_t channels;
    int32_t in_height, in_width, out_height, out_width;
    Resizing resizing;
    float scale_y, scale_x;
};

constexpr bool repeats_whole(const Resize& r) { return r.resizing != Resizing::nearest || r.out_height + r.out_width <= 128; }

#define SHUFFLEKIT_DECLARE(isa) \
    namespace isa {             \
    void resize(const Resize&, int32_t first_channel, int32_t last_channel); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
