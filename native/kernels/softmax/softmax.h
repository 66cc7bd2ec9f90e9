// Contract of softmax over channels, for each pixel by itself.
//
//   out[c][p] = exp(in[c][p] - m) / sum_d exp(in[d][p] - m),  m = max_d in[d][p]
//
// Aliasing: an out plane may be the in plane of the same channel, and no other.
// A call works on pixels [first_pixel, last_pixel).
#pragma once

#include "kernels/isa.h"
#include "kernels/plane.h"

namespace shufflekit {

struct Softmax {
    Planes in;
    MutablePlanes out;
    int32_t channels, pixels;
};

#define SHUFFLEKIT_DECLARE(isa) \
    namespace isa {             \
    void softmax(const Softmax&, int32_t first_pixel, int32_t last_pixel); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
