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

// Asks for bytes that are read soon: planes that another thread wrote are far away, and what is made of one leaves no room to begin the next.
inline void fetch_bytes(const uint8_t* from, int64_t count) {
    for (int64_t i = 0; i < count; i += 64) __builtin_prefetch(from + i);
}

// Strides across of 1 and 2. Whole vectors: what the last of a row has too much lies in the next row, or in the first vector of one, which
// is put later.
inline void split_vectors(const PhasePlanes& taps, const uint8_t* plane, uint8_t fill, int64_t phases_y, int64_t phases_x) {
    const Window& w = taps.w;
    const __m512i none = _mm512_set1_epi8(static_cast<char>(fill));
    const int64_t step = 64 / w.stride_x, columns = taps.phases.columns, rows = taps.phases.rows;
    for (int64_t x = (columns - 1) / step * step; x >= 0; x -= step) {
        const int64_t column = w.stride_x * x - w.pad_x;
        const __mmask64 inside = some_bytes(-column, w.in_width - column);
        for (int64_t phase_y = 0; phase_y < phases_y; ++phase_y) {
            uint8_t *even = taps.phase(phase_y, 0) + x, *odd = taps.phase(phase_y, 1) + x;
            int64_t row = phase_y - w.pad_y;
            for (int64_t y = 0; y < rows; ++y, row += w.stride_y, even += columns, odd += columns) {
                const bool is_inside = row >= 0 && row < w.in_height;
                const __m512i both = is_inside ? _mm512_mask_loadu_epi8(none, inside, plane + row * w.in_width + column) : none;
                if (w.stride_x == 1) {
                    _mm512_storeu_si512(even, both);
                    continue;
                }
                _mm256_storeu_si256(reinterpret_cast<__m256i*>(even), _mm512_cvtepi16_epi8(both));
                if (phases_x > 1) _mm256_storeu_si256(reinterpret_cast<__m256i*>(odd), _mm512_cvtepi16_epi8(_mm512_srli_epi16(both, 8)));
            }
        }
    }
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
#if defined(__AVX512VNNI__)
    if (w.stride_x <= 2) return split_vectors(taps, plane, fill, phases_y, phases_x);
#endif
    for (int64_t y = 0; y < taps.phases.rows; ++y)
        for (int64_t phase_y = 0; phase_y < phases_y; ++phase_y) {
            const int64_t from = y * w.stride_y + phase_y - w.pad_y, at = y * taps.phases.columns;
            const bool is_inside = from >= 0 && from < w.in_height;
            const uint8_t* row = plane + from * w.in_width;
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
