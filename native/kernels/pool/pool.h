// Contract of pooling. Input planes may be tight, if so said.
//
//   maximum:  out[c][y, x] = act(max of the window's pixels that lie in the input)
//   average:  out[c][y, x] = act(sum of those / count), count their number, or with count_padding the number of window positions
//             inside the input widened by pad_y rows above and below and pad_x columns left and right
//   adaptive: average over rows floor(y * in_height / out_height) to ceil((y + 1) * in_height / out_height), columns likewise;
//             the window's kernel, stride, pad and dilation are not read (global average: out_height = out_width = 1)
//   adaptive_maximum: likewise, the largest
//
// Each window must hold at least one pixel of the input. The maximum of pixels with a NaN among them is a NaN.
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/activation.h"
#include "kernels/isa.h"
#include "kernels/plane.h"

namespace shufflekit {

// The numbers are part of the plan's format.
enum class Pooling : int32_t { maximum = 0, average = 1, adaptive_average = 2, adaptive_maximum = 3 };
inline constexpr int32_t poolings = 4;

struct Pool {
    Planes in;
    MutablePlanes out;
    int32_t channels;
    Window window;
    Pooling pooling;
    bool count_padding;
    bool tight_input;
    Epilogue epilogue;
};

#define SHUFFLEKIT_DECLARE(isa) \
    namespace isa {             \
    void pool(const Pool&, int32_t first_channel, int32_t last_channel); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
