// Channels > outer > rows of the output > vectors along them > taps; where the rows have one pixel, pixels > taps.
#include "kernels/resample/resample.h"

#include "kernels/activation_math.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

void row(const Resample& s, const float* from, int64_t q, float* to) {
    const int32_t* places = s.places + q * s.taps;
    const float* weights = s.weights + q * s.taps;
    int64_t i = 0;
    for (; i + vector_lanes <= s.inner; i += vector_lanes) {
        vector sum = broadcast<vector>(weights[0]) * load(from + places[0] * int64_t{s.inner} + i);
        for (int32_t t = 1; t < s.taps; ++t) sum += broadcast<vector>(weights[t]) * load(from + places[t] * int64_t{s.inner} + i);
        store(to + i, sum);
    }
    for (; i < s.inner; ++i) {
        float sum = weights[0] * from[places[0] * int64_t{s.inner} + i];
        for (int32_t t = 1; t < s.taps; ++t) sum += weights[t] * from[places[t] * int64_t{s.inner} + i];
        to[i] = sum;
    }
}

}  // namespace

void resample(const Resample& s, int32_t first_channel, int32_t last_channel) {
    for (int32_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t o = 0; o < s.outer; ++o) {
            const float* from = s.in[channel] + o * s.length * s.inner;
            float* to = s.out[channel] + o * s.out_length * s.inner;
            for (int64_t q = 0; q < s.out_length; ++q) row(s, from, q, to + q * s.inner);
        }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
