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
    const auto relu6 = [](double v) { return std::min(std::max(v, 0.0), 6.0); };
    switch (epilogue.activation) {
        case Activation::none: return x;
        case Activation::relu: return std::max(x, 0.0);
        case Activation::relu6: return relu6(x);
        case Activation::hardswish: return double{static_cast<float>(x * relu6(x + 3))} / 6;  // which overflows, as PyTorch's
        case Activation::hardsigmoid: return relu6(x + 3) / 6;
        case Activation::sigmoid: return 1 / (1 + std::exp(-x));
        case Activation::silu: return x / (1 + std::exp(-x));
        case Activation::leaky_relu:
        case Activation::prelu: return x < 0 ? epilogue.slope * x : x;
    }
    return x;
}

// What a window's tap (i, j) sees for output pixel (y, x); zero outside of the input.
inline double tap(const float* plane, const Window& w, int64_t y, int64_t x, int64_t i, int64_t j) {
    const int64_t row = y * w.stride_y - w.pad_y + i * w.dilation_y, column = x * w.stride_x - w.pad_x + j * w.dilation_x;
    return row < 0 || row >= w.in_height || column < 0 || column >= w.in_width ? 0 : plane[row * w.in_width + column];
}

}  // namespace shufflekit::reference
