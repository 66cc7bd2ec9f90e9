// A convolution with the batch norm behind it, as training meets it: its geometry, its taps, and its work shared among threads.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "training/conv_norm.h"

namespace shufflekit {

struct LayerShape {
    int64_t images, in_channels, out_channels, groups, height, width, kernel_height, kernel_width;
    int64_t stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;
    int64_t in_plane, out_plane;  // floats from a channel to the next
};

class TrainingLayer {
  public:
    // `order`: which of the input's channels the convolution takes as its first, second, ...: a permutation. No instruction set: the
    // best. Throws std::invalid_argument for a shape that it cannot take.
    TrainingLayer(const LayerShape& shape, const std::vector<int32_t>& order, std::string_view isa);

    void forward(const ConvNormForward& pass, int threads) const;
    void backward(const ConvNormBackward& pass, int threads) const;
    // The mean over the kernel's window of each channel of a depthwise layer, where zeros beyond the border count; or its gradient.
    void mean(const float* in, float* out, bool is_back, int threads) const;

    int64_t out_height() const { return out_height_; }
    int64_t out_width() const { return out_width_; }

  private:
    struct Kernels {
        std::string_view isa;
        decltype(&scalar::conv_norm_forward) forward;
        decltype(&scalar::conv_norm_sums) sums;
        decltype(&scalar::conv_norm_backward) backward;
        decltype(&scalar::conv_norm_lean_forward) lean_forward;
        decltype(&scalar::conv_norm_lean_backward) lean_backward;
        decltype(&scalar::window_sum) window_sum;
    };
    static const Kernels every_kernels[];

    void list_taps(const LayerShape& shape);
    ConvNorm layer() const;

    ConvNorm layer_{};
    const Kernels* kernels_;
    int64_t out_height_, out_width_;
    std::vector<int32_t> order_, first_tap_, first_back_;
    std::vector<Tap> forward_taps_, back_taps_;
};

}  // namespace shufflekit
