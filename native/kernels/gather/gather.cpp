// Channels > output rows > output columns.
#include "kernels/gather/gather.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void gather(const Gather& g, int32_t first_channel, int32_t last_channel) {
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        float* out = g.out[channel];
        for (int64_t y = 0; y < g.out_height; ++y, out += g.out_width) {
            const float* in = g.in[channel] + (y * g.step_y + g.first_y) * g.in_width + g.first_x;
            for (int64_t x = 0; x < g.out_width; ++x) out[x] = in[x * g.step_x];
        }
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
