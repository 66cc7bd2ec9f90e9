// Groups > blocks of 48 output pixels > gather their patches, one run of 48 floats for each (channel, tap) > GEMM.
#include "kernels/convolution/input_rows.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

// One group as a GEMM on operands of ours, for `pixels` output pixels from `pixel` on.
Gemm block(const Convolution& c, int32_t group, const float* operands, const int32_t* offsets, int64_t pixel, int32_t pixels) {
    const int64_t depth = int64_t{c.in_channels} * c.window.kernel_y * c.window.kernel_x;
    const int64_t row = int64_t{group} * c.rows, first = int64_t{group} * gemm_panels(c.rows);
    const bool adds = c.residual.base != nullptr;
    return {{operands, offsets},
            {c.out.base + pixel, c.out.offsets + row},
            {adds ? c.residual.base + pixel : nullptr, adds ? c.residual.offsets + row : nullptr},
            c.weights + first * depth * gemm_panel,
            c.bias + first * gemm_panel,
            1,
            c.rows,
            static_cast<int32_t>(depth),
            pixels,
            c.epilogue.from(row)};
}

void by_patches(const Convolution& c, float* scratch, int32_t group, int32_t first_pixel, int32_t last_pixel, Range share) {
    const Window& w = c.window;
    const int64_t depth = int64_t{c.in_channels} * w.kernel_y * w.kernel_x;
    auto* offsets = reinterpret_cast<int32_t*>(scratch + depth * convolution_block);
    for (int64_t k = 0; k < depth; ++k) offsets[k] = static_cast<int32_t>(k * convolution_block);
    for (int32_t pixel = first_pixel; pixel < last_pixel; pixel += convolution_block) {
        const int32_t count = last_pixel - pixel < convolution_block ? last_pixel - pixel : convolution_block;
        float* to = scratch;
        for (int64_t channel = 0; channel < c.in_channels; ++channel)
            for (int64_t i = 0; i < w.kernel_y; ++i)
                for (int64_t j = 0; j < w.kernel_x; ++j, to += convolution_block)
                    for (int64_t done = 0; done < count;) {
                        const int64_t y = (pixel + done) / w.out_width, x = (pixel + done) % w.out_width;
                        const int64_t here = w.out_width - x < count - done ? w.out_width - x : count - done;
                        const int64_t row = y * w.stride_y - w.pad_y + i * w.dilation_y;
                        const int64_t width = row < 0 || row >= w.in_height ? 0 : w.in_width;
                        copy_row(c.in[group * int64_t{c.in_channels} + channel] + row * w.in_width, width,
                                 x * w.stride_x - w.pad_x + j * w.dilation_x, w.stride_x, here, to + done);
                        done += here;
                    }
        gemm(block(c, group, scratch, offsets, pixel, count), 0, count, share.first, share.last);
    }
}

}  // namespace

void convolution_patches(const Convolution& c, float* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel,
                         int32_t last_panel) {
    const int32_t panels = gemm_panels(c.rows);
    for (int32_t group = first_panel / panels; group * panels < last_panel; ++group)
        by_patches(c, scratch, group, first_pixel, last_pixel, panels_of(c, group, first_panel, last_panel));
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
