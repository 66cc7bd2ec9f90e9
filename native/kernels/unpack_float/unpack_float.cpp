// Blocks of pixels > channels: a block's bytes are taken apart first and stay in the L1 cache.
#include "kernels/unpack_float/unpack_float.h"

#include "kernels/isa.h"
#include "kernels/unpack/take.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void unpack_float(const UnpackFloat& u, int32_t first_pixel, int32_t last_pixel) {
    constexpr int64_t block = 1024;
    alignas(64) uint8_t bytes[unpack_channels][block];
    uint8_t* const to[unpack_channels] = {bytes[0], bytes[1], bytes[2], bytes[3]};
    for (int64_t first = first_pixel; first < last_pixel; first += block) {
        const int64_t count = last_pixel - first < block ? last_pixel - first : block;
        take(u.in, u.channels, u.step, first, count, to);
        for (int64_t c = 0; c < u.channels; ++c) {
            float* __restrict out = u.out[c] + first;
            const float scale = u.scale[c], shift = u.shift[c];
            for (int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(bytes[c][i]) * scale + shift;
        }
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
