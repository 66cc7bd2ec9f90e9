// Activations, as the last step of a kernel.
#pragma once

#include <cstdint>

namespace shufflekit {

// A plan has the words.
enum class Activation : int32_t {
    none = 0,
    relu = 1,         // max(x, 0)
    relu6 = 2,        // min(max(x, 0), 6)
    hardswish = 3,    // x * relu6(x + 3) / 6
    hardsigmoid = 4,  // relu6(x + 3) / 6
    sigmoid = 5,      // 1 / (1 + exp(-x))
    silu = 6,         // x * sigmoid(x)
    leaky_relu = 7,   // x < 0 ? slope * x : x
    prelu = 8,        // the same with a slope for each channel
};
inline constexpr const char* activation_words[] = {"none", "relu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "silu", "leaky_relu", "prelu"};
inline constexpr int32_t activations = sizeof(activation_words) / sizeof(*activation_words);

struct Epilogue {
    Activation activation = Activation::none;
    float slope = 0;                // of leaky_relu, and of prelu once it is that of a channel
    const float* slopes = nullptr;  // of prelu

    // Of one channel, and of those from one on.
    constexpr Epilogue of(int64_t channel) const { return {activation, slopes ? slopes[channel] : slope, nullptr}; }
    constexpr Epilogue from(int64_t channel) const { return {activation, slope, slopes ? slopes + channel : nullptr}; }

    // Activations that are no more than bounds are applied to sums in registers; for the others these do not bind.
    constexpr bool is_bounds() const { return activation <= Activation::relu6; }
    constexpr float low() const { return activation == Activation::relu || activation == Activation::relu6 ? 0 : -__builtin_inff(); }
    constexpr float high() const { return activation == Activation::relu6 ? 6 : __builtin_inff(); }
};

}  // namespace shufflekit
