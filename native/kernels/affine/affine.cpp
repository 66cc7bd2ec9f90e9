// Channels > pixels.
#include "kernels/affine/affine.h"

#include "kernels/epilogue.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void affine(const Affine& a, int32_t first_channel, int32_t last_channel) {
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        const float* in = a.in[channel];
        float* out = a.out[channel];
        const float scale = a.scale[channel], shift = a.shift[channel];
        for (int64_t p = 0; p < a.pixels; ++p) out[p] = in[p] * scale + shift;
        activate_stretch(out, a.pixels, a.epilogue.of(channel));
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
