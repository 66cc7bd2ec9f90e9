// Activations, as the last step of a kernel.
#pragma once

#include <cstdint>

namespace shufflekit {

// A plan has the words. a and b are the epilogue's alpha and beta.
enum class Activation : int32_t {
    none = 0,
    relu,         // max(x, 0)
    relu6,        // min(max(x, 0), 6)
    clamp,        // min(max(x, a), b)
    hardswish,    // x * relu6(x + 3) / 6
    hardsigmoid,  // relu6(x + 3) / 6
    sigmoid,      // 1 / (1 + exp(-x))
    silu,         // x * sigmoid(x)
    leaky_relu,   // x < 0 ? a * x : x
    tanh,
    gelu,         // x * (1 + erf(x / sqrt(2))) / 2
    gelu_tanh,    // x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2
    elu,          // x > 0 ? x : a * (exp(b * x) - 1)
    selu,         // x > 0 ? b * x : a * (exp(x) - 1)
    mish,         // x * tanh(log(1 + exp(x)))
    softplus,     // log(1 + exp(a * x)) / a, and x where a * x > b
    log_sigmoid,  // log(sigmoid(x))
    threshold,    // x <= a ? b : x
    exp,
    log,
    sqrt,
    rsqrt,        // 1 / sqrt(x)
    reciprocal,   // 1 / x
    square,       // x * x
    power,        // x^a
    abs,
    erf,
    floor,
    ceil,
    round,        // to the nearest whole number, halves to the even one
    prelu,        // leaky_relu with an a for each channel
};
inline constexpr const char* activation_words[] = {
    "none", "relu", "relu6", "clamp", "hardswish", "hardsigmoid", "sigmoid", "silu", "leaky_relu", "tanh", "gelu", "gelu_tanh", "elu",
    "selu", "mish", "softplus", "log_sigmoid", "threshold", "exp", "log", "sqrt", "rsqrt", "reciprocal", "square", "power",
    "abs", "erf", "floor", "ceil", "round", "prelu"};
inline constexpr int32_t activations = sizeof(activation_words) / sizeof(*activation_words);

struct Epilogue {
    Activation activation = Activation::none;
    float alpha = 0, beta = 0;
    const float* slopes = nullptr;  // of prelu

    // Of one channel, and of those from one on.
    constexpr Epilogue of(int64_t channel) const { return {activation, slopes ? slopes[channel] : alpha, beta, nullptr}; }
    constexpr Epilogue from(int64_t channel) const { return {activation, alpha, beta, slopes ? slopes + channel : nullptr}; }

    // Activations that are no more than bounds are applied to sums in registers; for the others these do not bind.
    constexpr bool is_bounds() const { return activation <= Activation::clamp; }
    constexpr float low() const {
        return activation == Activation::relu || activation == Activation::relu6 ? 0 : activation == Activation::clamp ? alpha : -__builtin_inff();
    }
    constexpr float high() const { return activation == Activation::relu6 ? 6 : activation == Activation::clamp ? beta : __builtin_inff(); }
};

}  // namespace shufflekit
