// Channels > rows > 64 pixels > taps.
#include "kernels/max_pool_int8/max_pool_int8.h"

#include "kernels/int8_split.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

constexpr int64_t most = 64;

// Behind the row's end too, which costs no branch.
void pool_some(const PhasePlanes& planes, int64_t y, int64_t x, int64_t count, uint8_t* out) {
    const Window& w = planes.w;
    alignas(64) uint8_t largest[most] = {};
    for (int64_t i = 0; i < w.kernel_y; ++i)
        for (int64_t j = 0; j < w.kernel_x; ++j) {
            const uint8_t* in = planes.tap(i, j) + y * planes.phases.columns + x;
            for (int64_t p = 0; p < most; ++p) largest[p] = in[p] > largest[p] ? in[p] : largest[p];
        }
    __builtin_memcpy(out, largest, static_cast<unsigned long>(count));
}

}  // namespace

void max_pool_int8(const MaxPoolInt8& m, uint8_t* scratch, int32_t first_channel, int32_t last_channel) {
    const Window& w = m.window;
    const PhasePlanes planes(w, scratch);
    for (int64_t channel = first_channel; channel < last_channel; ++channel) {
        split(planes, m.in[channel], 0);
        for (int64_t y = 0; y < w.out_height; ++y)
            for (int64_t x = 0; x < w.out_width; x += most)
                pool_some(planes, y, x, w.out_width - x < most ? w.out_width - x : most, m.out[channel] + y * w.out_width + x);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
