// Channels > pixels > taps. With VNNI rows of taps of a pixel are one lane, made once for all columns of taps: a 3x3 window is 3 products
// of vectors for 16 pixels. With AVX2 alone pairs of rows are words: a 3x3 window is 6 products of vectors for 8 pixels. In WebAssembly, where
// each pair takes 17 instructions of a browser, the kernel of floats computes 3x3 windows.
#include "kernels/depthwise_int8/depthwise_int8.h"

#include "kernels/depthwise/depthwise.h"
#include "kernels/int8_end.h"
#include "kernels/int8_split.h"
#if defined(__wasm_simd128__)
#include "kernels/int8_dots.h"
#endif

namespace shufflekit::SHUFFLEKIT_ISA {

#if defined(__wasm_simd128__)
Depthwise::Function depthwise;
#endif

namespace {

struct Taps : PhasePlanes {
    const DepthwiseInt8& d;
    uint8_t *joined, *result;  // scratch

    Taps(const DepthwiseInt8& d, uint8_t* scratch)
        : PhasePlanes(d.window, scratch), d(d), joined(scratch + phases.count(w) * phases.bytes), result(joined + depthwise_int8_joined(w)) {}
};

#if defined(__AVX512VNNI__)

[[gnu::always_inline]] inline __m512i load(const uint8_t* p) { return _mm512_loadu_si512(p); }

// fours[p] = (a[p], b[p], c[p], d[p]) for 64 pixels.
[[gnu::always_inline]] inline void interleave(__m512i a, __m512i b, __m512i c, __m512i d, uint8_t* fours) {
    const __m512i ab0 = _mm512_unpacklo_epi8(a, b), ab1 = _mm512_unpackhi_epi8(a, b);
    const __m512i cd0 = _mm512_unpacklo_epi8(c, d), cd1 = _mm512_unpackhi_epi8(c, d);
    const __m512i x0 = _mm512_unpacklo_epi16(ab0, cd0), x1 = _mm512_unpackhi_epi16(ab0, cd0);
    const __m512i x2 = _mm512_unpacklo_epi16(ab1, cd1), x3 = _mm512_unpackhi_epi16(ab1, cd1);
    // Quarters of 4 pixels each: x0 has the first of every 16, and so on.
    const __m512i low01 = _mm512_shuffle_i32x4(x0, x1, 0x44), high01 = _mm512_shuffle_i32x4(x0, x1, 0xee);
    const __m512i low23 = _mm512_shuffle_i32x4(x2, x3, 0x44), high23 = _mm512_shuffle_i32x4(x2, x3, 0xee);
    _mm512_storeu_si512(fours, _mm512_shuffle_i32x4(low01, low23, 0x88));
    _mm512_storeu_si512(fours + 64, _mm512_shuffle_i32x4(low01, low23, 0xdd));
    _mm512_storeu_si512(fours + 128, _mm512_shuffle_i32x4(high01, high23, 0x88));
    _mm512_storeu_si512(fours + 192, _mm512_shuffle_i32x4(high01, high23, 0xdd));
}

// Four taps of a filter as they are multiplied; absent ones are 0.
[[gnu::always_inline]] inline int32_t joined(int8_t a, int8_t b, int8_t c, int8_t d) {
    const auto byte = [](int8_t x) { return uint32_t{static_cast<uint8_t>(x)}; };
    return static_cast<int32_t>(byte(a) | byte(b) << 8 | byte(c) << 16 | byte(d) << 24);
}
[[gnu::always_inline]] inline __m512i four(int8_t a, int8_t b, int8_t c, int8_t d) { return _mm512_set1_epi32(joined(a, b, c, d)); }

// The taps of a 5x5 window, as they are multiplied: columns 0 to 3 of each row, column 4 of rows 0 to 3, and the last one.
struct Fives {
    __m512i rows[5], column, last;

    explicit Fives(const int8_t* w) : column(four(w[4], w[9], w[14], w[19])), last(four(w[24], 0, 0, 0)) {
        for (int i = 0; i < 5; ++i) rows[i] = four(w[5 * i], w[5 * i + 1], w[5 * i + 2], w[5 * i + 3]);
    }
};

// Any window, without a residual: `taps.result` gets the pixels of phases.
void convolve(const Taps& taps, const int8_t* weights, const Int8End& end) {
    const Window& w = taps.w;
    const int64_t groups = (int64_t{w.kernel_y} + 3) / 4, beyond = (int64_t{w.kernel_x} - 1) * w.dilation_x / w.stride_x;
    const int64_t length = 4 * (depthwise_int8_chunk + beyond + 128);  // of the fours of one group of rows of one column phase
    int32_t filter[depthwise_int8_taps];
    for (int64_t group = 0; group < groups; ++group)
        for (int64_t j = 0; j < w.kernel_x; ++j) {
            const auto weight = [&](int64_t i) { return 4 * group + i < w.kernel_y ? weights[(4 * group + i) * w.kernel_x + j] : int8_t{0}; };
            filter[group * w.kernel_x + j] = joined(weight(0), weight(1), weight(2), weight(3));
        }
    for (int64_t first = 0; first < taps.phases.pixels; first += depthwise_int8_chunk) {
        const int64_t left = taps.phases.pixels - first, count = left < depthwise_int8_chunk ? left : depthwise_int8_chunk;
        for (int64_t x = 0; x < w.stride_x; ++x)
            for (int64_t group = 0; group < groups; ++group) {
                const uint8_t* rows[4];
                for (int64_t i = 0; i < 4; ++i) rows[i] = taps.row(4 * group + i < w.kernel_y ? 4 * group + i : 0, x) + first;
                uint8_t* fours = taps.joined + (x * groups + group) * length;
                for (int64_t p = 0; p < count + beyond; p += 64) interleave(load(rows[0] + p), load(rows[1] + p), load(rows[2] + p), load(rows[3] + p), fours + 4 * p);
            }
        for (int64_t p = 0; p < count; p += 64) {
            __m512i sum[4];
#pragma GCC unroll 4
            for (int v = 0; v < 4; ++v) sum[v] = _mm512_set1_epi32(end.bias);
            for (int64_t group = 0; group < groups; ++group)
                for (int64_t j = 0; j < w.kernel_x; ++j) {
                    const __m512i four_weights = _mm512_set1_epi32(filter[group * w.kernel_x + j]);
                    const int64_t across = j * w.dilation_x;
                    const uint8_t* fours = taps.joined + (across % w.stride_x * groups + group) * length + 4 * (p + across / w.stride_x);
#pragma GCC unroll 4
                    for (int v = 0; v < 4; ++v) sum[v] = _mm512_dpbusd_epi32(sum[v], load(fours + 64 * v), four_weights);
                }
#pragma GCC unroll 4
            for (int v = 0; v < 4; ++v) {
                const __m512i one[1] = {sum[v]};
                int8_end(taps.result + first + p + 16 * v, one, end, nullptr, false);
            }
        }
    }
}

// 3x3 windows at stride 1 that leave a plane's size: whole vectors of pixels run over the ends of rows, and masks take out what lies
// beyond. Nothing is copied.
class Flat {
  public:
    static bool fits(const Window& w) {
        return slides_3x3(w) && w.stride_x == 1 && w.pad_y == 1 && w.pad_x == 1 && w.out_height == w.in_height && w.out_width == w.in_width &&
               int64_t{w.in_height} * w.in_width > 1;
    }

