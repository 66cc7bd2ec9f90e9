// Bands of eight output rows > move the rows that the next band sees too to the front > GEMM on the new ones > channels > depthwise.
#include "kernels/pointwise_depthwise/pointwise_depthwise.h"

#include "kernels/depthwise/convolve_3x3.h"

namespace shufflekit::SHUFFLEKIT_ISA {

Gemm::Function gemm;

namespace {

void zero_rows(float* band, int64_t first, int64_t last, int64_t width) {
    for (int64_t x = first * width; x < last * width; ++x) band[x] = 0;
}

}  // namespace

void pointwise_depthwise(const PointwiseDepthwise& f, float* scratch, int32_t first_row, int32_t last_row) {
    const Depthwise& d = f.depthwise;
    const Window& w = d.window;
    const int64_t width = w.in_width, pitch = fused_pitch(w), kept = 3 - w.stride_y;
    float* const bands = scratch + window_slack;
    auto* offsets = reinterpret_cast<int32_t*>(bands + d.channels * pitch + window_slack);
    for (int32_t channel = 0; channel < d.channels; ++channel) offsets[channel] = static_cast<int32_t>(channel * pitch);
    for (int64_t y = first_row; y < last_row; y += fused_rows) {
        const int64_t rows = last_row - y < fused_rows ? last_row - y : fused_rows;
        const int64_t first = y * w.stride_y - 1, seen = (rows - 1) * w.stride_y + 3;  // of the input, from the padding's row on
        const int64_t old = y > first_row ? kept : 0;
        const int64_t begin = first + old > 0 ? first + old : 0, end = first + seen < w.in_height ? first + seen : w.in_height;
        if (old)
            for (int32_t channel = 0; channel < d.channels; ++channel) {
                float* band = bands + offsets[channel];
                __builtin_memmove(band, band + fused_rows * w.stride_y * width, old * width * sizeof(float));
            }
        Gemm gemm_rows = f.pointwise;
        gemm_rows.in.base += begin * width;
        gemm_rows.out = {bands + (begin - first) * width, offsets};
        gemm_rows.pixels = static_cast<int32_t>((end - begin) * width);
        if (begin < end) gemm(gemm_rows, 0, gemm_rows.pixels, 0, gemm_panels(gemm_rows.rows));
        Window band_window = w;
        band_window.in_height = static_cast<int32_t>(seen), band_window.out_height = static_cast<int32_t>(rows), band_window.pad_y = 0;
        for (int32_t channel = 0; channel < d.channels; ++channel) {
            float* band = bands + offsets[channel];
            if (!old) zero_rows(band, 0, begin - first, width);
            zero_rows(band, end - first > old ? end - first : old, seen, width);
            const float* weights = d.weights + int64_t{channel} * 9;
            float* out = d.out[channel] + y * w.out_width;
            with_bounds(d.epilogue.activation,
                        [&]<Bounds B>() { slide_3x3(Convolve3x3<B>(weights, d.bias[channel], d.epilogue), band, band_window, out); });
        }
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
