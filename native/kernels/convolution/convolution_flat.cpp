// Groups > bands of output rows > copy what all channels of a band see > four panels > GEMM over the band, rows and their border as one
// stretch of pixels > rows to their planes; all panels, and no copy, where there is no border. What the border's pixels come to is
// thrown away: 2 of 16 at 14x14, where patches of all pixels would move nine times the map.
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
        for (int64_t i = 0; i < c.phases_y(); ++i)
            for (int64_t y = 0; y < rows; ++y) {
                const int64_t row = (first + y) * w.stride_y + i - w.pad_y;
                float* at = to + i * c.phases_x() * phase + y * pitch + x;
                if (row >= 0 && row < w.in_height)
                    copy(plane + row * w.in_width - left, at, inside);
                else
                    for (int64_t j = 0; j < c.phases_x(); ++j) inside.store(at + j * phase, vector{});
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
                inside.store(at, even_lanes(a, b));
                if (c.phases_x() == 2) inside.store(at + phase, odd_lanes(a, b));
            });
        } else {
            each_row(x, [&](const float* row, float* at, const SomeLanes&) {
                for (int64_t j = 0; j < c.phases_x(); ++j)
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
    Bands(const ConvolutionFlat& c, float* scratch)
        : c_(c), in_(scratch), out_(in_ + c.in_channels * c.phases() * c.plane()),
          ins_(reinterpret_cast<int32_t*>(out_ + c.chunk * gemm_panel * c.out_plane())), outs_(ins_ + c.depth() + gemm_operands_ahead) {
        const Window& w = c.window;
        int32_t* to = ins_;
        for (int64_t channel = 0; channel < c.in_channels; ++channel)
            for (int64_t i = 0; i < w.kernel_y; ++i)
                for (int64_t j = 0; j < w.kernel_x; ++j) {
                    const int64_t y = i * w.dilation_y, x = j * w.dilation_x, phase = y % w.stride_y * c.phases_x() + x % w.stride_x;
                    *to++ = static_cast<int32_t>((channel * c.phases() + phase) * c.plane() + y / w.stride_y * c.pitch() + x / w.stride_x);
                }
    }

    void run(int32_t group, int64_t first_row, int64_t last_row, Range panels) {
        group_ = group;
        for (int64_t row = first_row; row < last_row; row += c_.band()) {
            const int64_t rows = last_row - row < c_.band() ? last_row - row : c_.band();
            for (int64_t channel = 0; channel < c_.in_channels; ++channel)
                copy_phases(c_, c_.in[int64_t{group_} * c_.in_channels + channel], row, rows + c_.more_rows(),
                            in_ + channel * c_.phases() * c_.plane());
            if (is_direct(row, rows)) {
                SHUFFLEKIT_ISA::gemm(product(rows, to_planes(row)), 0, pixels(rows), panels.first, panels.last);
                continue;
            }
            for (int32_t panel = panels.first; panel < panels.last; panel += c_.chunk) {
                const int32_t last = panel + c_.chunk < panels.last ? panel + c_.chunk : panels.last;
                const int64_t begin = gemm_first_row(c_.rows, panel);
                for (int64_t n = begin; n < gemm_first_row(c_.rows, last); ++n) outs_[n] = static_cast<int32_t>((n - begin) * c_.out_plane());
                SHUFFLEKIT_ISA::gemm(product(rows, {{out_, outs_}, {nullptr, nullptr}, {}}), 0, pixels(rows), panel, last);
                put(row, rows, panel, last);
            }
        }
    }

  private:
    struct Ends {
        MutablePlanes out;
        Planes residual;
        Epilogue epilogue;
    };

    int32_t pixels(int64_t rows) const { return static_cast<int32_t>((rows - 1) * c_.pitch() + c_.window.out_width); }

    // Without a border the pixels are those of the output: the GEMM ends them where no vector of a band reaches into the next.
    bool is_direct(int64_t row, int64_t rows) const {
        const int64_t width = c_.window.out_width, first = row * width, last = first + rows * width;
        return c_.pitch() == width && first % plane_alignment == 0 && (last % plane_alignment == 0 || row + rows == c_.window.out_height);
    }
    Ends to_planes(int64_t row) const {
        const int64_t at = row * c_.window.out_width, channel = int64_t{group_} * c_.rows;
        const bool adds = c_.residual.base != nullptr;
        return {{c_.out.base + at, c_.out.offsets + channel},
                {adds ? c_.residual.base + at : nullptr, adds ? c_.residual.offsets + channel : nullptr},
                c_.epilogue.from(channel)};
    }
    Gemm product(int64_t rows, const Ends& ends) const {
        const int64_t before = int64_t{group_} * gemm_panels(c_.rows);
        return {{in_, ins_}, ends.out, ends.residual, c_.weights + before * c_.depth() * gemm_panel, c_.bias + before * gemm_panel,
                1, c_.rows, static_cast<int32_t>(c_.depth()), pixels(rows), ends.epilogue};
    }

    void put(int64_t row, int64_t rows, int32_t first, int32_t last) const {
        const int64_t width = c_.window.out_width;
#if SHUFFLEKIT_VECTOR_BYTES == 64
        if (NarrowRows::fits(width, pixels(rows))) {
            const NarrowRows narrow(rows, c_.pitch(), width);
            return put_by(row, rows, first, last, [&]<Bounds B>(const float* from, const float* residual, float* to, Epilogue end) {
                narrow.put<B>(from, residual, to, end);
            });
        }
#endif
        put_by(row, rows, first, last, [&]<Bounds B>(const float* from, const float* residual, float* to, Epilogue end) {
            for (int64_t y = 0; y < rows; ++y)
                put_row<B>(from + y * c_.pitch(), residual ? residual + y * width : nullptr, to + y * width, width, end);
        });
    }

    // Calls put<B>(made, residual, out, end) for each channel.
    template <class Put>
    void put_by(int64_t row, int64_t rows, int32_t first, int32_t last, Put put) const {
        with_bounds(c_.epilogue.activation, [&]<Bounds B>() {
            for (int64_t n = gemm_first_row(c_.rows, first); n < gemm_first_row(c_.rows, last); ++n) {
                const int64_t channel = int64_t{group_} * c_.rows + n, at = row * c_.window.out_width;
                const float* residual = c_.residual.base ? c_.residual[channel] + at : nullptr;
                const Epilogue end = c_.epilogue.of(channel);
                const bool activates_here = residual || end.is_bounds();  // else all rows at once
                if (!activates_here) activate_stretch(out_ + outs_[n], pixels(rows), end);
                put.template operator()<B>(out_ + outs_[n], residual, c_.out[channel] + at, activates_here ? end : Epilogue{});
            }
        });
    }

    const ConvolutionFlat& c_;
    int32_t group_ = 0;
    float *const in_, *const out_;
    int32_t *const ins_, *const outs_;
};

}  // namespace

void convolution_flat(const ConvolutionFlat& c, float* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel,
                      int32_t last_panel) {
    const int32_t panels = gemm_panels(c.rows), width = c.window.out_width;
    Bands bands(c, scratch);
    for (int32_t group = first_panel / panels; group * panels < last_panel; ++group)
        bands.run(group, first_pixel / width, last_pixel / width, panels_of(c, group, first_panel, last_panel));
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