    // The masks of all blocks lie in scratch.
    Flat(const Window& w, uint8_t* scratch) : width_(w.in_width), pixels_(int64_t{w.in_height} * w.in_width), blocks_(reinterpret_cast<Block*>(scratch)) {
        int32_t column = 0;
        for (int64_t first = 0; first < pixels_; first += 64) {
            Block& block = blocks_[first / 64];
            block = {{}, {}, some_bytes(width_ - first, 64), some_bytes(0, pixels_ - width_ - first)};
            for (int p = 0; p < 64; ++p) {  // pixel p is lane p / 16 * 4 + p % 4 of vector p / 4 % 4
                const int v = p / 4 % 4, lane = p / 16 * 4 + p % 4;
                block.left[v] |= static_cast<uint16_t>((column > 0) << lane), block.right[v] |= static_cast<uint16_t>((column < width_ - 1) << lane);
                if (++column == width_) column = 0;
            }
        }
    }

    void convolve(const uint8_t* plane, const int8_t* w, uint8_t fill_byte, const Int8End& end, uint8_t* out, const uint8_t* residual, bool is_plain) const {
        const __m512i fill = _mm512_set1_epi8(static_cast<char>(fill_byte));
        const __m512i weights[] = {four(w[0], w[3], w[6], 0), four(w[1], w[4], w[7], 0), four(w[2], w[5], w[8], 0)};
        __m512i before = fill, x[4], next[4];
        rows_of(plane, 0, fill, next);
        for (int64_t first = 0; first < pixels_; first += 64) {
            for (int v = 0; v < 4; ++v) x[v] = next[v];
            if (first + 64 < pixels_) rows_of(plane, first + 64, fill, next);
            // The pixel before that of a lane is in the vector before, or in the last one a quarter earlier.
            const __m512i earlier = _mm512_alignr_epi32(x[3], before, 12), later = _mm512_alignr_epi32(next[0], x[0], 4);
            const __m512i left[] = {_mm512_alignr_epi8(x[0], earlier, 12), _mm512_alignr_epi8(x[1], x[0], 12), _mm512_alignr_epi8(x[2], x[1], 12),
                                    _mm512_alignr_epi8(x[3], x[2], 12)};
            const __m512i right[] = {_mm512_alignr_epi8(x[1], x[0], 4), _mm512_alignr_epi8(x[2], x[1], 4), _mm512_alignr_epi8(x[3], x[2], 4),
                                     _mm512_alignr_epi8(later, x[3], 4)};
            const Block& block = blocks_[first / 64];
            __m512i sum[4];
#pragma GCC unroll 4
            for (int v = 0; v < 4; ++v) {
                sum[v] = _mm512_dpbusd_epi32(_mm512_set1_epi32(end.bias), x[v], weights[1]);
                sum[v] = _mm512_dpbusd_epi32(sum[v], _mm512_mask_blend_epi32(block.left[v], fill, left[v]), weights[0]);
                sum[v] = _mm512_dpbusd_epi32(sum[v], _mm512_mask_blend_epi32(block.right[v], fill, right[v]), weights[2]);
            }
            int8_end(out + first, sum, end, residual ? residual + first : nullptr, is_plain);
            before = x[3];
        }
    }

  private:
    struct Block {
        uint16_t left[4], right[4];  // lanes that have a pixel on that side
        uint64_t above, below;       // bytes that have one there
    };

    // The three rows around 64 pixels, a pixel's in a lane.
    [[gnu::always_inline]] void rows_of(const uint8_t* plane, int64_t first, __m512i fill, __m512i (&x)[4]) const {
        const Block& block = blocks_[first / 64];
        const __m512i a = _mm512_mask_loadu_epi8(fill, block.above, plane + first - width_), b = load(plane + first);
        const __m512i c = _mm512_mask_loadu_epi8(fill, block.below, plane + first + width_);
        const __m512i ab0 = _mm512_unpacklo_epi8(a, b), ab1 = _mm512_unpackhi_epi8(a, b), c0 = _mm512_unpacklo_epi8(c, c), c1 = _mm512_unpackhi_epi8(c, c);
        x[0] = _mm512_unpacklo_epi16(ab0, c0), x[1] = _mm512_unpackhi_epi16(ab0, c0);
        x[2] = _mm512_unpacklo_epi16(ab1, c1), x[3] = _mm512_unpackhi_epi16(ab1, c1);
    }

    const int32_t width_;
    const int64_t pixels_;
    Block* blocks_;
};

// Likewise of an even width: a lane is four columns of a row, the first three a pixel's and the last three those of the next one, which
// begins no row. So 64 pixels are two loads of a row, and nothing is unpacked.
class FlatPairs {
  public:
    static bool fits(const Window& w) { return Flat::fits(w) && w.in_width % 2 == 0; }

    FlatPairs(const Window& w, uint8_t* scratch) : width_(w.in_width), pixels_(int64_t{w.in_height} * w.in_width), blocks_(reinterpret_cast<Block*>(scratch)) {
        for (int64_t first = 0; first < pixels_; first += 64) {
            uint64_t columns[2] = {~uint64_t{0}, ~uint64_t{0}};
            const auto leave_out = [&](int side, int64_t byte) { columns[side] &= ~some_bytes(byte, byte + 1); };
            for (int64_t row = (width_ - first % width_) % width_; row <= 64; row += width_)  // pixels of a row are not beside those of another
                leave_out(0, row % 4 ? row + 1 : row), leave_out(1, row % 4 ? row - 2 : row - 1);
            for (int64_t i = 0; i < 3; ++i)
                for (int64_t side = 0; side < 2; ++side) {
                    const int64_t at = first + (i - 1) * width_ + 2 * side - 1;
                    blocks_[first / 64].rows[i][side] = columns[side] & some_bytes(-at, pixels_ - at);
                }
        }
    }

    void convolve(const uint8_t* plane, const int8_t* w, uint8_t fill_byte, const Int8End& end, uint8_t* out, const uint8_t* residual, bool is_plain) const {
        const __m512i fill = _mm512_set1_epi8(static_cast<char>(fill_byte));
        const __m512i weights[3][2] = {{four(w[0], w[1], w[2], 0), four(0, w[0], w[1], w[2])},
                                       {four(w[3], w[4], w[5], 0), four(0, w[3], w[4], w[5])},
                                       {four(w[6], w[7], w[8], 0), four(0, w[6], w[7], w[8])}};
        for (int64_t first = 0; first < pixels_; first += 64) {
            const Block& block = blocks_[first / 64];
            __m512i sum[4];
#pragma GCC unroll 4
            for (int v = 0; v < 4; ++v) sum[v] = _mm512_set1_epi32(end.bias);
#pragma GCC unroll 3
            for (int64_t i = 0; i < 3; ++i)
#pragma GCC unroll 2
                for (int64_t side = 0; side < 2; ++side) {
                    const __m512i x = _mm512_mask_loadu_epi8(fill, block.rows[i][side], plane + first + (i - 1) * width_ + 2 * side - 1);
                    sum[2 * side] = _mm512_dpbusd_epi32(sum[2 * side], x, weights[i][0]);
                    sum[2 * side + 1] = _mm512_dpbusd_epi32(sum[2 * side + 1], x, weights[i][1]);
                }
            int8_end<Int8Order::turns>(out + first, sum, end, residual ? residual + first : nullptr, is_plain);
        }
    }

  private:
    struct Block {
        uint64_t rows[3][2];  // bytes of a row's two loads that have a pixel
    };

    const int64_t width_, pixels_;
    Block* blocks_;
};

// 5x5 windows at stride 1, likewise: four columns of a row are loaded one by one and become the lanes of a pixel.
class FlatFives {
  public:
    static bool fits(const Window& w) {
        return w.kernel_y == 5 && w.kernel_x == 5 && w.stride_y == 1 && w.stride_x == 1 && w.dilation_y == 1 && w.dilation_x == 1 && w.pad_y == 2 && w.pad_x == 2 &&
               w.out_height == w.in_height && w.out_width == w.in_width && int64_t{w.in_height} * w.in_width > 1;
    }

