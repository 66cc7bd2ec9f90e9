// Pooled rows > the convolution's rows that enter with the row, into a ring of three > channels > vectors of pixels. For a maximum the
// order of the ring's rows does not matter. The left neighbours of a vector's pixels are its right ones, shifted by a lane.
#include "kernels/convolution_pool/convolution_pool.h"

#include "kernels/activation_math.h"
#include "kernels/convolution/input_rows.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

constexpr float padding = -__builtin_inff();

vector larger(vector a, vector b) { return a < b ? b : a; }

// One row of every channel, as if below or above the image.
void fill_row(const MutablePlanes& row, int32_t channels, int32_t width) {
    for (int32_t channel = 0; channel < channels; ++channel)
        for (int32_t x = 0; x < width; ++x) row[channel][x] = padding;
}

struct PooledRow {
    int64_t in_width, out_width, pitch;
    mask inside;  // of the last vector: lanes whose right neighbour lies in the image

    explicit PooledRow(const ConvolutionPool& c)
        : in_width(c.pool.in_width), out_width(c.pool.out_width), pitch(convolution_pool_pitch(c)),
          inside(every_lane((c.pool.out_width - 1) / vector_lanes * vector_lanes * 2 + 1, 2) < c.pool.in_width) {}

    void operator()(const float* ring, float* out) const {
        const auto highest = [&](int64_t x) { return larger(larger(load(ring + x), load(ring + pitch + x)), load(ring + 2 * pitch + x)); };
        vector before = broadcast<vector>(padding);
        for (int64_t x = 0; x < out_width; x += vector_lanes) {
            const vector a = highest(2 * x), b = highest(2 * x + vector_lanes), middle = even_lanes(a, b);
            vector right = odd_lanes(a, b);
            if (x + vector_lanes >= out_width) right = inside ? right : broadcast<vector>(padding);
            const vector most = larger(larger(shift_lanes(before, right), middle), right);
            before = right;
            if (x + vector_lanes <= out_width) {
                store(out + x, most);
                continue;
            }
            float lanes[vector_lanes];
            store(lanes, most);
            for (int64_t i = 0; i < out_width - x; ++i) out[x + i] = lanes[i];
        }
    }
};

}  // namespace

void convolution_pool(const ConvolutionPool& c, float* scratch, int32_t first_row, int32_t last_row) {
    const Convolution& conv = c.convolution;
    const int64_t pitch = convolution_pool_pitch(c);
    float* const behind = scratch + conv.rows * 3 * pitch;
    InputRows rows(conv, 0, behind);
    auto* offsets = reinterpret_cast<int32_t*>(behind + convolution_scratch(conv));
    for (int32_t channel = 0; channel < conv.rows; ++channel) offsets[channel] = static_cast<int32_t>(channel * 3 * pitch);
    const PooledRow pool(c);
    int64_t done = -1;  // the convolution's last row in the ring, counted from the padding's first
    for (int64_t y = first_row; y < last_row; ++y) {
        for (int64_t number = y * 2 > done ? y * 2 : done + 1; number < y * 2 + 3; ++number) {
            const int64_t row = number - 1;
            const MutablePlanes to{scratch + number % 3 * pitch, offsets};
            if (row < 0 || row >= conv.window.out_height)
                fill_row(to, conv.rows, conv.window.out_width);
            else
                convolve_row(conv, 0, rows, row, to, 0, gemm_panels(conv.rows));
        }
        done = y * 2 + 2;
        for (int32_t channel = 0; channel < conv.rows; ++channel) pool(scratch + offsets[channel], conv.out[channel] + y * c.pool.out_width);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
