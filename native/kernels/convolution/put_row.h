// The end of a convolution on a stretch of an output row: to[i] = act(from[i] + residual[i]), no other pixel written.
#pragma once

#include "kernels/activation_math.h"
#include "kernels/lanes.h"

namespace shufflekit::SHUFFLEKIT_ISA {

template <Activation A>
inline void put_row(const float* from, const float* residual, float* to, int64_t count, float slope) {
    for (int64_t i = 0; i < count; i += vector_lanes) {
        vector x = load(from + i);
        if (residual) x += load_lanes(residual + i, 0, count - i);
        store_lanes(to + i, activate<A>(x, slope), count - i);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
