// The end of a convolution on a stretch of an output row: to[i] = act(from[i] + residual[i]), no other pixel written.
#pragma once

#include "kernels/epilogue.h"
#include "kernels/lanes.h"

namespace shufflekit::SHUFFLEKIT_ISA {

template <Bounds B>
inline void put_row(const float* from, const float* residual, float* to, int64_t count, Epilogue epilogue) {
    const vector low = broadcast<vector>(epilogue.low()), high = broadcast<vector>(epilogue.high());
    for (int64_t i = 0; i < count; i += vector_lanes) {
        vector x = load(from + i);
        if (residual) x += load_lanes(residual + i, 0, count - i);
        store_lanes(to + i, bounded<B>(x, low, high), count - i);
    }
    if (!epilogue.is_bounds()) activate_stretch(to, count, epilogue);
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
