// Groups > bands of output rows > copy what all channels of a band see > four panels > GEMM over the band, rows and their border as one
// stretch of pixels > rows to their planes. What the border's pixels come to is thrown away: 2 of 16 at 14x14, where patches of all
// pixels would move nine times the map.
#include "kernels/convolution/input_rows.h"
#include "kernels/convolution/put_row.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

// Rows [first, first + rows) of each phase of a padded plane: phase (i, j) has its rows and columns i, i + stride_y, ... and j, ...
void copy_phases(const ConvolutionFlat& c, const float* plane, int64_t first, int64_t rows, float* to) {
    const Window& w = c.window;
    const int64_t pitch = c.pitch(), phase = c.plane(), left = w.pad_x, right = left + w.in_width;
    const auto each_row = [&](int64_t x, auto copy) __attribute__((always_inline)) {
        const SomeLanes inside(0, pitch - x);
        for (int64_t i = 0; i < w.stride_y; ++i)
            for (int64_t y = 0; y < rows; ++y) {
                const int64_t row = (first + y) * w.stride_y + i - w.pad_y;
                float* at = to + i * w.stride_x * phase + y * pitch + x;
                if (row >= 0 && row < w.in_height)
                    copy(plane + row * w.in_width - left, at, inside);
                else
                    for (int64_t j = 0; j < w.stride_x; ++j) inside.store(at + j * phase, vector{});
            }
    };
    for (int64_t x = 0; x < pitch; x += vector_lanes) {
        if (w.stride_x == 1) {
            const SomeLanes lanes(left - x, right - x);
            each_row(x, [&](const float* row, float* at, const SomeLanes& inside) { inside.store(at, lanes.load(row + x)); });
        } else if (w.stride_x == 2) {
            const int64_t one = 2 * x, two = one + vector_lanes;
            const SomeLanes in_one(left - one, right - one), in_two(left - two, right - two);
            each_row(x, [&](const float* row, float* at, const SomeLanes& inside) {
                const vector a = in_one.load(row + one), b = in_two.load(row + two);
                inside.store(at, even_lanes(a, b)), inside.store(at + phase, odd_lanes(a, b));
            });
        } else {
            each_row(x, [&](const float* row, float* at, const SomeLanes&) {
                for (int64_t j = 0; j < w.stride_x; ++j)
                    for (int64_t k = x; k < x + vector_lanes && k < pitch; ++k) {
                        const int64_t column = k * w.stride_x + j;
                        at[j * phase + k - x] = column >= left && column < right ? row[column] : 0;
                    }
            });
        }
    }
}

class Bands {
  public:
    Bands(const ConvolutionFlat& c, int32_t group, float* scratch)
        : c_(c), group_(group), in_(scratch), out_(in_ + c.in_channels * c.phases() * c.plane()),
          ins_(reinterpret_cast<int32_t*>(out_ + c.chunk * gemm_panel * c.out_plane())), outs_(ins_ + c.depth() + gemm_operands_ahead) {
        const Window& w = c.window;
        int32_t* to = ins_;
        for (int64_t channel = 0; channel < c.in_channels; ++channel)
            for (int64_t i = 0; i < w.kernel_y; ++i)
                for (int64_t j = 0; j < w.kernel_x; ++j) {
                    const int64_t y = i * w.dilation_y, x = j * w.dilation_x, phase = y % w.stride_y * w.stride_x + x % w.stride_x;
                    *to++ = static_cast<int32_t>((channel * c.phases() + phase) * c.plane() + y / w.stride_y * c.pitch() + x / w.stride_x);
                }
    }

    void run(int64_t first_row, int64_t last_row, Range panels) {
        for (int64_t row = first_row; row < last_row; row += c_.band()) {
            const int64_t rows = last_row - row < c_.band() ? last_row - row : c_.band();
            for (int64_t channel = 0; channel < c_.in_channels; ++channel)
                copy_phases(c_, c_.in[int64_t{group_} * c_.in_channels + channel], row, rows + c_.more_rows(),
                            in_ + channel * c_.phases() * c_.plane());
            for (int32_t panel = panels.first; panel < panels.last; panel += c_.chunk) {
                const int32_t last = panel + c_.chunk < panels.last ? panel + c_.chunk : panels.last;
                multiply(rows, panel, last);
                put(row, rows, panel, last);
            }
        }
    }

  private:
    void multiply(int64_t rows, int32_t first, int32_t last) {
        const int64_t before = int64_t{group_} * gemm_panels(c_.rows), begin = gemm_first_row(c_.rows, first);
        for (int64_t n = begin; n < gemm_first_row(c_.rows, last); ++n) outs_[n] = static_cast<int32_t>((n - begin) * c_.out_plane());
        const auto pixels = static_cast<int32_t>((rows - 1) * c_.pitch() + c_.window.out_width);
        const Gemm gemm{{in_, ins_}, {out_, outs_}, {nullptr, nullptr}, c_.weights + before * c_.depth() * gemm_panel,
                        c_.bias + before * gemm_panel, 1, c_.rows, static_cast<int32_t>(c_.depth()), pixels, {}};
        SHUFFLEKIT_ISA::gemm(gemm, 0, pixels, first, last);
    }

    void put(int64_t row, int64_t rows, int32_t first, int32_t last) const {
        const int64_t width = c_.window.out_width;
        with_bounds(c_.epilogue.activation, [&]<Bounds B>() {
            for (int64_t n = gemm_first_row(c_.rows, first); n < gemm_first_row(c_.rows, last); ++n) {
                const int64_t channel = int64_t{group_} * c_.rows + n, at = row * width;
                float* to = c_.out[channel] + at;
                const float* residual = c_.residual.base ? c_.residual[channel] + at : nullptr;
                for (int64_t y = 0; y < rows; ++y)
                    put_row<B>(out_ + outs_[n] + y * c_.pitch(), residual ? residual + y * width : nullptr, to + y * width, width,
                               c_.epilogue.of(channel));
            }
        });
    }

    const ConvolutionFlat& c_;
    const int32_t group_;
    float *const in_, *const out_;
    int32_t *const ins_, *const outs_;
};

}  // namespace

void convolution_flat(const ConvolutionFlat& c, float* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel,
                      int32_t last_panel) {
    const int32_t panels = gemm_panels(c.rows), width = c.window.out_width;
    for (int32_t group = first_panel / panels; group * panels < last_panel; ++group)
        Bands(c, group, scratch).run(first_pixel / width, last_pixel / width, panels_of(c, group, first_panel, last_panel));
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
