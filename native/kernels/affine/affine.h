// Contract of the affine kernel: a batch norm that could not be folded, sums and products with constants, an activation by itself.
//
//   out[c][p] = act(in[c][p] * scale[c] + shift[c])
//
// Aliasing: an out plane may be the in plane of the same channel, and no other.
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/activation.h"
#include "kernels/isa.h"
#include "kernels/plane.h"

namespace shufflekit {

struct Affine {
    Planes in;
    MutablePlanes out;
    const float* scale;
    const float* shift;
    int32_t channels, pixels;
    Epilogue epilogue;
};

#define SHUFFLEKIT_DECLARE(isa) \
    namespace isa {             \
    void affine(const Affine&, int32_t first_channel, int32_t last_channel); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