    FlatFives(const Window& w, uint8_t* scratch) : width_(w.in_width), pixels_(int64_t{w.in_height} * w.in_width), blocks_(reinterpret_cast<Block*>(scratch)) {
        int32_t column = 0;
        for (int64_t first = 0; first < pixels_; first += 64) {
            Block& block = blocks_[first / 64];
            block = {};
            for (int64_t p = 0; p < 64; ++p) {
                for (int64_t i = 0; i < 5; ++i) {
                    const int64_t pixel = first + p + (i - 2) * width_, x = column + i - 2;
                    block.rows[i] |= uint64_t{pixel >= 0 && pixel < pixels_} << p, block.columns[i] |= uint64_t{x >= 0 && x < width_} << p;
                }
                if (++column == width_) column = 0;
            }
        }
    }

    void convolve(const uint8_t* plane, const int8_t* w, uint8_t fill_byte, const Int8End& end, uint8_t* out, const uint8_t* residual, bool is_plain) const {
        const __m512i fill = _mm512_set1_epi8(static_cast<char>(fill_byte));
        const Fives fives(w);
        for (int64_t first = 0; first < pixels_; first += 64) {
            const Block& block = blocks_[first / 64];
            __m512i sum[4], last[5];
#pragma GCC unroll 4
            for (int v = 0; v < 4; ++v) sum[v] = _mm512_set1_epi32(end.bias);
            const auto add = [&](__m512i a, __m512i b, __m512i c, __m512i d, __m512i weights) __attribute__((always_inline)) {
                const __m512i ab0 = _mm512_unpacklo_epi8(a, b), ab1 = _mm512_unpackhi_epi8(a, b), cd0 = _mm512_unpacklo_epi8(c, d), cd1 = _mm512_unpackhi_epi8(c, d);
                sum[0] = _mm512_dpbusd_epi32(sum[0], _mm512_unpacklo_epi16(ab0, cd0), weights);
                sum[1] = _mm512_dpbusd_epi32(sum[1], _mm512_unpackhi_epi16(ab0, cd0), weights);
                sum[2] = _mm512_dpbusd_epi32(sum[2], _mm512_unpacklo_epi16(ab1, cd1), weights);
                sum[3] = _mm512_dpbusd_epi32(sum[3], _mm512_unpackhi_epi16(ab1, cd1), weights);
            };
#pragma GCC unroll 5
            for (int i = 0; i < 5; ++i) {
                __m512i x[5];
#pragma GCC unroll 5
                for (int j = 0; j < 5; ++j)
                    x[j] = _mm512_mask_loadu_epi8(fill, block.rows[i] & block.columns[j], plane + first + (i - 2) * int64_t{width_} + j - 2);
                add(x[0], x[1], x[2], x[3], fives.rows[i]);
                last[i] = x[4];
            }
            add(last[0], last[1], last[2], last[3], fives.column);
            add(last[4], last[4], last[4], last[4], fives.last);
            int8_end(out + first, sum, end, residual ? residual + first : nullptr, is_plain);
        }
    }

  private:
    struct Block {
        uint64_t rows[5], columns[5];  // bytes that have a pixel in that row and in that column of the window
    };

    const int32_t width_;
    const int64_t pixels_;
    Block* blocks_;
};

// 32 sums of a row, the first and the last four of each eight apart as unpacking leaves them, to `put` bytes.
[[gnu::always_inline]] inline void end_halves(uint8_t* to, __mmask32 put, const __m512i (&sum)[2], const Int8End& end) {
    const __m512 multiplier = _mm512_set1_ps(end.multiplier);
    const auto whole = [&](__m512i s) { return int8_whole(_mm512_mul_ps(_mm512_cvtepi32_ps(s), multiplier)); };
    const __m512i words = _mm512_adds_epi16(_mm512_packs_epi32(whole(sum[0]), whole(sum[1])), _mm512_set1_epi16(static_cast<short>(end.zero_point)));
    const __m512i low = _mm512_set1_epi16(static_cast<short>(end.low)), high = _mm512_set1_epi16(static_cast<short>(end.high));
    _mm256_mask_storeu_epi8(to, put, _mm512_cvtepi16_epi8(_mm512_min_epi16(_mm512_max_epi16(words, low), high)));
}

// 5x5 windows at stride 2: columns 0 and 1 of an output are neighbours in memory, 2 and 3 too, and both are a lane.
void convolve_half_fives(const DepthwiseInt8& d, int64_t channel) {
    const Window& w = d.window;
    const uint8_t* plane = d.in[channel];
    const Int8End& end = d.ends[channel];
    const __m512i fill = _mm512_set1_epi8(static_cast<char>(d.fill[channel]));
    const Fives fives(d.weights + 25 * channel);
    for (int64_t x = 0; x < w.out_width; x += 32) {
        const int64_t first = 2 * x - w.pad_x;
        __mmask64 inside[3];
        for (int64_t j = 0; j < 3; ++j) inside[j] = some_bytes(-first - 2 * j, w.in_width - first - 2 * j);
        const auto put = static_cast<__mmask32>(some_bytes(0, w.out_width - x));
        for (int64_t y = 0; y < w.out_height; ++y) {
            __m512i sum[2] = {_mm512_set1_epi32(end.bias), _mm512_set1_epi32(end.bias)}, last[5];
            const auto add = [&](__m512i a, __m512i b, __m512i weights) __attribute__((always_inline)) {
                sum[0] = _mm512_dpbusd_epi32(sum[0], _mm512_unpacklo_epi16(a, b), weights);
                sum[1] = _mm512_dpbusd_epi32(sum[1], _mm512_unpackhi_epi16(a, b), weights);
            };
#pragma GCC unroll 5
            for (int64_t i = 0; i < 5; ++i) {
                const int64_t row = 2 * y - w.pad_y + i;
                const bool is_inside = row >= 0 && row < w.in_height;
                const uint8_t* at = plane + row * w.in_width + first;
                add(_mm512_mask_loadu_epi8(fill, is_inside ? inside[0] : 0, at), _mm512_mask_loadu_epi8(fill, is_inside ? inside[1] : 0, at + 2), fives.rows[i]);
                last[i] = _mm512_mask_loadu_epi8(fill, is_inside ? inside[2] : 0, at + 4);
            }
            const auto pair = [](__m512i a, __m512i b) { return _mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaa, a, _mm512_slli_epi16(b, 8)); };
            add(pair(last[0], last[1]), pair(last[2], last[3]), fives.column), add(last[4], last[4], fives.last);
            end_halves(d.out[channel] + y * w.out_width + x, put, sum, end);
        }
    }
}

// 3x3 windows at stride 2: the two columns of an output that are neighbours in memory are words, and words of two rows are fours.
void convolve_halves(const DepthwiseInt8& d, int64_t channel) {
    const Window& w = d.window;
    const uint8_t* plane = d.in[channel];
    const int8_t* taps = d.weights + 9 * channel;
    const Int8End& end = d.ends[channel];
    const __m512i fill = _mm512_set1_epi8(static_cast<char>(d.fill[channel]));
    const __m512i weights[] = {four(taps[1], taps[2], taps[4], taps[5]), four(taps[7], taps[8], taps[0], 0), four(taps[3], 0, taps[6], 0)};
    for (int64_t x = 0; x < w.out_width; x += 32) {
        const int64_t first = 2 * x - w.pad_x;
        const __mmask64 inside = some_bytes(-first, w.in_width - first), inside_next = some_bytes(-first - 1, w.in_width - first - 1);
        const auto put = static_cast<__mmask32>(some_bytes(0, w.out_width - x));
        for (int64_t y = 0; y < w.out_height; ++y) {
            __m512i left[3], middle[3];  // words of left and middle columns, and of middle and right ones
#pragma GCC unroll 3
            for (int64_t i = 0; i < 3; ++i) {
                const int64_t row = 2 * y - w.pad_y + i;
                const bool is_inside = row >= 0 && row < w.in_height;
                const uint8_t* at = plane + row * w.in_width + first;
                left[i] = _mm512_mask_loadu_epi8(fill, is_inside ? inside : 0, at);
                middle[i] = _mm512_mask_loadu_epi8(fill, is_inside ? inside_next : 0, at + 1);
            }
            __m512i sum[2] = {_mm512_set1_epi32(end.bias), _mm512_set1_epi32(end.bias)};
            const auto add = [&](__m512i a, __m512i b, __m512i weight) __attribute__((always_inline)) {
                sum[0] = _mm512_dpbusd_epi32(sum[0], _mm512_unpacklo_epi16(a, b), weight);
                sum[1] = _mm512_dpbusd_epi32(sum[1], _mm512_unpackhi_epi16(a, b), weight);
            };
            add(middle[0], middle[1], weights[0]), add(middle[2], left[0], weights[1]), add(left[1], left[2], weights[2]);
            end_halves(d.out[channel] + y * w.out_width + x, put, sum, end);
        }
    }
}

// 3x3 windows at stride 2 of even sides: rows of even and of odd numbers are apart, one behind another, so that whole vectors of output
// pixels run over the ends of rows. A lane is four columns, of which an output's are the first three.
class FlatHalves {
  public:
    static bool fits(const Window& w) {
        return slides_3x3(w) && w.stride_x == 2 && w.pad_y == 1 && w.pad_x == 1 && w.in_height == 2 * w.out_height && w.in_width == 2 * w.out_width;
    }

