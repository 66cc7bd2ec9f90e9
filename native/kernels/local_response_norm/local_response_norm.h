// Contract of local response normalisation over neighbouring channels (AlexNet, GoogLeNet).
//
//   out[c][p] = in[c][p] / (bias + scale * sum_d in[d][p]^2)^(quarters / 4),  c - size / 2 <= d <= c + (size - 1) / 2, 0 <= d < channels
//
// Powers of a quarter need square roots only. A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/isa.h"
#include "kernels/plane.h"

namespace shufflekit {

struct LocalResponseNorm {
    Planes in;
    MutablePlanes out;
    int32_t channels, pixels, size, quarters;
    float scale, bias;
};

#define SHUFFLEKIT_DECLARE(isa) \
    namespace isa {             \
    void local_response_norm(const LocalResponseNorm&, int32_t first_channel, int32_t last_channel); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
