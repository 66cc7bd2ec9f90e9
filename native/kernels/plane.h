// How kernels see a tensor of one image: channel c is a dense plane of height x width elements (rows height, no gaps), and the
// planes lie anywhere: plane c starts at base + offsets[c]. Split, concat and channel shuffle are other lists of offsets.
//
// A plane of more than one pixel in the arena owns `plane_bytes(pixels, element)` bytes from its start, on a 64-byte border; kernels
// may read and write the ones past its last pixel, whose values mean nothing. So whole vectors need no mask. A plane of one
// pixel owns just that element. The planes of the network's inputs are the caller's: dense and not padded, so only kernels whose
// contract says "input planes may be tight" read them.
#pragma once

#include <cstdint>

namespace shufflekit {

inline constexpr int64_t window_slack = 64;  // floats of readable memory before and behind the arena

inline constexpr int64_t plane_border = 64;                             // bytes: the widest vector, and a cache line
inline constexpr int64_t plane_alignment = plane_border / sizeof(float);  // floats

// Bytes that a plane of elements of so many bytes owns. A plane stride that is a multiple of 2 KiB would put all planes into a few
// cache sets.
constexpr int64_t plane_bytes(int64_t pixels, int64_t element) {
    if (pixels == 1) return element;
    const int64_t bytes = (pixels * element + plane_border - 1) / plane_border * plane_border;
    return bytes % 2048 ? bytes : bytes + plane_border;
}
constexpr int64_t plane_floats(int64_t pixels) { return plane_bytes(pixels, sizeof(float)) / static_cast<int64_t>(sizeof(float)); }

template <class T>
struct ReadPlanes {
    const T* base;
    const int32_t* offsets;  // in elements, one a channel
    const T* operator[](int64_t c) const { return base + offsets[c]; }
    void at(const void* memory) { base = static_cast<const T*>(memory); }
};

template <class T>
struct WrittenPlanes {
    T* base;
    const int32_t* offsets;
    T* operator[](int64_t c) const { return base + offsets[c]; }
    void at(void* memory) { base = static_cast<T*>(memory); }
};

using Planes = ReadPlanes<float>;
using MutablePlanes = WrittenPlanes<float>;

// Windows that slide over a plane: output pixel (y, x) sees input rows y * stride_y - pad_y + i * dilation_y, 0 <= i < kernel_y;
// rows outside of the input are the padding. Columns likewise. Padding on the right and below follows from the output's size.
struct Window {
    int32_t in_height, in_width, out_height, out_width;
    int32_t kernel_y, kernel_x, stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x;
};

// Whether each position of a sliding window sees a pixel of the input.
constexpr bool sees_input(int64_t out, int64_t in, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
    for (int64_t at = 0; at < out; ++at) {
        const int64_t begin = at * stride - pad, last = begin + (kernel - 1) * dilation;
        const int64_t first = begin >= 0 ? begin : begin + (-begin + dilation - 1) / dilation * dilation;
        if (first > last || first >= in) return false;
    }
    return true;
}
constexpr bool sees_input(const Window& w) {
    return sees_input(w.out_height, w.in_height, w.kernel_y, w.stride_y, w.pad_y, w.dilation_y) &&
           sees_input(w.out_width, w.in_width, w.kernel_x, w.stride_x, w.pad_x, w.dilation_x);
}

// Whether window_3x3.h does these windows: outside of the input they reach one row or column at most, and middle columns never.
constexpr bool slides_3x3(const Window& w) {
    return w.kernel_y == 3 && w.kernel_x == 3 && w.dilation_y == 1 && w.dilation_x == 1 && w.stride_y == w.stride_x && w.stride_x <= 2 &&
           w.pad_y <= 1 && w.pad_x <= 1 && (w.out_width - 1) * w.stride_x - w.pad_x + 1 < w.in_width &&
           (w.out_height - 1) * w.stride_y - w.pad_y + 1 < w.in_height;
}

}  // namespace shufflekit
