// What the kernels' plain twins share. Each twin (kernels/<kernel>/twin.h) is its contract as loops over the formula, in double
// precision, with shares cut as the contract cuts them: slow, and easy to check by eye.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/activation.h"
#include "kernels/plane.h"

namespace shufflekit::reference {

inline double larger(double a, double b) { return std::isnan(b) ? b : std::max(a, b); }

inline double activate(double x, Epilogue epilogue) {
    const double a = epilogue.alpha, b = epilogue.beta, pi = 3.14159265358979323846;
    const auto relu6 = [](double v) { return std::min(std::max(v, 0.0), 6.0); };
    switch (epilogue.activation) {
        case Activation::none: return x;
        case Activation::relu: return std::max(x, 0.0);
        case Activation::relu6: return relu6(x);
        case Activation::clamp: return std::min(std::max(x, a), b);
        case Activation::hardswish: return double{static_cast<float>(x * relu6(x + 3))} / 6;  // which overflows, as PyTorch's
        case Activation::hardsigmoid: return relu6(x + 3) / 6;
        case Activation::sigmoid: return 1 / (1 + std::exp(-x));
        case Activation::silu: return x / (1 + std::exp(-x));
        case Activation::leaky_relu:
        case Activation::prelu: return x < 0 ? a * x : x;
        case Activation::tanh: return std::tanh(x);
        case Activation::gelu: return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0)));
        case Activation::gelu_tanh: return x * 0.5 * (1 + std::tanh(std::sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
        case Activation::elu: return x > 0 ? x : a * std::expm1(b * x);
        case Activation::selu: return x > 0 ? b * x : a * std::expm1(x);
        case Activation::mish: return x * std::tanh(std::log1p(std::exp(x)));
        case Activation::softplus: return a * x > b ? x : std::log1p(std::exp(a * x)) / a;
        case Activation::log_sigmoid: return std::min(x, 0.0) - std::log1p(std::exp(-std::fabs(x)));
        case Activation::threshold: return x <= a ? b : x;
        case Activation::exp: return std::exp(x);
        case Activation::log: return std::log(x);
        case Activation::sqrt: return std::sqrt(x);
        case Activation::rsqrt: return 1 / std::sqrt(x);
        case Activation::reciprocal: return 1 / x;
        case Activation::square: return x * x;
        case Activation::power: return std::pow(x, a);
        case Activation::abs: return std::fabs(x);
        case Activation::erf: return std::erf(x);
        case Activation::floor: return std::floor(x);
        case Activation::ceil: return std::ceil(x);
        case Activation::round: return std::nearbyint(x);
    }
    return x;
}

// What a window's tap (i, j) sees for output pixel (y, x), inside of the input and outside.
template <class T>
T tap(const T* plane, const Window& w, int64_t y, int64_t x, int64_t i, int64_t j, T outside) {
    const int64_t row = y * w.stride_y - w.pad_y + i * w.dilation_y, column = x * w.stride_x - w.pad_x + j * w.dilation_x;
    return row < 0 || row >= w.in_height || column < 0 || column >= w.in_width ? outside : plane[row * w.in_width + column];
}
inline double tap(const float* plane, const Window& w, int64_t y, int64_t x, int64_t i, int64_t j) { return tap(plane, w, y, x, i, j, 0.0f); }

}  // namespace shufflekit::reference
