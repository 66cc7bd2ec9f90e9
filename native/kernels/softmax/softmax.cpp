// Pixels > channels three times: the largest, the sum, the shares.
#include "kernels/softmax/softmax.h"

#include "kernels/activation_math.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void softmax(const Softmax& s, int32_t first_pixel, int32_t last_pixel) {
    for (int64_t p = first_pixel; p < last_pixel; ++p) {
        float most = s.in[0][p], sum = 0;
        for (int64_t c = 1; c < s.channels; ++c) most = most < s.in[c][p] ? s.in[c][p] : most;
        for (int64_t c = 0; c < s.channels; ++c) {
            const float power = exponential(s.in[c][p] - most);
            s.out[c][p] = power;
            sum += power;
        }
        for (int64_t c = 0; c < s.channels; ++c) s.out[c][p] /= sum;
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