    // Two channels' rows lie in scratch, so that none is read just after it was written, and the masks of all blocks.
    FlatHalves(const DepthwiseInt8& d, uint8_t* scratch)
        : d_(d), width_(d.window.in_width), pixels_(int64_t{d.window.out_height} * d.window.out_width), half_(plane_bytes(2 * pixels_, 1) + plane_border),
          rows_(scratch + plane_border), blocks_(reinterpret_cast<Block*>(rows_ + 4 * half_)) {
        for (int64_t first = 0; first < pixels_; first += 64) {
            Block& block = blocks_[first / 64];
            for (uint64_t& each : block.columns) each = ~uint64_t{0};
            const int64_t width = d.window.out_width;
            for (int64_t row = (width - first % width) % width; row < 64; row += width)  // the first of a row has nothing before it
                block.columns[row / 32 * 2 + row % 2] &= ~(uint64_t{1} << row % 32 / 2 * 4);
            for (int64_t load = 0; load < 4; ++load) block.top[load] = block.columns[load] & some_bytes(width_ - place(first, load), 64);
        }
    }

    void convolve(int32_t first_channel, int32_t last_channel) const {
        split(first_channel);
        for (int64_t channel = first_channel; channel < last_channel; ++channel) {
            if (channel + 1 < last_channel) split(channel + 1);
            convolve(channel);
        }
    }

  private:
    struct Block {
        uint64_t columns[4], top[4];  // bytes of four loads that have a pixel, and have one in the row above
    };

    static constexpr int64_t place(int64_t first, int64_t load) { return 2 * first + load / 2 * 64 + load % 2 * 2 - 1; }
    uint8_t* rows(int64_t channel, int64_t odd) const { return rows_ + (channel % 2 * 2 + odd) * half_; }

    // Whole vectors: what a row has too much, the next one overwrites.
    void split(int64_t channel) const {
        const uint8_t* from = d_.in[channel];
        uint8_t *even = rows(channel, 0), *odd = rows(channel, 1);
        for (int64_t y = 0; y < d_.window.out_height; ++y, from += 2 * width_, even += width_, odd += width_) {
            int64_t x = 0;
            for (; x + 32 < width_; x += 64) _mm512_storeu_si512(even + x, load(from + x)), _mm512_storeu_si512(odd + x, load(from + width_ + x));
            for (; x < width_; x += 16)
                *reinterpret_cast<Sixteen*>(even + x) = *reinterpret_cast<const Sixteen*>(from + x), *reinterpret_cast<Sixteen*>(odd + x) = *reinterpret_cast<const Sixteen*>(from + width_ + x);
        }
    }

    void convolve(int64_t channel) const {
        const int8_t* w = d_.weights + 9 * channel;
        const Int8End& end = d_.ends[channel];
        const __m512i fill = _mm512_set1_epi8(static_cast<char>(d_.fill[channel]));
        const __m512i weights[] = {four(w[0], w[1], w[2], 0), four(w[3], w[4], w[5], 0), four(w[6], w[7], w[8], 0)};
        const uint8_t *even = rows(channel, 0), *odd = rows(channel, 1);
        for (int64_t first = 0; first < pixels_; first += 64) {
            const Block& block = blocks_[first / 64];
            __m512i sum[4];
#pragma GCC unroll 4
            for (int64_t v = 0; v < 4; ++v) {
                const int64_t at = place(first, v);
                sum[v] = _mm512_dpbusd_epi32(_mm512_set1_epi32(end.bias), _mm512_mask_loadu_epi8(fill, block.top[v], odd + at - width_), weights[0]);
                sum[v] = _mm512_dpbusd_epi32(sum[v], _mm512_mask_loadu_epi8(fill, block.columns[v], even + at), weights[1]);
                sum[v] = _mm512_dpbusd_epi32(sum[v], _mm512_mask_loadu_epi8(fill, block.columns[v], odd + at), weights[2]);
            }
            int8_end<Int8Order::halves>(d_.out[channel] + first, sum, end, nullptr, d_.has_plain_ends);
        }
    }

    const DepthwiseInt8& d_;
    const int64_t width_, pixels_, half_;
    uint8_t* const rows_;
    Block* const blocks_;
};

// The ways of vectors for all windows but those with a residual that is not flat.
bool convolve_vectors(const DepthwiseInt8& d, uint8_t* scratch, int32_t first_channel, int32_t last_channel) {
    const Window& w = d.window;
    const auto convolve_flat = [&](const auto& flat) {
        for (int64_t channel = first_channel; channel < last_channel; ++channel)
            flat.convolve(d.in[channel], d.weights + w.kernel_y * w.kernel_x * channel, d.fill[channel], d.ends[channel], d.out[channel],
                          d.residual.base ? d.residual[channel] : nullptr, d.has_plain_ends);
        return true;
    };
    if (FlatPairs::fits(w)) return convolve_flat(FlatPairs(w, scratch));
    if (Flat::fits(w)) return convolve_flat(Flat(w, scratch));
    if (FlatFives::fits(w)) return convolve_flat(FlatFives(w, scratch));
    if (d.residual.base) return false;
    if (FlatHalves::fits(w)) return FlatHalves(d, scratch).convolve(first_channel, last_channel), true;
    const bool halves = w.kernel_y == w.kernel_x && w.stride_y == 2 && w.stride_x == 2 && w.dilation_y == 1 && w.dilation_x == 1;
    const Taps taps(d, scratch);
    for (int64_t channel = first_channel; channel < last_channel; ++channel) {
        if (halves && w.kernel_y == 3) {
            convolve_halves(d, channel);
            continue;
        }
        if (halves && w.kernel_y == 5) {
            convolve_half_fives(d, channel);
            continue;
        }
        split(taps, d.in[channel], d.fill[channel]);
        convolve(taps, d.weights + channel * w.kernel_y * w.kernel_x, d.ends[channel]);
        for (int64_t y = 0; y < w.out_height; ++y) copy_bytes(d.out[channel] + y * w.out_width, taps.result + y * taps.phases.columns, w.out_width);
    }
    return true;
}

#endif

#if defined(__AVX2__) && !defined(__AVX512VNNI__)

// Pairs of taps that are multiplied at once, an absent one 0: at stride 1 those of two rows, which are made neighbours; at stride 2 those of
// two columns, which are neighbours already.
template <int Stride>
struct Pairs {
    const Window& w;
    const int64_t columns, rows;  // of a plane with its border
    int32_t weights[depthwise_int8_taps], places[depthwise_int8_taps];
    int16_t taps[depthwise_int8_taps][2];  // of a filter with a 0 behind
    int64_t count = 0;

