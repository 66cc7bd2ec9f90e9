// Contract of the GEMM of scaled planes: a batch norm that could not be folded, with its bounds, and the pointwise convolution that alone
// reads it (DenseNet).
//
//   out[g * rows + n][p] = act(bias[g, n] + sum_k weight[g, n, k] * x[g * depth + k][p] + residual[g * rows + n][p])
//   x[c][p] = bounds(in[c][p] * scale[c] + shift[c])
//
// for planes of more than one pixel; input planes may be tight; all else as in gemm.h. The bounds are those of relu, of relu6, or none.
// scratch: scratch() floats of the calling thread, on a 64-byte border.
#pragma once

#include "kernels/gemm/gemm.h"

namespace shufflekit {

struct AffineGemm : Gemm {
    const float* scale;
    const float* shift;
    Epilogue before;

    // Pixels that are scaled together: the last have half as many more at most, so that no tile is thin.
    static constexpr int32_t block = 48;
    static constexpr int32_t most_pixels = 2 * block;

    using Function = void(const AffineGemm&, float* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel);

    // Floats: the planes of a group, where each starts, and what a GEMM may read behind its table.
    int64_t scratch() const { return int64_t{depth} * (most_pixels + 1) + gemm_operands_ahead; }
    bool takes() const { return pixels > 1 && before.is_bounds() && before.activation != Activation::clamp; }

    template <class Step>
    void read(Step& step) {
        read_as(step, Reach::pixels);
        const int64_t channels = step.product("depth", groups, depth);
        step.weights("scale", scale, channels), step.weights("shift", shift, channels);
        step.word("affine_activation", before.activation, activation_words);
        step.require(takes(), "affine_activation", "relu, relu6 or none, of more than one pixel");
        step.product("depth", depth, most_pixels + 1);
        step.scratch(scratch());
    }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        const auto [own_pixels, own_panels] = share_gemm(pixels, int64_t{groups} * gemm_panels(rows), plane_alignment, part, parts);
        if (own_pixels.first < own_pixels.last)
            run_share(own_panels, kernel, *this, static_cast<float*>(scratch), own_pixels.first, own_pixels.last);
    }
};

}  // namespace shufflekit
