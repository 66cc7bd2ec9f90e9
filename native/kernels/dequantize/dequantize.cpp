// Channels > pixels.
#include "kernels/dequantize/dequantize.h"

#include "kernels/isa.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void dequantize(const Dequantize& d, int32_t first_channel, int32_t last_channel) {
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        const uint8_t* in = d.in[channel];
        float* __restrict out = d.out[channel];
        const float scale = d.scale[channel];
        const int32_t zero_point = d.zero_point[channel];
        for (int64_t p = 0; p < d.pixels; ++p) out[p] = scale * static_cast<float>(in[p] - zero_point);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
