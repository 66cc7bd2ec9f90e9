// Channels > rows > vectors of pixels > taps. On x86 and in WebAssembly 3x3 windows at stride 2, as stems have them, are not copied: the last of
// an output's three rows is the first of the next one's; or the rows' largest are split.
#include "kernels/max_pool_int8/max_pool_int8.h"

#include "kernels/int8_end.h"
#include "kernels/int8_split.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

constexpr int64_t most = SHUFFLEKIT_VECTOR_BYTES < 16 ? 16 : SHUFFLEKIT_VECTOR_BYTES;  // GCC compares wider ones byte by byte
using bytes_vector [[gnu::vector_size(most), gnu::aligned(1), gnu::may_alias]] = uint8_t;

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

#if defined(__AVX2__)

bool halves(const Window& w) {
    return w.kernel_y == 3 && w.kernel_x == 3 && w.stride_y == 2 && w.stride_x == 2 && w.dilation_y == 1 && w.dilation_x == 1;
}

// A vector of outputs of each row. Their columns 0 and 1 are words; what is left of three columns are the low bytes.
#if defined(__AVX512VNNI__)
struct Halves {
    static constexpr int64_t outputs = 32;
    using Vector = __m512i;
    const __mmask64 inside, inside_next;
    const __mmask32 put;

    Halves(const Window& w, int64_t first, int64_t x)
        : inside(some_bytes(-first, w.in_width - first)), inside_next(some_bytes(-first - 2, w.in_width - first - 2)),
          put(static_cast<__mmask32>(some_bytes(0, w.out_width - x))) {}

    static Vector none() { return _mm512_setzero_si512(); }
    static Vector largest(Vector a, Vector b) { return _mm512_max_epu8(a, b); }
    Vector row(const uint8_t* at) const {
        const __m512i both = _mm512_maskz_loadu_epi8(inside, at);
        return largest(largest(both, _mm512_srli_epi16(both, 8)), _mm512_maskz_loadu_epi8(inside_next, at + 2));
    }
    void store(uint8_t* to, Vector x) const { _mm256_mask_storeu_epi8(to, put, _mm512_cvtepi16_epi8(x)); }
};
#else
struct Halves {
    static constexpr int64_t outputs = 16;
    using Vector = __m256i;
    const __m256i inside, inside_next;
    const int64_t left;

    Halves(const Window& w, int64_t first, int64_t x) : inside(bytes(-first, w.in_width - first)), inside_next(bytes(-first - 2, w.in_width - first - 2)), left(w.out_width - x) {}

    static Vector none() { return _mm256_setzero_si256(); }
    static Vector largest(Vector a, Vector b) { return _mm256_max_epu8(a, b); }
    Vector row(const uint8_t* at) const {
        const auto load = [](const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); };
        const __m256i both = _mm256_and_si256(load(at), inside);
        return largest(largest(both, _mm256_srli_epi16(both, 8)), _mm256_and_si256(load(at + 2), inside_next));
    }
    void store(uint8_t* to, Vector x) const {
        const __m256i low = _mm256_and_si256(x, _mm256_set1_epi16(255)), packed = _mm256_permute4x64_epi64(_mm256_packus_epi16(low, low), 0xd8);
        const __m128i sixteen = _mm256_castsi256_si128(packed);
        if (left >= outputs) return _mm_storeu_si128(reinterpret_cast<__m128i*>(to), sixteen);
        alignas(16) uint8_t some[outputs];
        _mm_store_si128(reinterpret_cast<__m128i*>(some), sixteen), copy_few(to, some, left);
    }

  private:
    // The bytes [first, last) of a vector.
    static __m256i bytes(int64_t first, int64_t last) {
        const __m256i places = _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
        const auto than = [](int64_t place) { return _mm256_set1_epi8(static_cast<char>(within(place, -1, 32))); };
        return _mm256_and_si256(_mm256_cmpgt_epi8(places, than(first - 1)), _mm256_cmpgt_epi8(than(last), places));
    }
};
#endif

void pool_halves(const Window& w, const uint8_t* in, uint8_t* out) {
    for (int64_t x = 0; x < w.out_width; x += Halves::outputs) {
        const int64_t first = 2 * x - w.pad_x;
        const Halves halves(w, first, x);
        const auto row = [&](int64_t y) __attribute__((always_inline)) {
            y -= w.pad_y;
            return y >= 0 && y < w.in_height ? halves.row(in + y * w.in_width + first) : Halves::none();
        };
        Halves::Vector last = row(0);
        for (int64_t y = 0; y < w.out_height; ++y) {
            const Halves::Vector above = last;
            last = row(2 * y + 2);
            halves.store(out + y * w.out_width + x, Halves::largest(Halves::largest(above, row(2 * y + 1)), last));
        }
    }
}

#elif defined(__wasm_simd128__)

// With a border of one pixel before the first, and none behind the last.
bool halves(const Window& w) {
    const bool is_3x3 = w.kernel_y == 3 && w.kernel_x == 3 && w.stride_y == 2 && w.stride_x == 2 && w.dilation_y == 1 && w.dilation_x == 1;
    return is_3x3 && w.pad_y == 1 && w.pad_x == 1 && 2 * w.out_width == w.in_width && 2 * w.out_height == w.in_height && w.out_height > 1;
}

void pool_halves(const Window& w, const uint8_t* in, uint8_t* out) {
    const int64_t owned = plane_bytes(int64_t{w.out_height} * w.out_width, 1);
    for (int64_t y = 0; y < w.out_height; ++y) {
        const uint8_t* middle = in + 2 * y * w.in_width - 1;
        const uint8_t* above = middle - (y > 0 ? w.in_width : 0);  // a row counted twice changes no maximum
        for (int64_t x = 0; x < w.out_width; x += int8_lanes) {
            const auto largest = [&](int64_t at) {
                const v128_t two = wasm_u8x16_max(wasm_v128_load(above + at), wasm_v128_load(middle + at));
                return wasm_u8x16_max(two, wasm_v128_load(middle + w.in_width + at));
            };
            v128_t a = largest(2 * x);
            const v128_t b = largest(2 * x + 16), c = largest(2 * x + 32);
            if (x == 0) a = wasm_u8x16_replace_lane(a, 0, 0);
            const v128_t even = wasm_i8x16_shuffle(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            const v128_t odd = wasm_i8x16_shuffle(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            const v128_t next = wasm_i8x16_shuffle(even, c, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
            const v128_t found = wasm_u8x16_max(wasm_u8x16_max(even, odd), next);
            const int64_t pixel = y * w.out_width + x;
            if (pixel + int8_lanes <= owned) {  // the next row overwrites
                wasm_v128_store(out + pixel, found);
            } else {
                uint8_t bytes[int8_lanes];
                wasm_v128_store(bytes, found);
                copy_few(out + pixel, bytes, w.out_width - x);
            }
        }
    }
}

#endif

}  // namespace

void max_pool_int8(const MaxPoolInt8& m, uint8_t* scratch, int32_t first_channel, int32_t last_channel) {
    const Window& w = m.window;
#if defined(__AVX2__) || defined(__wasm_simd128__)
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
