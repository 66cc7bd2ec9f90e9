// Channels > pixels.
#include "kernels/constant/constant.h"

#include "kernels/isa.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void constant(const Constant& c, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel) {
        const float* from = c.values + channel * c.pixels;
        float* out = c.out[channel];
        for (int64_t p = 0; p < c.pixels; ++p) out[p] = from[p];
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
