// Channels > blocks of 64 pixels > channels of the window.
#include "kernels/local_response_norm/local_response_norm.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void local_response_norm(const LocalResponseNorm& n, int32_t first_channel, int32_t last_channel) {
    constexpr int64_t block = 64;
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        const int32_t begin = channel - n.size / 2 > 0 ? channel - n.size / 2 : 0;
        const int32_t after = channel + (n.size - 1) / 2 + 1, end = after < n.channels ? after : n.channels;
        const float* in = n.in[channel];
        float* out = n.out[channel];
        for (int64_t pixel = 0; pixel < n.pixels; pixel += block) {
            const int64_t count = n.pixels - pixel < block ? n.pixels - pixel : block;
            float sums[block] = {};
            for (int32_t other = begin; other < end; ++other) {
                const float* values = n.in[other] + pixel;
                for (int64_t p = 0; p < count; ++p) sums[p] += values[p] * values[p];
            }
            float divisors[block];
            for (int64_t p = 0; p < count; ++p) {
                const float root = __builtin_sqrtf(__builtin_sqrtf(n.bias + n.scale * sums[p]));
                sums[p] = root, divisors[p] = root;
            }
            for (int32_t quarter = 1; quarter < n.quarters; ++quarter)
                for (int64_t p = 0; p < count; ++p) divisors[p] *= sums[p];
            for (int64_t p = 0; p < count; ++p) out[pixel + p] = in[pixel + p] / divisors[p];
        }
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
