// Channels > output rows > columns.
#include "kernels/pad/pad.h"

#include "kernels/isa.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void pad(const Pad& p, int32_t first_channel, int32_t last_channel) {
    const float value = p.value;
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        float* out = p.out[channel];
        for (int64_t y = 0; y < p.out_height; ++y, out += p.out_width) {
            const int64_t row = y - p.top;
            const bool is_inside = row >= 0 && row < p.in_height;
            const int64_t first = is_inside ? p.left : p.out_width, last = is_inside ? first + p.in_width : first;
            const float* in = is_inside ? p.in[channel] + row * p.in_width : nullptr;
            for (int64_t x = 0; x < first; ++x) out[x] = value;
            for (int64_t x = first; x < last; ++x) out[x] = in[x - first];
            for (int64_t x = last; x < p.out_width; ++x) out[x] = value;
        }
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
