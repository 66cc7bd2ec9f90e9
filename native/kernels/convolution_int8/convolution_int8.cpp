// Groups > planes, which are copied into phases; then the GEMM of bytes over a table of taps. What it makes of the border is dropped. Of
// narrow outputs each tap's pixels are copied once more, without the border; AVX-512 reads planes, or their phases, as they lie, under masks.
#include "kernels/convolution_int8/convolution_int8.h"

#include "kernels/int8_end.h"
#include "kernels/int8_split.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

// Where the pixels of a block lie in a plane, by rows. Divisions take as long as a tile's products: once a block.
struct Places {
    int64_t pixel = -1, count = 0;
    int32_t to[64];     // of the block's first pixel if it lay in that row
    uint64_t those[64];  // of the block's pixels
};

// A group's GEMM.
struct OfGroup {
    ReadPlanes<uint8_t> in;
    const int8_t* weights;
    const Int8End* ends;
    int32_t groups, rows, depth, pixels;
    const ConvolutionInt8& convolution;
    int64_t first_channel, columns;
    bool seven_bits;
    Places* places;
    const uint8_t* fill;  // of the channels that are read
    bool sees_planes;  // `in` has one for each channel, not for each operand
};

constexpr int64_t most_taps = 64;

// Whether a tap sees planes as they lie, or at strides of two their phases, but for pixels of the border.
bool sees_planes([[maybe_unused]] const ConvolutionInt8& c) {
#if defined(__AVX512VNNI__)
    const Window& w = c.window;
    const auto fits = [](int64_t stride, int64_t in, int64_t out) { return stride <= 2 && in == stride * out; };
    return c.is_dense() && fits(w.stride_y, w.in_height, w.out_height) && fits(w.stride_x, w.in_width, w.out_width) && int64_t{w.kernel_y} * w.kernel_x <= most_taps;
#else
    return false;
#endif
}
// The phases of such planes, without a border.
Window of_phases(const Window& w) {
    return {w.in_height, w.in_width, w.out_height, w.out_width, w.stride_y, w.stride_x, w.stride_y, w.stride_x, 0, 0, 1, 1};
}

#if defined(__AVX512VNNI__)
// What each tap sees of 64 pixels: where they begin behind the plane, and which are none of the border.
struct Taps {
    const OfGroup& g;
    int64_t at[most_taps];
    __mmask64 inside[most_taps];

    Taps(const OfGroup& g, int64_t pixel) : g(g) {
        const Window w = g.convolution.window, phase = of_phases(w);
        const int64_t width = w.out_width, height = w.out_height;
        for (int64_t tap = 0; tap < int64_t{w.kernel_y} * w.kernel_x; ++tap) {
            const int64_t i = tap / w.kernel_x * w.dilation_y - w.pad_y, j = tap % w.kernel_x * w.dilation_x - w.pad_x;
            const int64_t down = i >> (w.stride_y - 1), across = j >> (w.stride_x - 1);
            at[tap] = ((i - down * w.stride_y) * w.stride_x + j - across * w.stride_x) * Phases(phase).bytes + down * width + across + pixel;
            inside[tap] = 0;
            for (int64_t y = pixel / width; y < height && y * width < pixel + 64; ++y)
                if (y + down >= 0 && y + down < height)
                    inside[tap] |= some_bytes(y * width - pixel + (across < 0 ? -across : 0), y * width - pixel + width - (across > 0 ? across : 0));
        }
    }
};

struct Seen {
    const Taps& taps;
    int64_t channel = -1, tap = 0, count = 0;  // of taps; the first operand is that of channel 0
    const uint8_t* plane = nullptr;
    __m512i none{};

    [[gnu::always_inline]] __m512i next() {
        if (tap == count) {
            const ConvolutionInt8& c = taps.g.convolution;
            if (channel + 1 < c.in_channels) ++channel;
            tap = 0, count = int64_t{c.window.kernel_y} * c.window.kernel_x;
            plane = taps.g.in[channel], none = _mm512_set1_epi8(static_cast<char>(taps.g.fill[channel]));
        }
        const __m512i operand = _mm512_mask_loadu_epi8(none, taps.inside[tap], plane + taps.at[tap]);
        ++tap;
        return operand;
    }
};

