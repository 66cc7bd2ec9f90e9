// Contract of the gather: the one kernel that only moves data. It writes out the network's outputs, cuts regions out of planes, and
// brings the input in where its first reader cannot take it as it lies. In and out planes may be tight.
//
//   out[c][y, x] = in[c][(y * step_y + first_y) * in_width + x * step_x + first_x]
//
// for 0 <= y < out_height, 0 <= x < out_width. Nothing outside of these planes' pixels is read or written.
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/isa.h"
#include "kernels/plane.h"

namespace shufflekit {

struct Gather {
    Planes in;
    MutablePlanes out;
    int32_t channels;
    int32_t in_width, out_height, out_width;
    int32_t first_y, first_x, step_y, step_x;
};

#define SHUFFLEKIT_DECLARE(isa) \
    namespace isa {             \
    void gather(const Gather&, int32_t first_channel, int32_t last_channel); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
