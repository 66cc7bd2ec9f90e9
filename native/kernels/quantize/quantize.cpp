// Channels > pixels.
#include "kernels/quantize/quantize.h"

#include "kernels/int8_end.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void quantize(const Quantize& q, int32_t first_channel, int32_t last_channel) {
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        const float* in = q.in[channel];
        uint8_t* out = q.out[channel];
        const float scale = q.scale[channel];
        const int32_t zero_point = q.zero_point[channel];
        int64_t p = 0;
        for (; p + int8_lanes <= q.pixels; p += int8_lanes) int8_round(out + p, in + p, scale, zero_point);
        for (; p < q.pixels; ++p) out[p] = int8_rounded(in[p] / scale, zero_point, 0, 255);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