// V vectors of 16 pixels, up to three in the order of pixels; of four, vector v has pixels 4 v to 4 v + 3 of each 16. `step`: bytes of a four of the depth.
template <int V>
void interleave(Seen from, int64_t depth, uint8_t* to, int64_t step) {
    const __m512i by_vectors = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    const auto next = [&]() __attribute__((always_inline)) {
        const __m512i operand = from.next();
        return V < 4 ? _mm512_permutexvar_epi32(by_vectors, operand) : operand;
    };
    for (int64_t k = 0; k < depth; k += 4, to += step) {
        const __m512i a = next(), b = next(), c = next(), d = next();
        const __m512i ab0 = _mm512_unpacklo_epi8(a, b), ab1 = _mm512_unpackhi_epi8(a, b);
        const __m512i cd0 = _mm512_unpacklo_epi8(c, d), cd1 = _mm512_unpackhi_epi8(c, d);
        _mm512_store_si512(to, _mm512_unpacklo_epi16(ab0, cd0));
        if constexpr (V > 1) _mm512_store_si512(to + 64, _mm512_unpackhi_epi16(ab0, cd0));
        if constexpr (V > 2) _mm512_store_si512(to + 128, _mm512_unpacklo_epi16(ab1, cd1));
        if constexpr (V > 3) _mm512_store_si512(to + 192, _mm512_unpackhi_epi16(ab1, cd1));
    }
}

// Each four of the operands four times, for one pixel or for four, one behind another.
template <int Pixels>
void spread(Seen from, int64_t fours, uint8_t* to) {
    const auto next = [&]() __attribute__((always_inline)) { return _mm512_castsi512_si128(from.next()); };
    for (int64_t k = 0; k < fours; ++k) {
        const __m128i a = next(), b = next(), c = next(), d = next();
        const __m128i pixels = _mm_unpacklo_epi16(_mm_unpacklo_epi8(a, b), _mm_unpacklo_epi8(c, d));
        auto* out = reinterpret_cast<__m128i*>(to) + k;
        _mm_store_si128(out, _mm_shuffle_epi32(pixels, 0x00));
        if constexpr (Pixels == 1) continue;
        _mm_store_si128(out + fours, _mm_shuffle_epi32(pixels, 0x55));
        _mm_store_si128(out + 2 * fours, _mm_shuffle_epi32(pixels, 0xaa)), _mm_store_si128(out + 3 * fours, _mm_shuffle_epi32(pixels, 0xff));
    }
}

// What `vectors` of tiles.h multiplies.
template <int V>
bool put_operands(const OfGroup& g, int64_t pixel, int64_t few, uint8_t* to, uint8_t* rest) {
    if (!g.sees_planes) return false;
    const int64_t depth = g.depth, fours = int8_fours(depth);
    if constexpr (V > 0) {
        const Taps taps(g, pixel);
        interleave<V < 4 ? V : 4>(Seen{taps}, depth, to, 64 * V);
    }
    if constexpr (V > 4) {
        const Taps taps(g, pixel + 64);
        interleave<V - 4>(Seen{taps}, depth, to + 256, 64 * V);
    }
    if (few) {
        const Taps taps(g, pixel + 16 * V);
        few == 1 ? spread<1>(Seen{taps}, fours, rest) : spread<4>(Seen{taps}, fours, rest);
    }
    return true;
}
#endif

// What each tap sees, one plane behind another, of at most 16 columns: whole vectors, of which the next row overwrites what is too much.
void gather(const PhasePlanes& planes, uint8_t* to, int64_t bytes) {
    const Window& w = planes.w;
    for (int64_t i = 0; i < w.kernel_y; ++i)
        for (int64_t j = 0; j < w.kernel_x; ++j, to += bytes) {
            const uint8_t* from = planes.tap(i, j);
            uint8_t* row = to;
            for (int64_t y = 1; y < w.out_height; ++y, row += w.out_width, from += planes.phases.columns)
                if (row + 16 <= to + bytes)
                    *reinterpret_cast<Sixteen*>(row) = *reinterpret_cast<const Sixteen*>(from);
                else
                    copy_few(row, from, w.out_width);
            copy_few(row, from, w.out_width);
        }
}

