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
struct LookedThrough {
    void add(const float*, int64_t) {}
    Operand operands() const { return Operand::any; }
};
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
class LookedThrough {
  public:
    [[gnu::always_inline]] inline void add(const float* x, int64_t count) {
        int64_t i = 0;
        for (; i + sums * vector_lanes <= count; i += sums * vector_lanes)
#pragma GCC unroll 4
            for (int s = 0; s < sums; ++s) sum_[s] += load(x + i + s * vector_lanes) * 0.0f;
        for (int s = 0; i + vector_lanes <= count; i += vector_lanes, s = (s + 1) % sums) sum_[s] += load(x + i) * 0.0f;
        for (; i < count; ++i) rest_ += x[i] * 0.0f;
    }

    Operand operands() const {
        vector all = (sum_[0] + sum_[1]) + (sum_[2] + sum_[3]);
        float lanes[vector_lanes];
        for (int width = vector_lanes; width > 1; width /= 2) all = even_lanes(all, all) + odd_lanes(all, all);
        store(lanes, all);
        return lanes[0] + rest_ == 0 ? Operand::finite : Operand::any;
    }

  private:
    static constexpr int sums = 4;
    vector sum_[sums] = {};
    float rest_ = 0;
};
#endif

inline Operand operands_of(const float* x, int64_t count) {
    LookedThrough looked;
    looked.add(x, count);
    return looked.operands();
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