    explicit Pairs(const Window& w, const Phases& phases) : w(w), columns(Stride * phases.columns), rows((w.out_height - 1) * Stride + (w.kernel_y - 1) * w.dilation_y + 1) {
        for (int64_t i = 0; i < w.kernel_y; i += Stride == 1 ? 2 : 1)
            for (int64_t j = 0; j < w.kernel_x; j += Stride == 1 ? 1 : 2, ++count) {
                const bool has_next = Stride == 1 ? i + 1 < w.kernel_y : j + 1 < w.kernel_x;
                const int64_t tap = i * w.kernel_x + j, next = Stride == 1 ? tap + w.kernel_x : tap + 1;
                places[count] = static_cast<int32_t>(i * w.dilation_y * columns + j * w.dilation_x);
                taps[count][0] = static_cast<int16_t>(tap), taps[count][1] = static_cast<int16_t>(has_next ? next : int64_t{w.kernel_y} * w.kernel_x);
            }
    }

    static bool fits(const Window& w) {
        return w.stride_y == Stride && w.stride_x == Stride && (Stride == 1 || (w.dilation_y == 1 && w.dilation_x == 1));
    }

    void of_channel(const int8_t* filter) {
        const int64_t size = int64_t{w.kernel_y} * w.kernel_x;
        int16_t words[depthwise_int8_taps + 1];
        for (int64_t t = 0; t < size; ++t) words[t] = filter[t];
        words[size] = 0;
        for (int64_t t = 0; t < count; ++t)
            weights[t] = static_cast<int32_t>(static_cast<uint16_t>(words[taps[t][0]]) | uint32_t{static_cast<uint16_t>(words[taps[t][1]])} << 16);
    }

    // The plane with its border; at stride 1 as words, each beside that of the next row of taps.
    void prepare(const uint8_t* plane, uint8_t fill, uint8_t* to) const {
        const int64_t first = within(w.pad_x, 0, columns), count = within(w.in_width, 0, columns - first);
        const auto row = [&](int64_t y) { return y >= w.pad_y && y - w.pad_y < w.in_height ? plane + (y - w.pad_y) * w.in_width : nullptr; };
        for (int64_t y = 0; y < rows; ++y) {
            if constexpr (Stride == 1) {
                join(row(y), row(y + w.dilation_y), fill, reinterpret_cast<int32_t*>(to) + y * columns, first, count);
            } else {
                uint8_t* const at = to + y * columns;
                const uint8_t* const from = row(y);
                fill_with(at, fill, from ? first : columns);
                if (!from) continue;
                pick(at + first, from, count, 1), fill_with(at + first + count, fill, columns - first - count);
            }
        }
    }

    // out[y, x] for rows of 16 pixels; what a row has too much, the next one overwrites.
    template <int Count>
    void convolve(const uint8_t* from, const Int8End& end, uint8_t* out) const {
        const int64_t owned = plane_bytes(int64_t{w.out_height} * w.out_width, 1), element = Stride == 1 ? 4 : 1;
        for (int64_t y = 0; y < w.out_height; ++y, from += Stride * columns * element)
            for (int64_t x = 0; x < w.out_width; x += int8_lanes) {
                const __m256i first = eight<Count>(from, x, end.bias);
                const Sums sum{first, w.out_width - x > 8 ? eight<Count>(from, x + 8, end.bias) : first};
                const int64_t pixel = y * w.out_width + x;
                int8_end_some(out + pixel, sum, end, nullptr, pixel + int8_lanes <= owned ? int8_lanes : w.out_width - x);
            }
    }

  private:
    void join(const uint8_t* a, const uint8_t* b, uint8_t fill, int32_t* to, int64_t first, int64_t count) const {
        const __m128i fills = _mm_set1_epi8(static_cast<char>(fill));
        const __m256i border = _mm256_set1_epi32(fill * 0x10001);
        const auto put = [&](int64_t x, __m256i words) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + x), words); };
        for (int64_t x = 0; x < first; x += 8) put(x, border);
        for (int64_t x = 0; x < count; x += 16) {
            const __m128i upper = a ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + x)) : fills;
            const __m128i lower = b ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + x)) : fills;
            put(first + x, _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(upper, lower)));
            if (count - x > 8) put(first + x + 8, _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(upper, lower)));
        }
        for (int64_t x = first + count; x < columns; x += 8) put(x, border);
    }

    // Count is the number of pairs, or 0 where it is no usual one.
    template <int Count>
    [[gnu::always_inline]] __m256i eight(const uint8_t* from, int64_t x, int32_t bias) const {
        __m256i sums = _mm256_set1_epi32(bias);
        const auto add = [&](int64_t t) __attribute__((always_inline)) {
            __m256i operand;
            if constexpr (Stride == 1)
                operand = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 4 * (places[t] + x)));
            else
                operand = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + places[t] + 2 * x)));
            sums = plus_pairs(sums, operand, _mm256_set1_epi32(weights[t]));
        };
        if constexpr (Count > 0) {
#pragma GCC unroll 16
            for (int t = 0; t < Count; ++t) add(t);
        } else {
            for (int64_t t = 0; t < count; ++t) add(t);
        }
        return sums;
    }
};

// The next channel is prepared before one is computed: loads of what was just stored in other pieces would wait for it.
template <int Stride>
void convolve_channels(const DepthwiseInt8& d, const Taps& taps, int32_t first_channel, int32_t last_channel) {
    Pairs<Stride> pairs(d.window, taps.phases);
    uint8_t* const places[] = {taps.joined, Stride == 1 ? taps.joined + 4 * taps.phases.bytes : taps.planes};
    pairs.prepare(d.in[first_channel], d.fill[first_channel], places[0]);
    for (int64_t channel = first_channel; channel < last_channel; ++channel) {
        const int64_t turn = (channel - first_channel) % 2;
        if (channel + 1 < last_channel) pairs.prepare(d.in[channel + 1], d.fill[channel + 1], places[1 - turn]);
        pairs.of_channel(d.weights + channel * d.window.kernel_y * d.window.kernel_x);
        pairs.count == 6 ? pairs.template convolve<6>(places[turn], d.ends[channel], d.out[channel])
                         : pairs.template convolve<0>(places[turn], d.ends[channel], d.out[channel]);
    }
}

// 3x3 windows with a border of one pixel that keep a plane's size, or halve even sides. Operands are words: at stride 1 pixels of two rows of
// taps, which are made neighbours once for all columns of taps; at stride 2 those of two columns, which are neighbours as they lie.
template <int Stride>
class Slid {
  public:
    static bool fits(const Window& w) {
        return slides_3x3(w) && w.pad_y == 1 && w.pad_x == 1 && w.stride_x == Stride && w.in_width == Stride * w.out_width && w.in_height == Stride * w.out_height;
    }