// Numbers that are pixels, one row behind another, and no border.
[[gnu::always_inline]] inline bool are_pixels(const OfGroup& g) { return g.columns == g.convolution.window.out_width; }

// task(from, to, count) for the pixels of some numbers: `from` counts from the first number, `to` in the plane.
template <class Task>
[[gnu::always_inline]] inline void each_row(const OfGroup& g, int64_t first, int64_t count, Task task) {
    const int64_t width = g.convolution.window.out_width;
    if (first + count > g.pixels) count = g.pixels - first;
    if (are_pixels(g)) return task(0, first, count);
    int64_t y = first / g.columns, x = first % g.columns;
    for (int64_t done = 0; done < count; ++y, x = 0) {
        const int64_t row = width - x < count - done ? width - x : count - done;
        if (row > 0) task(done, y * width + x, row);
        done += g.columns - x;
    }
}

// Where so many pixels lie in a plane, or less than 0 if they are not one behind another.
[[gnu::always_inline]] inline int64_t place_of(const OfGroup& g, int64_t pixel, int64_t count) {
    if (pixel + count > g.pixels) return -1;
    if (are_pixels(g)) return pixel;
    const int64_t width = g.convolution.window.out_width;
    const auto at = static_cast<uint32_t>(pixel), columns = static_cast<uint32_t>(g.columns);
#if defined(__wasm_simd128__)
    Places& places = *g.places;  // rows of a tile have the same
    if (places.pixel != pixel) places.pixel = pixel, places.to[0] = static_cast<int32_t>(at / columns);
    const int64_t y = places.to[0], x = at - y * columns;
#else
    const int64_t y = at / columns, x = at % columns;
#endif
    return x + count <= width ? y * width + x : -1;
}

// At most Most bytes, and one at least.
template <int Most>
[[gnu::always_inline]] inline void copy(uint8_t* to, const uint8_t* from, int64_t count) {
    if constexpr (Most == 1)
        *to = *from;
    else if constexpr (Most <= 16)
        copy_few(to, from, count);
    else if constexpr (Most <= 32 && SHUFFLEKIT_VECTOR_BYTES == 16)
        count > 16 ? (copy_few(to, from, 16), copy_few(to + 16, from + 16, count - 16)) : copy_few(to, from, count);
    else
        __builtin_memcpy(to, from, static_cast<unsigned long>(count));
}

#if defined(__AVX512VNNI__)
[[gnu::always_inline]] inline const Places& places_of(const OfGroup& g, int64_t pixel) {
    Places& places = *g.places;
    if (places.pixel == pixel) return places;
    places.pixel = pixel, places.count = 0;
    each_row(g, pixel, 64, [&](int64_t from, int64_t to, int64_t count) {
        places.to[places.count] = static_cast<int32_t>(to - from), places.those[places.count++] = some_bytes(from, from + count);
    });
    return places;
}

// 64 bytes at once, where they lie: vectors that begin before their first byte.
template <class Task>
[[gnu::always_inline]] inline void put_block(const OfGroup& g, int64_t channel, int64_t pixel, Task end) {
    const ConvolutionInt8& c = g.convolution;
    const Places& places = places_of(g, pixel);
    const bool has_residual = c.residual.base;
    if (places.those[0] == ~uint64_t{0}) return end(c.out[channel] + places.to[0], has_residual ? c.residual[channel] + places.to[0] : nullptr);
    alignas(64) uint8_t bytes[64], added[64];
    if (has_residual) {
        __m512i vector = _mm512_setzero_si512();
        for (int64_t i = 0; i < places.count; ++i) vector = _mm512_mask_loadu_epi8(vector, places.those[i], c.residual[channel] + places.to[i]);
        _mm512_store_si512(added, vector);
    }
    end(bytes, has_residual ? added : nullptr);
    const __m512i vector = _mm512_load_si512(bytes);
    for (int64_t i = 0; i < places.count; ++i) _mm512_mask_storeu_epi8(c.out[channel] + places.to[i], places.those[i], vector);
}
#endif

