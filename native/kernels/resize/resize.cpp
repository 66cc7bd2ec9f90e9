// Channels > output rows > output columns.
#include "kernels/resize/resize.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

// Where an output pixel lies between two input pixels.
struct Place {
    int64_t low, high;
    float share;  // of the higher one
};

Place place(int64_t at, int64_t size, int64_t out, float scale, const Resize& r) {
    const Resizing resizing = r.resizing;
    if (out == size && repeats_whole(r)) return {at, at, 0};
    if (resizing == Resizing::nearest) {
        if (out == 2 * size && repeats_whole(r)) return {at / 2, 0, 0};
        const auto low = static_cast<int64_t>(static_cast<float>(at) * scale);
        return {low < size ? low : size - 1, 0, 0};
    }
    // In double, and rounded once, as a fused multiply-add rounds it, with which PyTorch's vector code computes it.
    float where = resizing == Resizing::bilinear ? static_cast<float>((static_cast<double>(at) + 0.5) * scale - 0.5) : static_cast<float>(at) * scale;
    if (!(where > 0)) where = 0;
    auto low = static_cast<int64_t>(where);
    if (low > size - 1) low = size - 1;
    return {low, low + 1 < size ? low + 1 : low, where - static_cast<float>(low)};
}

}  // namespace

void resize(const Resize& r, int32_t first_channel, int32_t last_channel) {
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        const float* in = r.in[channel];
        float* out = r.out[channel];
        for (int64_t y = 0; y < r.out_height; ++y) {
            const Place row = place(y, r.in_height, r.out_height, r.scale_y, r);
            for (int64_t x = 0; x < r.out_width; ++x) {
                const Place column = place(x, r.in_width, r.out_width, r.scale_x, r);
                const float* upper = in + row.low * r.in_width;
                float value = upper[column.low];
                if (r.resizing != Resizing::nearest) {
                    const float* lower = in + row.high * r.in_width;
                    const float above = value * (1 - column.share) + upper[column.high] * column.share;
                    const float below = lower[column.low] * (1 - column.share) + lower[column.high] * column.share;
                    value = above * (1 - row.share) + below * row.share;
                }
                out[y * r.out_width + x] = value;
            }
        }
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
