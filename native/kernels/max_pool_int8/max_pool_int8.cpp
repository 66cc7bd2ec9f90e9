// Channels > rows > vectors of pixels > taps. With VNNI's set 3x3 windows at stride 2, as stems have them, are not copied: columns 0 and 1 of an
// output are a word, and the last of its three rows is the first of the next output's.
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

#if defined(__AVX512VNNI__)

bool halves(const Window& w) {
    return w.kernel_y == 3 && w.kernel_x == 3 && w.stride_y == 2 && w.stride_x == 2 && w.dilation_y == 1 && w.dilation_x == 1;
}

void pool_halves(const Window& w, const uint8_t* in, uint8_t* out) {
    for (int64_t x = 0; x < w.out_width; x += 32) {
        const int64_t first = 2 * x - w.pad_x;
        const __mmask64 inside = some_bytes(-first, w.in_width - first), inside_next = some_bytes(-first - 2, w.in_width - first - 2);
        const auto put = static_cast<__mmask32>(some_bytes(0, w.out_width - x));
        const auto row = [&](int64_t y) __attribute__((always_inline)) {
            y -= w.pad_y;
            const bool is_inside = y >= 0 && y < w.in_height;
            const uint8_t* at = in + y * w.in_width + first;
            const __m512i both = _mm512_maskz_loadu_epi8(is_inside ? inside : 0, at), next = _mm512_maskz_loadu_epi8(is_inside ? inside_next : 0, at + 2);
            return _mm512_max_epu8(_mm512_max_epu8(both, _mm512_srli_epi16(both, 8)), next);  // the low bytes
        };
        __m512i last = row(0);
        for (int64_t y = 0; y < w.out_height; ++y) {
            const __m512i above = last;
            last = row(2 * y + 2);
            const __m512i largest = _mm512_max_epu8(_mm512_max_epu8(above, row(2 * y + 1)), last);
            _mm256_mask_storeu_epi8(out + y * w.out_width + x, put, _mm512_cvtepi16_epi8(largest));
        }
    }
}

#endif

}  // namespace

void max_pool_int8(const MaxPoolInt8& m, uint8_t* scratch, int32_t first_channel, int32_t last_channel) {
    const Window& w = m.window;
#if defined(__AVX512VNNI__)
    if (halves(w)) {
        for (int64_t channel = first_channel; channel < last_channel; ++channel) pool_halves(w, m.in[channel], m.out[channel]);
        return;
    }
#endif
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