// Of so many pixels, or of `some` of them, where no more are the caller's.
template <int Count, class Task, class... Some>
[[gnu::always_inline]] inline void put(const OfGroup& g, int64_t channel, int64_t pixel, Task end, Some... some) {
    const ConvolutionInt8& c = g.convolution;
    channel += g.first_channel;
#if defined(__AVX512VNNI__)
    if constexpr (Count == 64) return put_block(g, channel, pixel, end);
#endif
    const bool has_residual = c.residual.base;
    const int64_t place = place_of(g, pixel, Count);
    if (place >= 0 && (true && ... && (some >= Count))) return end(c.out[channel] + place, has_residual ? c.residual[channel] + place : nullptr);
    alignas(64) uint8_t bytes[Count], added[Count] = {};
    int64_t inside = Count;
    ((inside = some < Count ? some : Count), ...);
    if (has_residual) each_row(g, pixel, inside, [&](int64_t from, int64_t to, int64_t count) { copy<Count>(added + from, c.residual[channel] + to, count); });
    end(bytes, has_residual ? added : nullptr);
    each_row(g, pixel, inside, [&](int64_t from, int64_t to, int64_t count) { copy<Count>(c.out[channel] + to, bytes + from, count); });
}

#if defined(__AVX512VNNI__)
template <int V>
[[gnu::always_inline]] inline void end(const OfGroup& g, int64_t channel, int64_t pixel, const __m512i (&sum)[V]) {
    put<16 * V>(g, channel, pixel, [&](uint8_t* to, const uint8_t* residual) __attribute__((always_inline)) { int8_end(to, sum, g.ends[channel], residual, g.convolution.has_plain_ends); });
}
#elif defined(__wasm_simd128__)
template <int V>
void end(const OfGroup& g, int64_t channel, int64_t pixel, const v128_t (&sum)[V], int64_t count) {
    put<4 * V>(
        g, channel, pixel, [&](uint8_t* to, const uint8_t* residual) __attribute__((always_inline)) { int8_end(to, sum, g.ends[channel], residual); }, count);
}
#elif defined(__AVX2__)
// Of 16 pixels of some channels: where they lie in a plane is found once.
template <int R>
[[gnu::always_inline]] inline void end_rows(const OfGroup& g, int64_t channel, int64_t pixel, const Sums (&sums)[R]) {
    const ConvolutionInt8& c = g.convolution;
    const Int8End* ends = g.ends + channel;
    const int64_t place = place_of(g, pixel, int8_lanes);
    channel += g.first_channel;
    if (place >= 0) {
        const auto to = [&](int64_t r) { return c.out[channel + r] + place; };
        if (!c.residual.base) return int8_end_rows(sums, ends, c.has_plain_ends, to, [](int64_t) -> const uint8_t* { return nullptr; });
        return int8_end_rows(sums, ends, c.has_plain_ends, to, [&](int64_t r) { return c.residual[channel + r] + place; });
    }
    alignas(16) uint8_t bytes[R][int8_lanes], added[R][int8_lanes] = {};
    const auto each_piece = [&](auto task) {
        each_row(g, pixel, int8_lanes, [&](int64_t from, int64_t to, int64_t count) {
            for (int r = 0; r < R; ++r) task(r, from, to, count);
        });
    };
    if (c.residual.base) each_piece([&](int r, int64_t from, int64_t to, int64_t count) { copy_few(added[r] + from, c.residual[channel + r] + to, count); });
    int8_end_rows(sums, ends, c.has_plain_ends, [&](int64_t r) { return bytes[r]; }, [&](int64_t r) { return c.residual.base ? added[r] : nullptr; });
    each_piece([&](int r, int64_t from, int64_t to, int64_t count) { copy_few(c.out[channel + r] + to, bytes[r] + from, count); });
}
#else
void end(const OfGroup& g, int64_t channel, int64_t pixel, const Sums& sum, int64_t) {
    put<int8_lanes>(g, channel, pixel, [&](uint8_t* to, const uint8_t* residual) { int8_end(to, sum, g.ends[channel], residual); });
}
#endif

