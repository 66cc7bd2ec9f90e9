// Contract of a dense convolution followed by 3x3 max pooling of stride 2, the stem of many networks: rows of the convolution are
// pooled while they are in the cache and never reach the arena. Input planes may be tight.
//
//   out[n][y, x] = max of act(convolution[n]) over the pooling window's pixels that lie in the convolution's output, a NaN with one
//                  among them
//
// with `convolution` as in convolution.h: one group, no residual, the variant `rows`; its `out` is that of the
// pooling. `pool` is 3x3 with stride 2, a padding of 1 above, below and on both sides, and sees the input everywhere.
//
// scratch: scratch() floats of the calling thread, on a 64-byte border.
// A call works on rows [first_row, last_row) of the pooling's output.
#pragma once

#include "kernels/convolution/convolution.h"

namespace shufflekit {

constexpr bool pools_stem(const Window& w) {
    return w.kernel_y == 3 && w.kernel_x == 3 && w.stride_y == 2 && w.stride_x == 2 && w.pad_y == 1 && w.pad_x == 1 && w.dilation_y == 1 &&
           w.dilation_x == 1 && w.out_height == (w.in_height + 1) / 2 && w.out_width == (w.in_width + 1) / 2;
}

struct ConvolutionPool {
    ConvolutionRows convolution;
    Window pool;

    using Function = void(const ConvolutionPool&, float* scratch, int32_t first_row, int32_t last_row);

    // A row of the convolution's output in scratch, with room for the last vectors that are read.
    int64_t pitch() const {
        return (int64_t{convolution.window.out_width} + plane_alignment - 1) / plane_alignment * plane_alignment + plane_alignment;
    }
    // A vector that is read before the first row, three rows of each channel, where they start, and the convolution's own.
    int64_t scratch() const { return plane_alignment + int64_t{convolution.rows} * (3 * pitch() + 1) + convolution.scratch(); }

    template <class Step>
    void read(Step& step) {
        Convolution& c = convolution;
        c.groups = 1;
        step.count("rows", c.rows), step.count("in_channels", c.in_channels);
        step.window("window", c.window), step.window("pool_window", pool);
        step.written(c.out, c.rows, step.product("pool_window", pool.out_height, pool.out_width));
        c.read_operands(step), c.read_panels(step);
        step.require(convolution.takes(), "window", "one whose output is at least 16 pixels wide");
        step.require(pools_stem(pool) && pool.in_height == c.window.out_height && pool.in_width == c.window.out_width, "pool_window",
                     "3x3 with stride 2 and padding 1 on the convolution's output");
        step.product("rows", c.rows, 3 * pitch());
        step.scratch(scratch());
    }
    void at(const void* from, void* to, const void*) { convolution.in.at(from), convolution.out.at(to); }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        run_share(share(pool.out_height, 1, part, parts), kernel, *this, static_cast<float*>(scratch));
    }
};

}  // namespace shufflekit
