// Pooled rows > the convolution's rows that enter with the row, into a ring of three > channels > vectors of pixels. For a maximum the
// order of the ring's rows does not matter; each is looked through for NaNs once (maximum.h). The left neighbours of a vector's pixels are its right ones, shifted by a lane.
#include "kernels/convolution_pool/convolution_pool.h"

#include "kernels/activation_math.h"
#include "kernels/convolution/input_rows.h"
#include "kernels/maximum.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

constexpr float padding = -__builtin_inff();

// One row of every channel, as if below or above the image.
void fill_row(const MutablePlanes& row, int32_t channels, int32_t width) {
    for (int32_t channel = 0; channel < channels; ++channel)
        for (int32_t x = 0; x < width; ++x) row[channel][x] = padding;
}

// Of the row of every channel.
Operand operands_of_row(const MutablePlanes& row, int32_t channels, int32_t width) {
    LookedThrough looked;
    for (int32_t channel = 0; channel < channels; ++channel) looked.add(row[channel], width);
    return looked.operands();
}

// One row of the pooling's output from the three of a channel in the ring.
class PooledRow {
  public:
    explicit PooledRow(const ConvolutionPool& c)
        : out_width_(c.pool.out_width), pitch_(c.pitch()), last_(out_width_ - vector_lanes),
          inside_(every_lane((last_ > 0 ? last_ : 0) * 2 + 1, 2) < c.pool.in_width) {}

    template <Operand O>
    void row(const float* ring, float* out) const {
        vector before = broadcast<vector>(padding);
        for (int32_t x = 0; x < last_; x += vector_lanes) {
            const vector a = highest<O>(ring + 2 * x), b = highest<O>(ring + 2 * x + vector_lanes), right = odd_lanes(a, b);
            store(out + x, larger<O>(larger<O>(shift_lanes(before, right), even_lanes(a, b)), right));
            before = right;
        }
        // The last vector ends with the row: the next one may be another thread's.
        const float* at = ring + (last_ > 0 ? 2 * last_ : 0);
        const vector a = highest<O>(at), b = highest<O>(at + vector_lanes), right = inside_ ? odd_lanes(a, b) : broadcast<vector>(padding);
        if (last_ > 0) before = highest<O>(at - vector_lanes);  // only its last lane counts
        const vector most = larger<O>(larger<O>(shift_lanes(before, right), even_lanes(a, b)), right);
        if (last_ >= 0) return store(out + last_, most);
        float lanes[vector_lanes];
        store(lanes, most);
        for (int32_t i = 0; i < out_width_; ++i) out[i] = lanes[i];
    }

  private:
    // Of the three rows.
    template <Operand O>
    [[gnu::always_inline]] vector highest(const float* at) const {
        return larger<O>(larger<O>(load(at), load(at + pitch_)), load(at + 2 * pitch_));
    }

    const int32_t out_width_;
    const int64_t pitch_;
    const int32_t last_;  // where the last whole vector of output starts; below 0 there is none
    const mask inside_;   // its lanes whose right neighbour lies in the image
};

}  // namespace

void convolution_pool(const ConvolutionPool& c, float* scratch, int32_t first_row, int32_t last_row) {
    const ConvolutionRows& conv = c.convolution;
    const int64_t pitch = c.pitch();
    float* const ring = scratch + plane_alignment;
    float* const behind = ring + conv.rows * 3 * pitch;
    InputRows rows(conv, 0, behind);
    auto* offsets = reinterpret_cast<int32_t*>(behind + conv.scratch());
    for (int32_t channel = 0; channel < conv.rows; ++channel) offsets[channel] = static_cast<int32_t>(channel * 3 * pitch);
    const PooledRow pool(c);
    Operand operands[3] = {};  // of the ring's rows
    int64_t done = -1;         // the convolution's last row in the ring, counted from the padding's first
    for (int64_t y = first_row; y < last_row; ++y) {
        for (int64_t number = y * 2 > done ? y * 2 : done + 1; number < y * 2 + 3; ++number) {
            const int64_t row = number - 1;
            const MutablePlanes to{ring + number % 3 * pitch, offsets};
            if (row < 0 || row >= conv.window.out_height) {
                fill_row(to, conv.rows, conv.window.out_width);
                operands[number % 3] = Operand::finite;
            } else {
                convolve_row(conv, 0, rows, row, to, conv.window.out_width, 0, gemm_panels(conv.rows));
                operands[number % 3] = operands_of_row(to, conv.rows, conv.window.out_width);
            }
        }
        done = y * 2 + 2;
        const bool any = operands[0] == Operand::any || operands[1] == Operand::any || operands[2] == Operand::any;
        for (int32_t channel = 0; channel < conv.rows; ++channel) {
            const float* from = ring + offsets[channel];
            float* out = conv.out[channel] + y * c.pool.out_width;
            any ? pool.row<Operand::any>(from, out) : pool.row<Operand::finite>(from, out);
        }
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
