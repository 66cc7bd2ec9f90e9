// A 3x3 filter as an operation of window_3x3.h, with an activation that ends in registers; `epilogue` is that of its channel.
#pragma once

#include "kernels/window_3x3.h"

namespace shufflekit::SHUFFLEKIT_ISA {

template <Bounds B>
struct Convolve3x3 {
    static constexpr float fill = 0;
    vector weights[9];
    vector bias, low, high;

    Convolve3x3(const float* w, float b, Epilogue epilogue)
        : bias(broadcast<vector>(b)), low(broadcast<vector>(low_of<B>(epilogue, 0))), high(broadcast<vector>(epilogue.high())) {
        for (int i = 0; i < 9; ++i) weights[i] = broadcast<vector>(w[i]);
    }
    [[gnu::always_inline]] vector begin(const Operands& x) const { return row(bias, 0, x); }
    [[gnu::always_inline]] vector add(vector sum, const Operands& x) const { return row(sum, 3, x); }
    [[gnu::always_inline]] vector end(vector sum, const Operands& x) const { return row(sum, 6, x); }
    [[gnu::always_inline]] vector finish(vector sum) const { return bounded<B>(sum, low, high); }

  private:
    [[gnu::always_inline]] vector row(vector sum, int i, const Operands& x) const {
        return sum + weights[i] * x.left + weights[i + 1] * x.middle + weights[i + 2] * x.right;
    }
};

}  // namespace shufflekit::SHUFFLEKIT_ISA
