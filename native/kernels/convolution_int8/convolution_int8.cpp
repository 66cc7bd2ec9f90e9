// Groups > planes, which are copied into phases; then the GEMM of bytes over a table of taps. What it makes of the border is dropped. Of
// narrow outputs each tap's pixels are copied once more, without the border, or at once where AVX-512 can.
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
};

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

#if defined(__AVX512VNNI__)
// Likewise of all channels where outputs are as wide as their inputs: a tap sees the plane as it lies, but for pixels of the border.
// Inlined, other windows' loops took 3 % longer.
[[gnu::noinline]] void gather_same(const ConvolutionInt8& c, int64_t first_channel, uint8_t* copies, const int32_t* table) {
    const Window& w = c.window;
    const int64_t taps = int64_t{w.kernel_y} * w.kernel_x;
    for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t pixel = 0; pixel < c.out_pixels(); pixel += 64) {
            const int64_t down = tap / w.kernel_x * w.dilation_y - w.pad_y, across = tap % w.kernel_x * w.dilation_x - w.pad_x;
            __mmask64 inside = 0;
            for (int64_t y = pixel / w.out_width; y < w.out_height && y * w.out_width < pixel + 64; ++y)
                if (y + down >= 0 && y + down < w.in_height) {
                    const int64_t row = y * w.out_width - pixel;
                    inside |= some_bytes(row + (across < 0 ? -across : 0), row + w.out_width - (across > 0 ? across : 0));
                }
            const int64_t at = pixel + down * w.in_width + across;
            for (int64_t channel = 0; channel < c.in_channels; ++channel) {
                const __m512i fill = _mm512_set1_epi8(static_cast<char>(c.fill[first_channel + channel]));
                _mm512_store_si512(copies + table[channel * taps + tap] + pixel, _mm512_mask_loadu_epi8(fill, inside, c.in[first_channel + channel] + at));
            }
        }
}
#endif

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
    const bool is_dense = c.is_dense();
    const auto depth = static_cast<int32_t>(c.depth()), panels = static_cast<int32_t>(int8_panels(c.rows));
    const int64_t of_channel = c.of_channel();
    uint8_t* const copies = scratch + gemm_int8_scratch(depth);
    auto* const table = reinterpret_cast<int32_t*>(copies + c.copies());
    Places places;
    const PhasePlanes first_planes(w, copies);
    const int64_t taps = int64_t{w.kernel_y} * w.kernel_x, step = is_dense ? taps * c.dense_bytes() : of_channel;  // from a channel to the next
    for (int64_t tap = 0; tap < taps; ++tap)
        table[tap] = static_cast<int32_t>(is_dense ? of_channel + tap * c.dense_bytes() : first_planes.tap(tap / w.kernel_x, tap % w.kernel_x) - copies);
    for (int64_t channel = 1; channel < c.in_channels; ++channel)
        for (int64_t tap = 0; tap < taps; ++tap) table[channel * taps + tap] = table[tap] + static_cast<int32_t>(channel * step);
    for (int32_t group = first_panel / panels; group * panels < last_panel; ++group) {
        const int64_t first_channel = int64_t{group} * c.in_channels;
#if defined(__AVX512VNNI__)
        const bool is_same = is_dense && w.stride_y == 1 && w.stride_x == 1 && w.in_width == w.out_width;
        if (is_same) gather_same(c, first_channel, copies, table);
#else
        constexpr bool is_same = false;
#endif
        for (int64_t channel = 0; !is_same && channel < c.in_channels; ++channel) {
            const PhasePlanes planes(w, is_dense ? copies : copies + channel * of_channel);
#if defined(__AVX512VNNI__)
            if (channel + 1 < c.in_channels) fetch_bytes(c.in[first_channel + channel + 1], int64_t{w.in_height} * w.in_width);
#endif
            split(planes, c.in[first_channel + channel], c.fill[first_channel + channel]);
            if (is_dense) gather(planes, copies + table[channel * taps], c.dense_bytes());
        }
        const OfGroup gemm{{copies, table}, c.weights + int64_t{group} * panels * int8_fours(depth) * 16, c.ends + int64_t{group} * c.rows, 1, c.rows, depth,
                           static_cast<int32_t>(c.pixels()), c, int64_t{group} * c.rows, c.columns(), c.seven_bits, &places};
        const int32_t first = first_panel - group * panels, last = last_panel - group * panels;
        multiply(gemm, scratch, first_pixel, last_pixel, first > 0 ? first : 0, last < panels ? last : panels);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