    Slid(const Window& w, uint8_t* border, uint8_t* joined)
        : width_(w.in_width), out_width_(w.out_width), out_height_(w.out_height), columns_(width_ + 1), owned_(plane_bytes(out_height_ * out_width_, 1)),
          border_(border), joined_{joined, joined + depthwise_int8_pairs(w) / 2} {}

    // The next channel is joined before one is computed: loads of what was just stored in other pieces would wait for it.
    template <bool Plain>
    void convolve(const DepthwiseInt8& d, int32_t first_channel, int32_t last_channel) const {
        if (Stride == 1) join(d.in[first_channel], d.fill[first_channel], joined_[0]);
        for (int32_t channel = first_channel; channel < last_channel; ++channel) {
            const int32_t turn = (channel - first_channel) % 2;
            if (Stride == 1 && channel + 1 < last_channel) join(d.in[channel + 1], d.fill[channel + 1], joined_[1 - turn]);
            if (Stride == 2) fill_with(border_, d.fill[channel], width_);
            const uint8_t* from = Stride == 1 ? joined_[turn] : d.in[channel];
            convolve<Plain>(from, d.fill[channel], d.weights + 9 * channel, d.ends[channel], d.out[channel]);
        }
    }

  private:
    // Rows y - 1 and y of the plane, behind a border of one pixel, which is that behind the row before too. What a row has too much, the next
    // one overwrites.
    void join(const uint8_t* plane, uint8_t fill, uint8_t* to) const {
        fill_with(border_, fill, width_);
        Four* row = reinterpret_cast<Four*>(to);
        for (int64_t y = 0; y < out_height_ + 2; ++y, row += columns_) {
            const uint8_t *a = y > 0 && y <= out_height_ ? plane + (y - 1) * width_ : border_, *b = y < out_height_ ? plane + y * width_ : border_;
            *row = fill * 0x10001;
            for (int64_t x = 0; x < width_; x += 16) {
                const __m128i upper = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + x)), lower = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + x));
                auto* const words = reinterpret_cast<__m256i*>(row + 1 + x);
                _mm256_storeu_si256(words, _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(upper, lower)));
                if (width_ - x > 8) _mm256_storeu_si256(words + 1, _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(upper, lower)));
            }
        }
        *row = fill * 0x10001;
    }

    // Weights and the end lie by themselves: what is stored could change them, for all that the compiler knows.
    template <bool Plain>
    void convolve(const uint8_t* from, uint8_t fill, const int8_t* w, const Int8End end, uint8_t* out) const {
        const auto pair = [](int16_t a, int16_t b) {
            return _mm256_set1_epi32(static_cast<int32_t>(static_cast<uint16_t>(a) | uint32_t{static_cast<uint16_t>(b)} << 16));
        };
        const __m256i weights[6] = {Stride == 1 ? pair(w[0], w[3]) : pair(0, w[0]), Stride == 1 ? pair(w[1], w[4]) : pair(w[1], w[2]),
                                    Stride == 1 ? pair(w[2], w[5]) : pair(0, w[3]), Stride == 1 ? pair(w[6], 0) : pair(w[4], w[5]),
                                    Stride == 1 ? pair(w[7], 0) : pair(0, w[6]),    Stride == 1 ? pair(w[8], 0) : pair(w[7], w[8])};
        const int64_t width = out_width_, height = out_height_;
        const auto row_of = [&](int64_t y) __attribute__((always_inline)) { return Stride == 1 ? from + 4 * y * columns_ : from + (2 * y - 1) * width_; };
        const auto eight = [&](int64_t y, const uint8_t* row, int64_t x) __attribute__((always_inline)) {
            __m256i sums = _mm256_set1_epi32(end.bias);
            if constexpr (Stride == 1) {
#pragma GCC unroll 6
                for (int64_t t = 0; t < 6; ++t)
                    sums = plus_pairs(sums, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + 4 * (t / 3 * 2 * columns_ + t % 3 + x))), weights[t]);
            } else {
#pragma GCC unroll 3
                for (int64_t i = 0; i < 3; ++i) {
                    const uint8_t* const at = (i == 0 && y == 0 ? border_ : row + i * width_) + 2 * x;
                    const auto sixteen = [](const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); };
                    const __m128i here = sixteen(at), left = x == 0 ? _mm_insert_epi8(_mm_slli_si128(here, 2), fill, 1) : sixteen(at - 2);
                    sums = plus_pairs(sums, _mm256_cvtepu8_epi16(left), weights[2 * i]);
                    sums = plus_pairs(sums, _mm256_cvtepu8_epi16(here), weights[2 * i + 1]);
                }
            }
            return sums;
        };
        const auto put_eight = [&](int64_t pixel, __m128i bytes) __attribute__((always_inline)) {
            if (pixel + 8 <= owned_) return _mm_storel_epi64(reinterpret_cast<__m128i*>(out + pixel), bytes);
            const auto all = static_cast<uint64_t>(_mm_cvtsi128_si64(bytes));
            copy_few(out + pixel, reinterpret_cast<const uint8_t*>(&all), width);
        };
        if (width <= 8) {  // two rows at once
            for (int64_t y = 0; y < height; y += 2) {
                const uint8_t* const row = row_of(y);
                const bool is_last = y + 1 == height;
                const __m256i first = eight(y, row, 0);
                const __m128i bytes = int8_bytes<Plain>({first, is_last ? first : eight(y + 1, row_of(y + 1), 0)}, end, nullptr);
                put_eight(y * width, bytes);
                if (!is_last) put_eight((y + 1) * width, _mm_unpackhi_epi64(bytes, bytes));
            }
            return;
        }
        for (int64_t y = 0; y < height; ++y) {
            const uint8_t* const row = row_of(y);
            for (int64_t x = 0, pixel = y * width; x < width; x += int8_lanes, pixel += int8_lanes) {
                const __m256i first = eight(y, row, x);
                const __m128i bytes = int8_bytes<Plain>({first, width - x > 8 ? eight(y, row, x + 8) : first}, end, nullptr);
                if (pixel + int8_lanes <= owned_) {
                    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + pixel), bytes);
                } else {
                    alignas(16) uint8_t all[int8_lanes];
                    _mm_store_si128(reinterpret_cast<__m128i*>(all), bytes), copy_few(out + pixel, all, width - x);
                }
            }
        }
    }

    using Four [[gnu::aligned(1), gnu::may_alias]] = int32_t;

    const int64_t width_, out_width_, out_height_, columns_, owned_;
    uint8_t *const border_, *const joined_[2];  // a row of what is outside
};

// All windows at strides of 1 and 2 but those with a residual, which whole vectors may be written over before it is read.
bool convolve_vectors(const DepthwiseInt8& d, uint8_t* scratch, int32_t first_channel, int32_t last_channel) {
    const Window& w = d.window;
    if (d.residual.base || int64_t{w.out_height} * w.out_width == 1) return false;
    const Taps taps(d, scratch);
    const auto slide = [&](const auto& slid) {
        d.has_plain_ends ? slid.template convolve<true>(d, first_channel, last_channel) : slid.template convolve<false>(d, first_channel, last_channel);
        return true;
    };
    if (Slid<1>::fits(w)) return slide(Slid<1>(w, taps.planes, taps.joined));
    if (Slid<2>::fits(w)) return slide(Slid<2>(w, taps.planes, taps.joined));
    if (Pairs<1>::fits(w)) return convolve_channels<1>(d, taps, first_channel, last_channel), true;
    if (Pairs<2>::fits(w)) return convolve_channels<2>(d, taps, first_channel, last_channel), true;
    return false;
}

