// Channels > rows > vectors of pixels > taps.
#include "kernels/max_pool_int8/max_pool_int8.h"

#include "kernels/int8_split.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

constexpr int64_t most = SHUFFLEKIT_VECTOR_BYTES < 16 ? 16 : SHUFFLEKIT_VECTOR_BYTES;  // GCC compares wider ones byte by byte
using bytes_vector = uint8_t __attribute__((vector_size(most), aligned(1), may_alias));

// Behind the row's end too, which costs no branch, and which the next row is written over: all but the plane's last bytes are whole vectors.
[[gnu::always_inline]] inline void pool_some(const uint8_t* in, const int32_t* offsets, int64_t taps, int64_t count, uint8_t* out) {
    bytes_vector largest = {};
    for (int64_t t = 0; t < taps; ++t) {
        const bytes_vector x = *reinterpret_cast<const bytes_vector*>(in + offsets[t]);
        largest = x > largest ? x : largest;
    }
    if (count >= most) {
        *reinterpret_cast<bytes_vector*>(out) = largest;
        return;
    }
    __builtin_memcpy(out, &largest, static_cast<unsigned long>(count));
}

}  // namespace

void max_pool_int8(const MaxPoolInt8& m, uint8_t* scratch, int32_t first_channel, int32_t last_channel) {
    const Window& w = m.window;
    const PhasePlanes planes(w, scratch);
    const int64_t columns = planes.phases.columns, taps = int64_t{w.kernel_y} * w.kernel_x;
    const int64_t owned = plane_bytes(int64_t{w.out_height} * w.out_width, 1);
    auto* const offsets = reinterpret_cast<int32_t*>(scratch + planes.phases.count(w) * planes.phases.bytes);
    for (int64_t i = 0; i < w.kernel_y; ++i)
        for (int64_t j = 0; j < w.kernel_x; ++j) offsets[i * w.kernel_x + j] = static_cast<int32_t>(planes.tap(i, j) - scratch);
    for (int64_t channel = first_channel; channel < last_channel; ++channel) {
        split(planes, m.in[channel], 0);
        for (int64_t y = 0; y < w.out_height; ++y)
            for (int64_t x = 0; x < w.out_width; x += most) {
                const int64_t pixel = y * w.out_width + x;
                pool_some(scratch + y * columns + x, offsets, taps, pixel + most <= owned ? most : w.out_width - x, m.out[channel] + pixel);
            }
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
