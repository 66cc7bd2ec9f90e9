// Channels > pixels, byte by byte.
#include "kernels/lookup/lookup.h"

#include "kernels/isa.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void lookup(const Lookup& l, int32_t first_channel, int32_t last_channel) {
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        const uint8_t *in = l.in[channel], *table = l.table + int64_t{channel} * 256;
        uint8_t* out = l.out[channel];
        for (int64_t p = 0; p < l.pixels; ++p) out[p] = table[in[p]];
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