#endif

// Where the taps of a window lie from an output's number on.
struct Offsets {
    int32_t of[depthwise_int8_taps + 1];

    explicit Offsets(const Taps& taps) {
        const Window& w = taps.w;
        int64_t number = 0;
        for (int64_t i = 0; i < w.kernel_y; ++i)
            for (int64_t j = 0; j < w.kernel_x; ++j) of[number++] = static_cast<int32_t>(taps.tap(i, j) - taps.planes);
        of[number] = 0;  // beside the last of an odd number, with a weight of 0
    }
};

// 16 pixels of a row, or `count`; sums behind its end too, which costs no branch.
[[gnu::always_inline]] inline void convolve_some(const Taps& taps, const Offsets& offsets, int64_t channel, int64_t y, int64_t x, int64_t count) {
    const Window& w = taps.w;
    const Int8End& end = taps.d.ends[channel];
    const int64_t taps_of_window = int64_t{w.kernel_y} * w.kernel_x;
    const int8_t* weights = taps.d.weights + channel * taps_of_window;
    const uint8_t* in = taps.planes + y * taps.phases.columns + x;
#if defined(__AVX2__)
    // Pairs of taps: products go through 16 bits, their sums through 32.
    __m256i low = _mm256_set1_epi32(end.bias), high = low;
    for (int64_t t = 0; t < taps_of_window; t += 2) {
        const auto second = t + 1 < taps_of_window ? static_cast<uint16_t>(static_cast<int16_t>(weights[t + 1])) : uint16_t{0};
        const __m256i pair = _mm256_set1_epi32(static_cast<int32_t>(static_cast<uint16_t>(static_cast<int16_t>(weights[t])) | uint32_t{second} << 16));
        const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + offsets.of[t]));
        const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + offsets.of[t + 1]));
        low = plus_pairs(low, _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b)), pair);
        high = plus_pairs(high, _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b)), pair);
    }
    const Sums sum{low, high};
#elif defined(__wasm_simd128__)
    Sums sum;
#pragma GCC unroll 4
    for (v128_t& each : sum.of) each = wasm_i32x4_splat(end.bias);
    for (int64_t t = 0; t < taps_of_window; t += 2) {
        const int16_t second = t + 1 < taps_of_window ? weights[t + 1] : int16_t{0};
        const v128_t pair = wasm_i32x4_splat(static_cast<uint16_t>(int16_t{weights[t]}) | static_cast<int32_t>(second) * 65536);
        v128_t pairs[4];
        int8_pairs(wasm_v128_load(in + offsets.of[t]), wasm_v128_load(in + offsets.of[t + 1]), pairs);
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) sum.of[v] = wasm_i32x4_add(sum.of[v], wasm_i32x4_dot_i16x8(pairs[v], pair));
    }
#else
    Sums sum;
    for (int32_t& each : sum.of) each = end.bias;
    for (int64_t t = 0; t < taps_of_window; ++t)
        for (int p = 0; p < int8_lanes; ++p) sum.of[p] = int8_plus(sum.of[p], static_cast<int16_t>(in[offsets.of[t] + p]) * static_cast<int16_t>(weights[t]));
#endif
    const int64_t pixel = y * w.out_width + x, owned = plane_bytes(int64_t{w.out_height} * w.out_width, 1);
    if (taps.d.residual.base) return int8_end_some(taps.d.out[channel] + pixel, sum, end, taps.d.residual[channel] + pixel, count);
    int8_end_some(taps.d.out[channel] + pixel, sum, end, nullptr, pixel + int8_lanes <= owned ? int8_lanes : count);  // the next row overwrites
}

#if defined(__wasm_simd128__)

// One channel after another as floats, exactly: operands less what is outside of them, weights and sums are whole numbers below 2^24.
class AsFloats {
  public:
    AsFloats(const DepthwiseInt8& d, uint8_t* scratch)
        : d_(d), in_pixels_(int64_t{d.window.in_height} * d.window.in_width), out_pixels_(int64_t{d.window.out_height} * d.window.out_width),
          in_(reinterpret_cast<float*>(scratch) + window_slack), out_(in_ + depthwise_int8_plane(in_pixels_) + window_slack) {}

    // False where the sums may be too large.
    bool convolve(int64_t channel) const {
        if (!slides_3x3(d_.window)) return false;
        const int8_t* weights = d_.weights + 9 * channel;
        float filter[9];
        int64_t bias = d_.ends[channel].bias;
        for (int t = 0; t < 9; ++t) filter[t] = weights[t], bias += int64_t{weights[t]} * d_.fill[channel];
        constexpr int64_t most = (1 << 24) - 9 * 255 * 128;
        if (bias < -most || bias > most) return false;
        convert(d_.in[channel], d_.fill[channel]);
        const int32_t offset = 0;
        const float first = static_cast<float>(bias);
        depthwise({{in_, &offset}, {out_, &offset}, {nullptr, nullptr}, filter, &first, 1, d_.window, {}}, nullptr, 0, 1);
        end(d_.ends[channel], d_.out[channel], d_.residual.base ? d_.residual[channel] : nullptr);
        return true;
    }

  private:
    void convert(const uint8_t* plane, uint8_t fill) const {
        const v128_t less = wasm_i16x8_splat(fill);
        for (int64_t p = 0; p < in_pixels_; p += int8_lanes) {
            const v128_t bytes = wasm_v128_load(plane + p);
            const v128_t words[2] = {wasm_i16x8_sub(wasm_u16x8_extend_low_u8x16(bytes), less), wasm_i16x8_sub(wasm_u16x8_extend_high_u8x16(bytes), less)};
#pragma GCC unroll 2
            for (int half = 0; half < 2; ++half) {
                wasm_v128_store(in_ + p + 8 * half, wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(words[half])));
                wasm_v128_store(in_ + p + 8 * half + 4, wasm_f32x4_convert_i32x4(wasm_i32x4_extend_high_i16x8(words[half])));
            }
        }
    }

    void end(const Int8End& end, uint8_t* out, const uint8_t* residual) const {
        const int64_t owned = residual ? out_pixels_ : plane_bytes(out_pixels_, 1);
        for (int64_t p = 0; p < out_pixels_; p += int8_lanes) {
            const FloatSums sums{{wasm_v128_load(out_ + p), wasm_v128_load(out_ + p + 4), wasm_v128_load(out_ + p + 8), wasm_v128_load(out_ + p + 12)}};
            int8_end_some(out + p, sums, end, residual ? residual + p : nullptr, owned - p);
        }
    }

    const DepthwiseInt8& d_;
    const int64_t in_pixels_, out_pixels_;
    float *const in_, *const out_;
};

#endif

#if defined(__wasm_relaxed_simd__)

// 3x3 windows with a border of one pixel, where the browser has one instruction for products of bytes (int8_dots.h): a lane is four columns of
// a row, of which a pixel sees three. At stride 1, of planes that keep their size, 16 pixels run over the ends of rows, and masks put the
// border in; a load has every fourth pixel, of an even width each with the next one. At stride 2 a load has every other one of eight outputs
// of a row.
class Dots {
  public:
    static bool fits(const DepthwiseInt8& d) {
        const Window& w = d.window;
        const bool is_whole = w.stride_x * w.out_width == w.in_width && w.stride_y * w.out_height == w.in_height;
        return slides_3x3(w) && w.pad_y == 1 && w.pad_x == 1 && is_whole && int64_t{w.out_height} * w.out_width > 1 &&
               (w.stride_x == 1 || !d.residual.base) && way_here() == Way::bytes;
    }

