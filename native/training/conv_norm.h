// Contract of the training step of a convolution with the batch norm behind it, and its gradient; float32, images innermost.
//
// A map of C channels, P pixels and N images lies as C planes of P x N floats without gaps: channel, row, column, image. N is a
// multiple of 16, so vectors run over images and no border has a case of its own. Planes need no alignment, nothing is read or
// written past an end, and no two of the arrays overlap.
//
//   z[g R + r][p] = sum of  weights[g R + r][d][t] x[order[g D + d]][q]   over d < D, and (q, t) in the taps of p
//   mean, inverse = mean and 1 / sqrt(variance + epsilon) of a channel of z over pixels and images
//   y = min(max((z - mean) inverse gamma + beta + residual, low), high)
//   running = (1 - momentum) running + momentum (mean, or the variance over one value less)
//
// Groups g < groups with D = depth and R = rows channels each. Where `z` is null in both directions, what is not kept is
// computed again: cheaper than memory where D is small.
//
// Back, with g = dy where y was strictly between low and high, else 0 (`is_masked` false: g = dy, somebody else does that):
//   beta' = sum g,  gamma' = sum g (z - mean) inverse,  residual' = g
//   dz = gamma inverse (g - beta' / (P N) - (z - mean) inverse gamma' / (P N))
//   weights' = sum dz x,  x' = sum weights dz + added, and 0 where x is not strictly between x_low and x_high
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace shufflekit {

// Rows of a tile of sums.
inline constexpr int conv_norm_tile = 6;
// Columns (pixels x images) that the gradient of a pointwise convolution works on at a time: a group's rows of dz stay in cache.
inline constexpr int64_t conv_norm_block = 512;

struct Tap {
    int32_t pixel;   // floats from the start of the plane
    int32_t weight;  // place in the kernel
};

struct ConvNorm {
    int64_t images, in_pixels, out_pixels;
    int32_t groups, depth, rows, taps;
    bool is_pointwise;  // one tap, at the pixel itself
    const int32_t* first_tap;   // of each output pixel, and the end
    const Tap* forward_taps;    // into x
    const int32_t* first_back;  // of each input pixel, and the end
    const Tap* back_taps;       // into dz
    const int32_t* order;       // of the input's channels
};

struct ConvNormForward {
    const float *x, *weights, *gamma, *beta, *residual;  // residual may be null
    float *z, *y, *mean, *inverse, *running_mean, *running_var;  // z and both running ones may be null
    double epsilon, momentum;
    float low, high;
};

struct ConvNormBackward {
    const float *x, *weights, *gamma, *beta, *mean, *inverse, *z, *y, *dy, *added;  // z, added may be null; y unless residual is wanted
    float *dx, *dweights, *dgamma, *dbeta, *dresidual;  // all but dgamma and dbeta may be null
    float low, high, x_low, x_high;
    bool is_masked, masks_x;
};

// `work` holds what is reused from layer to layer; its sizes:
inline int64_t conv_norm_forward_work(const ConvNorm& layer) {
    const int64_t packed = int64_t{layer.rows} * layer.depth * layer.taps;
    return packed + 2 * layer.depth + 2 * layer.rows + layer.rows * layer.out_pixels * layer.images + 128;
}

inline int64_t conv_norm_backward_work(const ConvNorm& layer) {
    const int64_t packed = int64_t{layer.rows} * layer.depth * layer.taps;
    const int64_t columns = layer.is_pointwise ? conv_norm_block : layer.out_pixels * layer.images;
    return 2 * packed + 4 * (layer.depth + layer.rows) + 2 * layer.rows * columns + 16 * packed + 128;
}

#define SHUFFLEKIT_DECLARE(isa)                                                                                                \
    namespace isa {                                                                                                            \
    /* Rows `first` to `last` of a group. */                                                                                   \
    void conv_norm_forward(const ConvNorm&, const ConvNormForward&, int32_t group, int32_t first, int32_t last, float* work);  \
    /* dgamma and dbeta of some rows of a group. */                                                                            \
    void conv_norm_sums(const ConvNorm&, const ConvNormBackward&, int32_t group, int32_t first, int32_t last, float* work);    \
    /* The rest for a group, after its sums; of a pointwise layer for some of its columns only. Adds to dweights. */           \
    void conv_norm_backward(const ConvNorm&, const ConvNormBackward&, int32_t group, int64_t first, int64_t last, float* work); \
    /* Channels `first` to `last` of a depthwise convolution with the same weights for all, or back to x: the gradient. */      \
    void window_sum(const ConvNorm&, const float* in, float* out, const float* weights, bool is_back, int32_t first, int32_t last); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
