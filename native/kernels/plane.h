// How kernels see a tensor of one image: channel c is a dense plane of height x width floats (rows height, no gaps), and the
// planes lie anywhere: plane c starts at base + offsets[c]. Split, concat and channel shuffle are other lists of offsets.
//
// A plane of more than one pixel in the arena owns `plane_floats(pixels)` floats from its start, on a 64-byte border; kernels
// may read and write the ones past its last pixel, whose values mean nothing. So whole vectors need no mask. A plane of one
// pixel owns just that float. The planes of the network's input are the caller's: dense and not padded, so only kernels whose
// contract says "input planes may be tight" read them.
#pragma once

#include <cstdint>

namespace shufflekit {

inline constexpr int64_t window_slack = 64;  // floats of readable memory before and behind the arena

inline constexpr int64_t plane_alignment = 16;  // floats: the widest vector, and a cache line

// Floats that a plane owns. A plane stride that is a multiple of 2 KiB would put all planes into a few cache sets.
constexpr int64_t plane_floats(int64_t pixels) {
    if (pixels == 1) return 1;
    const int64_t floats = (pixels + plane_alignment - 1) / plane_alignment * plane_alignment;
    return floats % 512 ? floats : floats + plane_alignment;
}

struct Planes {
    const float* base;
    const int32_t* offsets;  // in floats, one a channel
    const float* operator[](int64_t c) const { return base + offsets[c]; }
};

struct MutablePlanes {
    float* base;
    const int32_t* offsets;
    float* operator[](int64_t c) const { return base + offsets[c]; }
};

// Windows that slide over a plane: output pixel (y, x) sees input rows y * stride_y - pad_y + i * dilation_y, 0 <= i < kernel_y;
// rows outside of the input are the padding. Columns likewise. Padding on the right and below follows from the output's size.
struct Window {
    int32_t in_height, in_width, out_height, out_width;
    int32_t kernel_y, kernel_x, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x;
};

// Whether window_3x3.h does these windows: outside of the input they reach one row or column at most, and middle columns never.
constexpr bool slides_3x3(const Window& w) {
    return w.kernel_y == 3 && w.kernel_x == 3 && w.dilation_y == 1 && w.dilation_x == 1 && w.stride_y == w.stride_x && w.stride_x <= 2 &&
           w.pad_y <= 1 && w.pad_x <= 1 && (w.out_width - 1) * w.stride_x - w.pad_x + 1 < w.in_width &&
           (w.out_height - 1) * w.stride_y - w.pad_y + 1 < w.in_height;
}

}  // namespace shufflekit
