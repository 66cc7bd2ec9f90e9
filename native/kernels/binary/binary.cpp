// Channels > pixels.
#include "kernels/binary/binary.h"

#include "kernels/epilogue.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void binary(const Binary& o, int32_t first_channel, int32_t last_channel) {
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        const float *a = o.a[channel], *b = o.b[channel];
        float* out = o.out[channel];
        const int64_t step = o.b_is_scalar ? 0 : 1;
        if (o.operation == Operation::add)
            for (int64_t p = 0; p < o.pixels; ++p) out[p] = a[p] + b[p * step];
        else
            for (int64_t p = 0; p < o.pixels; ++p) out[p] = a[p] * b[p * step];
        activate_stretch(out, o.pixels, o.epilogue.of(channel));
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
