// All channels of a pixel together: they lie in one cache line.
#include "kernels/isa.h"
#include "kernels/unpack/take.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void unpack(const Unpack& u, int32_t first_pixel, int32_t last_pixel) {
    uint8_t* to[unpack_channels] = {};
    for (int64_t c = 0; c < u.channels; ++c) to[c] = u.out[c] + first_pixel;
    take(u.in, u.channels, u.step, first_pixel, last_pixel - first_pixel, to);
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
