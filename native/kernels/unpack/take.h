// Some pixels of a picture's channels, taken apart.
#pragma once

#include "kernels/unpack/unpack.h"

namespace shufflekit::SHUFFLEKIT_ISA {

// to[c][i] = in[c][(first + i) * step]. Three channels that take turns are read once for all three.
[[gnu::always_inline]] inline void take(const ReadPlanes<uint8_t>& in, int64_t channels, int64_t step, int64_t first, int64_t count,
                                        uint8_t* const (&to)[unpack_channels]) {
    if (step == 1) {
        for (int64_t c = 0; c < channels; ++c) __builtin_memcpy(to[c], in[c] + first, static_cast<unsigned long>(count));
        return;
    }
    const uint8_t* lowest = in[0];
    for (int64_t c = 1; c < channels; ++c) lowest = in[c] < lowest ? in[c] : lowest;
    uint8_t* turns[3] = {};
    if (channels == 3 && step == 3)
        for (int64_t c = 0; c < 3; ++c)
            if (in[c] - lowest < 3) turns[in[c] - lowest] = to[c];
    if (turns[0] && turns[1] && turns[2]) {
        const uint8_t* __restrict from = lowest + first * 3;
        uint8_t* __restrict a = turns[0];
        uint8_t* __restrict b = turns[1];
        uint8_t* __restrict c = turns[2];
        for (int64_t i = 0; i < count; ++i) a[i] = from[3 * i], b[i] = from[3 * i + 1], c[i] = from[3 * i + 2];
        return;
    }
    for (int64_t c = 0; c < channels; ++c)
        for (int64_t i = 0; i < count; ++i) to[c][i] = in[c][(first + i) * step];
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
