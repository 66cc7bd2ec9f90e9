// Contract of the training step of a convolution with the batch norm behind it, and its gradient; float32, images innermost.
//
// A map of C channels, P pixels and N images lies as C planes of P x N floats: row, column, image; from a plane to the next are
// `in_plane` or `out_plane` floats. N is a multiple of 16, so vectors run over images and no border has a case of its own. Planes need
// no alignment, nothing is read or written past the end of one, and no two of the arrays overlap.
//
//   z[g R + r][p] = sum of  weights[g R + r][d][t] x[order[g D + d]][q]   over d < D, and (q, t) in the taps of p
//   mean, inverse = mean and 1 / sqrt(variance + epsilon) of a channel of z over pixels and images
//   y = min(max((z - mean) inverse gamma + beta + residual, low), high)
//   running = (1 - momentum) running + momentum (mean, or the variance over one value less)
//
// Groups g < groups with D = depth and R = rows channels each.
//
// A pointwise layer may give `moments` in place of `z`, in both directions: the mean of each of a group's D operands, then their D x D
// sums of products around the means. They say what z's statistics are, and as z is linear in x, its gradient too: no z is ever
// written. With w a row, C the sums of products, n = P N, T[r][d] = sum g[r] (x[d] - mean x[d]), c = inverse gamma' / n:
//   variance = w' C w / n,  gamma' = inverse (w T),  weights' = gamma inverse (T - c C w)
//   x' = sum over r of weights[r] gamma inverse (g - beta' / n - c (z - mean)), where the last term is a D x D matrix times x - mean x
// For R >= D that is less work as well.
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

struct Tap {
    int32_t pixel;   // floats from the start of the plane
    int32_t weight;  // place in the kernel
};

struct ConvNorm {
    int64_t images, in_pixels, out_pixels;
    int64_t in_plane, out_plane;  // floats from a channel to the next
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
    float *z, *moments;  // one of them is null
    float *y, *mean, *inverse, *running_mean, *running_var;  // both running ones may be null
    double epsilon, momentum;
    float low, high;
};

struct ConvNormBackward {
    const float *x, *weights, *gamma, *beta, *mean, *inverse, *z, *moments;  // one of the last two is null
    const float *y, *dy, *added;  // both but dy may be null: y where the mask can be computed from z
    float *dx, *dweights, *dgamma, *dbeta, *dresidual;  // all but dgamma and dbeta may be null
    float low, high, x_low, x_high;
    bool is_masked, masks_x;
};

// Columns (pixels x images) that a group of a pointwise convolution works on at a time: few enough that operands and dz stay in the L2
// cache, and many, because memory likes long runs.
inline int64_t conv_norm_block(const ConvNorm& layer) {
    const int64_t columns = (int64_t{1} << 17) / (layer.depth + layer.rows) / 64 * 64;
    return columns < 512 ? 512 : columns > 4096 ? 4096 : columns;
}

// Floats from a row of `columns` to the next in scratch: an odd number of cache lines, or rows would share their places in the caches.
inline int64_t conv_norm_stride(int64_t columns) { return (columns / 16 | 1) * 16; }

// `work` holds what is reused from layer to layer; its sizes:
inline int64_t conv_norm_forward_work(const ConvNorm& layer) {
    const int64_t packed = int64_t{layer.rows} * layer.depth * layer.taps;
    return packed + 2 * layer.depth + 2 * layer.rows + layer.rows * layer.out_pixels * layer.images + 128;
}

inline int64_t conv_norm_backward_work(const ConvNorm& layer) {
    const int64_t packed = int64_t{layer.rows} * layer.depth * layer.taps;
    const int64_t columns = conv_norm_stride(layer.is_pointwise ? conv_norm_block(layer) : layer.out_pixels * layer.images);
    return 2 * packed + 4 * (layer.depth + layer.rows) + 2 * layer.rows * columns + 16 * packed + 128;
}

// In either direction, where moments are given.
inline int64_t conv_norm_lean_work(const ConvNorm& layer) {
    const int64_t depth = layer.depth, rows = layer.rows;
    return 3 * (rows + depth + 2) * (depth + 1) + 8 * (rows + depth) + (rows + depth + 1) * conv_norm_stride(conv_norm_block(layer)) + 256;
}

#define SHUFFLEKIT_DECLARE(isa)                                                                                                \
    namespace isa {                                                                                                            \
    /* Rows `first` to `last` of a group. */                                                                                   \
    void conv_norm_forward(const ConvNorm&, const ConvNormForward&, int32_t group, int32_t first, int32_t last, float* work);  \
    /* dgamma and dbeta of some rows of a group. */                                                                            \
    void conv_norm_sums(const ConvNorm&, const ConvNormBackward&, int32_t group, int32_t first, int32_t last);                 \
    /* A whole group where moments are given. */                                                                               \
    void conv_norm_lean_forward(const ConvNorm&, const ConvNormForward&, int32_t group, float* work);                          \
    void conv_norm_lean_backward(const ConvNorm&, const ConvNormBackward&, int32_t group, float* work);                        \
    /* The rest for a group, after its sums; of a pointwise layer for some of its columns only. Adds to dweights. */           \
    void conv_norm_backward(const ConvNorm&, const ConvNormBackward&, int32_t group, int64_t first, int64_t last, float* work); \
    /* Channels `first` to `last` of a depthwise convolution with the same weights for all, or back to x: the gradient. */      \
    void window_sum(const ConvNorm&, const float* in, float* out, const float* weights, bool is_back, int32_t first, int32_t last); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
