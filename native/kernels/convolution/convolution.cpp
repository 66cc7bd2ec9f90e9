// Blocks of 48 output pixels > gather their patches into scratch, one run of 48 floats for each (channel, tap) > GEMM on those.
#include "kernels/convolution/convolution.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

// The operands of one tap for output pixels [first, first + count).
void gather_tap(const float* plane, const Window& w, int i, int j, int64_t first, int64_t count, float* to) {
    int64_t y = first / w.out_width, x = first % w.out_width;
    for (int64_t done = 0; done < count; ++y, x = 0) {
        const int64_t here = w.out_width - x < count - done ? w.out_width - x : count - done;
        const int64_t row = y * w.stride_y - w.pad_y + int64_t{i} * w.dilation_y;
        const int64_t column = x * w.stride_x - w.pad_x + int64_t{j} * w.dilation_x;
        if (row < 0 || row >= w.in_height) {
            for (int64_t n = 0; n < here; ++n) to[done + n] = 0;
        } else {
            int64_t before = column < 0 ? (-column + w.stride_x - 1) / w.stride_x : 0;
            if (before > here) before = here;
            int64_t inside = column < w.in_width ? (w.in_width - column + w.stride_x - 1) / w.stride_x : 0;
            if (inside > here) inside = here;
            for (int64_t n = 0; n < before; ++n) to[done + n] = 0;
            const float* from = plane + row * w.in_width + column;
            if (w.stride_x == 1)
                for (int64_t n = before; n < inside; ++n) to[done + n] = from[n];
            else
                for (int64_t n = before; n < inside; ++n) to[done + n] = from[n * w.stride_x];
            for (int64_t n = inside > before ? inside : before; n < here; ++n) to[done + n] = 0;
        }
        done += here;
    }
}

}  // namespace

void convolution(const Convolution& c, float* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    const Window& w = c.window;
    const int64_t taps = int64_t{w.kernel_y} * w.kernel_x, depth = c.in_channels * taps;
    const int32_t panels = gemm_panels(c.rows);
    auto* operands = reinterpret_cast<int32_t*>(scratch + depth * convolution_block);
    for (int64_t k = 0; k < depth; ++k) operands[k] = static_cast<int32_t>(k * convolution_block);
    for (int32_t pixel = first_pixel; pixel < last_pixel; pixel += convolution_block) {
        const int32_t count = last_pixel - pixel < convolution_block ? last_pixel - pixel : convolution_block;
        for (int32_t group = first_panel / panels; group * panels < last_panel; ++group) {
            for (int64_t channel = 0; channel < c.in_channels; ++channel)
                for (int64_t tap = 0; tap < taps; ++tap)
                    gather_tap(c.in[group * int64_t{c.in_channels} + channel], w, static_cast<int>(tap / w.kernel_x),
                               static_cast<int>(tap % w.kernel_x), pixel, count, scratch + (channel * taps + tap) * convolution_block);
            const int64_t row = int64_t{group} * c.rows, first = int64_t{group} * panels;
            const Gemm block{{scratch, operands},
                             {c.out.base + pixel, c.out.offsets + row},
                             {c.residual.base ? c.residual.base + pixel : nullptr, c.residual.base ? c.residual.offsets + row : nullptr},
                             c.weights + first * depth * gemm_panel,
                             c.bias + first * gemm_panel,
                             1,
                             c.rows,
                             static_cast<int32_t>(depth),
                             count,
                             c.epilogue};
            const auto begin = first_panel > first ? first_panel - first : 0;
            const auto end = last_panel < first + panels ? last_panel - first : panels;
            gemm(block, 0, count, static_cast<int32_t>(begin), static_cast<int32_t>(end));
        }
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