    Dots(const DepthwiseInt8& d, uint8_t* scratch)
        : d_(d), width_(d.window.in_width), out_width_(d.window.out_width), pixels_(d.window.out_height * out_width_), masks_(reinterpret_cast<uint32_t*>(scratch)) {
        if (d.window.stride_x == 2) return;
        const auto width = static_cast<int32_t>(width_), last_row = static_cast<int32_t>(pixels_) - width;
        const int32_t step = width % 2 ? 1 : 2, of_row = 16 / step;
        uint32_t* mask = masks_;
        for (int32_t first = 0; first < pixels_; first += int8_lanes, mask += 2 * of_row)
            for (int32_t load = 0; load < 4; load += step) {
                int32_t column = (first + load) % width, row = first + load - column;  // its first pixel
                for (int lane = 0; lane < 4; ++lane, column += 4, ++mask) {
                    for (; column >= width; column -= width) row += width;
                    const int32_t inside = width - column + 1;  // bytes, with the one before
                    const uint32_t columns = (column > 0 ? ~0u : ~0u << 8) & (inside < 4 ? (1u << 8 * inside) - 1 : ~0u);
                    mask[0] = row >= width ? columns : 0, mask[of_row] = columns, mask[2 * of_row] = row < last_row ? columns : 0;
                }
            }
    }

    void convolve(int64_t channel) const {
        const int8_t* w = d_.weights + 9 * channel;
        const Int8End end = d_.ends[channel];  // by itself: what is stored could change it, for all that the compiler knows
        const v128_t fill = wasm_u8x16_splat(d_.fill[channel]);
        v128_t weights[3][2];  // of a load's pixels, and of the next ones
#pragma GCC unroll 3
        for (int i = 0; i < 3; ++i) {
            const auto byte = [&](int j) { return uint32_t{static_cast<uint8_t>(w[3 * i + j])}; };
            const auto row = static_cast<int32_t>(byte(0) | byte(1) << 8 | byte(2) << 16);
            weights[i][0] = wasm_i32x4_splat(row), weights[i][1] = wasm_i32x4_splat(row << 8);
        }
        const uint8_t* residual = d_.residual.base ? d_.residual[channel] : nullptr;
        if (d_.window.stride_x == 2)
            halves(d_.in[channel], weights, fill, end, d_.out[channel]);
        else if (width_ % 2)
            plane<1>(d_.in[channel], weights, fill, end, d_.out[channel], residual);
        else
            plane<2>(d_.in[channel], weights, fill, end, d_.out[channel], residual);
    }

  private:
    using Weights = v128_t[3][2];

    [[gnu::always_inline]] static v128_t inside_or(v128_t mask, v128_t x, v128_t fill) { return wasm_i8x16_relaxed_laneselect(x, fill, mask); }

    // A load has Step pixels of each four.
    template <int Step>
    void plane(const uint8_t* plane, const Weights& weights, v128_t fill, const Int8End& end, uint8_t* out, const uint8_t* residual) const {
        const int64_t owned = residual ? pixels_ : plane_bytes(pixels_, 1), last_row = pixels_ - width_;
        const uint32_t* masks = masks_;
        for (int64_t p = 0; p < pixels_; p += int8_lanes) {
            v128_t sum[4];
#pragma GCC unroll 4
            for (v128_t& each : sum) each = wasm_i32x4_splat(end.bias);
#pragma GCC unroll 3
            for (int i = 0; i < 3; ++i) {
                const bool has_none = i == 0 ? p + int8_lanes <= width_ : i == 2 && p >= last_row;  // nothing is read that is not there
                const uint8_t* at = plane + p - 1 + (has_none ? 0 : (i - 1) * width_);
#pragma GCC unroll 4
                for (int load = 0; load < 4; load += Step, masks += 4) {
                    const v128_t x = inside_or(wasm_v128_load(masks), wasm_v128_load(at + load), fill);
#pragma GCC unroll 2
                    for (int v = 0; v < Step; ++v) sum[load + v] = plus_product<Way::bytes>(sum[load + v], x, weights[i][v]);
                }
            }
            int8_end_some<Int8Order::turns>(out + p, sum, end, residual ? residual + p : nullptr, owned - p);
        }
    }

    // Eights of a row's outputs, two at a time, which may be of two rows; the last one twice.
    void halves(const uint8_t* plane, const Weights& weights, v128_t fill, const Int8End& end, uint8_t* out) const {
        const int64_t owned = plane_bytes(pixels_, 1), height = d_.window.out_height;
        for (int64_t y = 0, column = 0; y < height;) {
            v128_t sum[4];
#pragma GCC unroll 4
            for (v128_t& each : sum) each = wasm_i32x4_splat(end.bias);
            int64_t pixels[2], left[2];
#pragma GCC unroll 2
            for (int half = 0; half < 2; ++half) {
                pixels[half] = y * out_width_ + column, left[half] = out_width_ - column;
                const v128_t inside = from(column == 0);
#pragma GCC unroll 3
                for (int i = 0; i < 3; ++i) {
                    const uint8_t* at = plane + (y == 0 && i == 0 ? 0 : 2 * y + i - 1) * width_ + 2 * column - 1;
                    v128_t a = inside_or(inside, wasm_v128_load(at), fill), b = wasm_v128_load(at + 2);
                    if (i == 0 && y == 0) a = b = fill;
                    sum[2 * half] = plus_product<Way::bytes>(sum[2 * half], a, weights[i][0]);
                    sum[2 * half + 1] = plus_product<Way::bytes>(sum[2 * half + 1], b, weights[i][0]);
                }
                const bool ends_row = column + 8 >= out_width_;
                if (half == 0 && ends_row && y + 1 == height) continue;
                column = ends_row ? 0 : column + 8, y += ends_row;
            }
            uint8_t bytes[int8_lanes];
            int8_end<Int8Order::halves>(bytes, sum, end, nullptr);
            for (int half = 0; half < 2; ++half)  // the next row overwrites
                copy_few(out + pixels[half], bytes + 8 * half, left[half] < 8 && pixels[half] + 8 > owned ? left[half] : 8);
        }
    }

    // Lanes from `first` on.
    [[gnu::always_inline]] static v128_t from(int64_t first) {
        const v128_t numbers = wasm_i8x16_const(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        return wasm_i8x16_ge(numbers, wasm_i8x16_splat(static_cast<int8_t>(within(first, 0, int8_lanes))));
    }

    const DepthwiseInt8& d_;
    const int64_t width_, out_width_, pixels_;
    uint32_t* const masks_;  // of all blocks: of the loads of three rows the bytes that are pixels of those rows
};

#endif

}  // namespace

void depthwise_int8(const DepthwiseInt8& d, uint8_t* scratch, int32_t first_channel, int32_t last_channel) {
#if defined(__AVX2__)
    if (convolve_vectors(d, scratch, first_channel, last_channel)) return;
#endif
    const Taps taps(d, scratch);
    const Offsets offsets(taps);
    const Window& w = d.window;
#if defined(__wasm_simd128__)
    const AsFloats floats(d, scratch);
#endif
#if defined(__wasm_relaxed_simd__)
    if (Dots::fits(d)) {
        const Dots dots(d, scratch);
        for (int64_t channel = first_channel; channel < last_channel; ++channel) dots.convolve(channel);
        return;
    }
#endif
    for (int64_t channel = first_channel; channel < last_channel; ++channel) {
#if defined(__wasm_simd128__)
        if (floats.convolve(channel)) continue;
#endif
        split(taps, d.in[channel], d.fill[channel]);
        for (int64_t y = 0; y < w.out_height; ++y)
            for (int64_t x = 0; x < w.out_width; x += int8_lanes) convolve_some(taps, offsets, channel, y, x, w.out_width - x);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
