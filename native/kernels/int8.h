// What kernels of bytes share. A plane of unsigned bytes stands for numbers scale * (q - zero_point), each plane with its own two.
// Products of bytes are summed exactly, in 32 bits, and end by one rule, so that every instruction set and number of threads gives
// the same bits:
//
//   q = zero_point + round(clamp(float(sum + bias) * multiplier, low - zero_point, high - zero_point))
//
// where a residual r adds float(r - residual_zero_point) * residual_multiplier to the product; halves go to the even number, and no
// multiply-add is fused (CMakeLists.txt compiles these with -ffp-contract=off). Operands' zero points, times their weights, are in the
// bias; scales in the multipliers; an activation that only bounds in low and high.
#pragma once

#include <cstdint>

namespace shufflekit {

struct Int8End {
    int32_t bias;
    float multiplier;
    int32_t zero_point, low, high;  // of the output
    int32_t residual_zero_point;
    float residual_multiplier;

    constexpr bool is_sound() const {
        const auto is_byte = [](int32_t x) { return 0 <= x && x <= 255; };
        const auto is_finite = [](float x) { return x - x == 0; };
        return is_byte(zero_point) && is_byte(low) && is_byte(high) && low <= high && is_byte(residual_zero_point) && is_finite(multiplier) &&
               is_finite(residual_multiplier);
    }
    // Whether all bounds are those of bytes, which packing brings, and what any sum gives is less than 2^31.
    constexpr bool is_plain() const {
        const auto is_below = [](float x, float most) { return -most < x && x < most; };
        return low == 0 && high == 255 && is_below(multiplier, 0.5f) && is_below(residual_multiplier, 1 << 20);
    }
};

constexpr bool are_plain(const Int8End* ends, int64_t channels) {
    bool all = true;
    for (int64_t c = 0; c < channels; ++c) all &= ends[c].is_plain();
    return all;
}

template <class Step>
void read_ends(Step& step, const Int8End*& ends, int64_t channels) {
    step.weights("ends", ends, channels);
    for (int64_t c = 0; c < channels; ++c) step.require(ends[c].is_sound(), "ends", "finite numbers and bytes, low to high");
}

// Sums that are too large for 32 bits, which no sound plan has, wrap around.
[[gnu::always_inline]] constexpr int32_t int8_plus(int32_t a, int32_t b) { return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b)); }

// A whole number of at most 2^22 either way: float32 has no digits behind the point at this size, and rounds halves to even.
inline constexpr float int8_magic = 12582912;  // 3 * 2^22

[[gnu::always_inline]] inline uint8_t int8_rounded(float x, int32_t zero_point, int32_t low, int32_t high) {
    const float least = static_cast<float>(low - zero_point), most = static_cast<float>(high - zero_point);
    x = x > least ? x : least;  // NaN becomes the least
    x = x < most ? x : most;
    return static_cast<uint8_t>(static_cast<int32_t>(x + int8_magic - int8_magic) + zero_point);
}

[[gnu::always_inline]] inline uint8_t int8_ended(int32_t sum, const Int8End& end) {
    return int8_rounded(static_cast<float>(sum) * end.multiplier, end.zero_point, end.low, end.high);
}
[[gnu::always_inline]] inline uint8_t int8_ended(int32_t sum, const Int8End& end, uint8_t residual) {
    const float added = static_cast<float>(residual - end.residual_zero_point) * end.residual_multiplier;
    return int8_rounded(static_cast<float>(sum) * end.multiplier + added, end.zero_point, end.low, end.high);
}

}  // namespace shufflekit
