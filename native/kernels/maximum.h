// Maxima as PyTorch's: where one of the operands is a NaN, so is the result.
#pragma once

#include "kernels/lanes.h"

#if defined(__ARM_NEON) && SHUFFLEKIT_VECTOR_BYTES == 16
#include <arm_neon.h>
#endif

namespace shufflekit::SHUFFLEKIT_ISA {

// What is known of the operands. x86's maximum loses a NaN in one of its two operands, and two of them with their bits joined keep
// both: three instructions in place of one. So planes are looked through first (`operands_of`), which is one a vector.
enum class Operand { finite, any };

#if defined(__ARM_NEON) && SHUFFLEKIT_VECTOR_BYTES == 16
template <Operand>
[[gnu::always_inline]] inline vector larger(vector a, vector b) {
    return (vector)vmaxq_f32((float32x4_t)a, (float32x4_t)b);  // keeps both
}
inline Operand operands_of(const float*, int64_t) { return Operand::any; }
#else
template <Operand O>
[[gnu::always_inline]] inline vector larger(vector a, vector b) {
    const vector keeps_a = a < b ? b : a;
    if constexpr (O == Operand::finite) return keeps_a;
    const vector keeps_b = b < a ? a : b;
    // The bits of a NaN and those of anything else are a NaN's.
    return __builtin_bit_cast(vector, __builtin_bit_cast(mask, keeps_a) | __builtin_bit_cast(mask, keeps_b));
}

// Zero times a number is zero, times anything else a NaN, and sums keep it. Four sums, since one would wait for itself.
inline Operand operands_of(const float* x, int64_t count) {
    constexpr int sums = 4;
    vector sum[sums] = {};
    int64_t i = 0;
    for (; i + sums * vector_lanes <= count; i += sums * vector_lanes)
        for (int s = 0; s < sums; ++s) sum[s] += load(x + i + s * vector_lanes) * 0.0f;
    float rest = 0;
    for (; i < count; ++i) rest += x[i] * 0.0f;
    float lanes[vector_lanes];
    store(lanes, (sum[0] + sum[1]) + (sum[2] + sum[3]));
    for (int lane = 0; lane < vector_lanes; ++lane) rest += lanes[lane];
    return rest == 0 ? Operand::finite : Operand::any;
}
#endif

}  // namespace shufflekit::SHUFFLEKIT_ISA