#if defined(__AVX2__)
void end(const OfGroup& g, int64_t channel, int64_t pixel, int32_t sum) {
    put<1>(g, channel, pixel, [&](uint8_t* to, const uint8_t* residual) { *to = residual ? int8_ended(sum, g.ends[channel], *residual) : int8_ended(sum, g.ends[channel]); });
}
#endif

}  // namespace
}  // namespace shufflekit::SHUFFLEKIT_ISA

#include "kernels/gemm_int8/tiles.h"  // calls `end`

namespace shufflekit::SHUFFLEKIT_ISA {

void convolution_int8(const ConvolutionInt8& c, uint8_t* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    const Window& w = c.window;
    const bool sees = sees_planes(c), lie_as_seen = sees && w.stride_y * w.stride_x == 1, is_dense = c.is_dense() && !sees;
    const Window copied = sees ? of_phases(w) : w;
    const auto depth = static_cast<int32_t>(c.depth()), panels = static_cast<int32_t>(int8_panels(c.rows));
    uint8_t* const copies = scratch + gemm_int8_scratch(depth);
    auto* const table = reinterpret_cast<int32_t*>(copies + c.copies());
    Places places;
    // From a channel to the next, where its phases stay and where its operands are, or all that is seen of it.
    const int64_t of_channel = Phases::count(w) * Phases(copied).bytes, taps = sees ? 1 : int64_t{w.kernel_y} * w.kernel_x;
    const int64_t step = is_dense ? taps * c.dense_bytes() : of_channel;
    for (int64_t tap = 0; tap < taps; ++tap)
        table[tap] = static_cast<int32_t>(is_dense ? of_channel + tap * c.dense_bytes() : PhasePlanes(copied, copies).tap(tap / w.kernel_x, tap % w.kernel_x) - copies);
    for (int64_t channel = 1; channel < c.in_channels; ++channel)
        for (int64_t tap = 0; tap < taps; ++tap) table[channel * taps + tap] = table[tap] + static_cast<int32_t>(channel * step);
    for (int32_t group = first_panel / panels; group * panels < last_panel; ++group) {
        const int64_t first_channel = int64_t{group} * c.in_channels;
        for (int64_t channel = 0; !lie_as_seen && channel < c.in_channels; ++channel) {
            const PhasePlanes planes(copied, is_dense ? copies : copies + channel * of_channel);
#if defined(__AVX512VNNI__)
            if (channel + 1 < c.in_channels) fetch_bytes(c.in[first_channel + channel + 1], int64_t{w.in_height} * w.in_width);
#endif
            split(planes, c.in[first_channel + channel], c.fill[first_channel + channel]);
            if (is_dense) gather(planes, copies + table[channel * taps], c.dense_bytes());
        }
        const ReadPlanes<uint8_t> operands = lie_as_seen ? ReadPlanes<uint8_t>{c.in.base, c.in.offsets + first_channel} : ReadPlanes<uint8_t>{copies, table};
        const OfGroup gemm{operands, c.weights + int64_t{group} * panels * int8_fours(depth) * 16, c.ends + int64_t{group} * c.rows, 1, c.rows, depth,
                           static_cast<int32_t>(c.pixels()), c, int64_t{group} * c.rows, c.columns(), c.seven_bits, &places, c.fill + first_channel, sees};
        const int32_t first = first_panel - group * panels, last = last_panel - group * panels;
        multiply(gemm, scratch, first_pixel, last_pixel, first > 0 ? first : 0, last < panels ? last : panels);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
