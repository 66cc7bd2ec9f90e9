// Planes copied into phases.
#pragma once

#include "kernels/int8_phases.h"
#include "kernels/isa.h"

#if defined(__AVX512VNNI__)
#include <immintrin.h>
#endif

namespace shufflekit::SHUFFLEKIT_ISA {

// The phases of one plane.
struct PhasePlanes {
    const Window& w;
    const Phases phases;
    uint8_t* const planes;

    PhasePlanes(const Window& w, uint8_t* planes) : w(w), phases(w), planes(planes) {}

    uint8_t* phase(int64_t y, int64_t x) const { return planes + (y * w.stride_x + x) * phases.bytes; }
    // What tap row i sees of column phase x.
    const uint8_t* row(int64_t i, int64_t x) const {
        const int64_t down = i * w.dilation_y;
        return phase(down % w.stride_y, x) + down / w.stride_y * phases.columns;
    }
    const uint8_t* tap(int64_t i, int64_t j) const {
        const int64_t across = j * w.dilation_x;
        return row(i, across % w.stride_x) + across / w.stride_x;
    }
};

#if defined(__AVX512VNNI__)

// The bytes [first, last) of a vector.
[[gnu::always_inline]] inline __mmask64 some_bytes(int64_t first, int64_t last) {
    const auto below = [](int64_t n) -> uint64_t { return n <= 0 ? 0 : n >= 64 ? ~uint64_t{0} : (uint64_t{1} << n) - 1; };
    return below(last) & ~below(first);
}

inline void copy_bytes(uint8_t* to, const uint8_t* from, int64_t count) {
    for (int64_t i = 0; i < count; i += 64) {
        const __mmask64 inside = some_bytes(0, count - i);
        _mm512_mask_storeu_epi8(to + i, inside, _mm512_maskz_loadu_epi8(inside, from + i));
    }
}

// Columns first, first + 1, ... of a row, `fill` where there are none.
[[gnu::always_inline]] inline __m512i columns(const uint8_t* row, int64_t first, int32_t width, __m512i fill) {
    return _mm512_mask_loadu_epi8(fill, some_bytes(-first, width - first), row + first);
}

// Whole vectors: what a row has too much, the next one overwrites.
inline bool split_row(const PhasePlanes& taps, const uint8_t* row, __m512i fill, int64_t phase_y, int64_t at) {
    const Window& w = taps.w;
    if (w.stride_x == 1) {
        for (int64_t x = 0; x < taps.phases.columns; x += 64)
            _mm512_storeu_si512(taps.phase(phase_y, 0) + at + x, columns(row, x - w.pad_x, w.in_width, fill));
        return true;
    }
    if (w.stride_x != 2) return false;
    for (int64_t x = 0; x < taps.phases.columns; x += 32) {
        const __m512i both = columns(row, 2 * x - w.pad_x, w.in_width, fill);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(taps.phase(phase_y, 0) + at + x), _mm512_cvtepi16_epi8(both));
        if (w.kernel_x > 1) _mm256_storeu_si256(reinterpret_cast<__m256i*>(taps.phase(phase_y, 1) + at + x), _mm512_cvtepi16_epi8(_mm512_srli_epi16(both, 8)));
    }
    return true;
}

#else

inline void copy_bytes(uint8_t* to, const uint8_t* from, int64_t count) { __builtin_memcpy(to, from, static_cast<unsigned long>(count)); }

#endif

// An attribute behind the = would leave Clang's alignment as it is.
using Sixteen [[gnu::vector_size(16), gnu::aligned(1), gnu::may_alias]] = uint8_t;

// to[i] = from[i * step], and up to 15 bytes more, which the next bytes are written over.
inline void pick(uint8_t* to, const uint8_t* from, int64_t count, int64_t step) {
    using words [[gnu::vector_size(32), gnu::aligned(1), gnu::may_alias]] = uint16_t;
    if (step == 1)
        for (int64_t i = 0; i < count; i += 16) *reinterpret_cast<Sixteen*>(to + i) = *reinterpret_cast<const Sixteen*>(from + i);
    else if (step == 2)  // the low byte of each word
        for (int64_t i = 0; i < count; i += 16) *reinterpret_cast<Sixteen*>(to + i) = __builtin_convertvector(*reinterpret_cast<const words*>(from + 2 * i), Sixteen);
    else
        for (int64_t i = 0; i < count; ++i) to[i] = from[i * step];
}

// Likewise.
inline void fill_with(uint8_t* to, uint8_t fill, int64_t count) {
    for (int64_t i = 0; i < count; i += 16) *reinterpret_cast<Sixteen*>(to + i) = fill - Sixteen{};
}

inline constexpr int64_t within(int64_t x, int64_t least, int64_t most) { return x < least ? least : x < most ? x : most; }

inline void split(const PhasePlanes& taps, const uint8_t* plane, uint8_t fill) {
    const Window& w = taps.w;
    const int64_t phases_y = w.kernel_y > 1 ? w.stride_y : 1, phases_x = w.kernel_x > 1 ? w.stride_x : 1;  // that a tap sees
    for (int64_t y = 0; y < taps.phases.rows; ++y)
        for (int64_t phase_y = 0; phase_y < phases_y; ++phase_y) {
            const int64_t from = y * w.stride_y + phase_y - w.pad_y, at = y * taps.phases.columns;
            const bool is_inside = from >= 0 && from < w.in_height;
            const uint8_t* row = plane + from * w.in_width;
#if defined(__AVX512VNNI__)
            if (is_inside && split_row(taps, row, _mm512_set1_epi8(static_cast<char>(fill)), phase_y, at)) continue;
#endif
            for (int64_t phase_x = 0; phase_x < phases_x; ++phase_x) {
                uint8_t* to = taps.phase(phase_y, phase_x) + at;
                const int64_t columns = is_inside ? taps.phases.columns : 0, shift = phase_x - w.pad_x;  // column x is x * stride + shift of the row
                const int64_t first = within((w.stride_x - 1 - shift) / w.stride_x, 0, columns);
                const int64_t last = within((w.in_width + w.stride_x - 1 - shift) / w.stride_x, first, columns);
                fill_with(to, fill, first);
                pick(to + first, row + first * w.stride_x + shift, last - first, w.stride_x);
                fill_with(to + last, fill, taps.phases.columns - last);
            }
        }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
