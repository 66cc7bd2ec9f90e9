// Planes of bytes as windows are slid over them.
#pragma once

#include "kernels/plane.h"

namespace shufflekit {

// A plane is copied with its border and split by stride into phases, whose rows lie one behind another: pixel (y, x) of the output is
// number y * columns + x, and sees for every tap the number so many further in one phase. What is computed for the border is dropped.
struct Phases {
    int64_t columns, rows, pixels, bytes;  // of one phase; `pixels` are up to the last of the output

    [[gnu::always_inline]] constexpr explicit Phases(const Window& w)
        : columns(w.out_width + (int64_t{w.kernel_x} - 1) * w.dilation_x / w.stride_x), rows(w.out_height + (int64_t{w.kernel_y} - 1) * w.dilation_y / w.stride_y),
          pixels((w.out_height - 1) * columns + w.out_width), bytes((rows * columns + 63) / 64 * 64 + 128) {}

    static constexpr int64_t count(const Window& w) { return int64_t{w.stride_y} * w.stride_x; }
};

}  // namespace shufflekit
