// Groups > blocks of rows of tiles > transform all channels, two at a time > chunks of 16 rows, whose weights are transformed > 8 rows >
// products > transform back. Weights are transformed anew for every block, since they take four times the room of bytes otherwise.
//
// Lanes of 32 bits are tiles: a transformed pixel of one channel is the low word, that of the next channel the high one, so that one
// instruction multiplies both and adds them up. Rows of weights are lanes while they are transformed, and one lane is spread for each row.
// A tile of 8 rows x 3 vectors: 24 sums + 3 operands + 1 weight = 28 of 32 registers; 16 x 1 where there is one vector; 4 x 2 of 16 registers.
#include "kernels/convolution_int8/convolution_int8.h"

#include "kernels/int8_end.h"
#include "kernels/int8_split.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

using Winograd = ConvolutionInt8Winograd;

constexpr int lanes = vector_lanes;
// Tiles that are no vector of their own; with four lanes few are lost otherwise, and WebAssembly's file is small.
constexpr int64_t few = lanes >= 8 ? Winograd::few * lanes / Winograd::lanes : 0;
// Sums wrap around.
using Sum = uint32_t __attribute__((vector_size(4 * lanes), may_alias));
using Int = int32_t __attribute__((vector_size(4 * lanes), may_alias));
using Words = int16_t __attribute__((vector_size(4 * lanes), may_alias));
using Bytes [[gnu::vector_size(2 * lanes), gnu::aligned(1), gnu::may_alias]] = int8_t;
struct __attribute__((packed, may_alias)) AnySum {
    Sum value;
};

[[gnu::always_inline]] inline Sum load(const uint32_t* p) { return reinterpret_cast<const AnySum*>(p)->value; }
[[gnu::always_inline]] inline Sum load(const uint8_t* p) { return reinterpret_cast<const AnySum*>(p)->value; }
[[gnu::always_inline]] inline void store(uint32_t* p, Sum x) { reinterpret_cast<AnySum*>(p)->value = x; }

// B^T d at the points 0, 1, -1, 2, -2 and infinity.
[[gnu::always_inline]] inline void transform_first(const Words* d, Words* to) {
    const Words even = d[4] - 4 * d[2], odd = d[3] - 4 * d[1];
    to[0] = 4 * (d[0] - d[2]) + (d[4] - d[2]), to[1] = even + odd, to[2] = even - odd;
}
[[gnu::always_inline]] inline void transform_last(const Words* d, Words* to) {
    const Words even = d[4] - d[2], odd = 2 * (d[3] - d[1]);
    to[0] = even + odd, to[1] = even - odd, to[2] = 4 * (d[1] - d[3]) + (d[5] - d[3]);
}

// A filter at the same points, times 4, -6, -6, 24, 24 and 1.
[[gnu::always_inline]] inline void transform_filter(const Words* g, Words* to) {
    const Words near = g[0] + g[2], far = g[0] + 4 * g[2], twice = 2 * g[1];
    to[0] = g[0], to[1] = near + g[1], to[2] = near - g[1], to[3] = far + twice, to[4] = far - twice, to[5] = g[2];
}

// A^T m, which makes good for that, times 24, 12, 6 and 6.
constexpr int shift[4] = {3, 2, 1, 1};  // 3 * 2^shift
[[gnu::always_inline]] inline void transform_back(const Sum* m, Sum* to) {
    const Sum p = m[1] + m[2], q = m[1] - m[2], r = m[3] + m[4], s = m[3] - m[4];
    to[0] = 6 * m[0] - 4 * p + r, to[1] = s - 2 * q, to[2] = r - p, to[3] = 2 * s - q + 6 * m[5];
}
constexpr uint32_t ninth = 954437177;  // times 9 it is 1 modulo 2^32

[[gnu::always_inline]] inline void add_product(Sum& sum, Sum x, Sum w) {
#if defined(__AVX512VNNI__)
    sum = reinterpret_cast<Sum>(_mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(x), reinterpret_cast<__m512i>(w)));
#elif defined(__AVX2__)
    sum = reinterpret_cast<Sum>(plus_pairs(reinterpret_cast<__m256i>(sum), reinterpret_cast<__m256i>(x), reinterpret_cast<__m256i>(w)));
#elif defined(__wasm_simd128__)
    sum += reinterpret_cast<Sum>(wasm_i32x4_dot_i16x8(reinterpret_cast<v128_t>(x), reinterpret_cast<v128_t>(w)));
#else
    const Int low = reinterpret_cast<Int>(x << 16) >> 16, high = reinterpret_cast<Int>(x) >> 16;
    const Int first = reinterpret_cast<Int>(w << 16) >> 16, second = reinterpret_cast<Int>(w) >> 16;
    sum += reinterpret_cast<Sum>(low) * reinterpret_cast<Sum>(first) + reinterpret_cast<Sum>(high) * reinterpret_cast<Sum>(second);
#endif
}

// Of a vector of tiles one row of pixels: sum[j] has column j of each. Bytes are in the order of pixels.
[[gnu::always_inline]] inline void end_row(uint8_t* to, const Int (&sum)[4], const Int8End& end, const uint8_t* residual, [[maybe_unused]] bool is_plain) {
#if defined(__AVX512VNNI__)
    // The order of int8_end is by four tiles: column 0 of each, then column 1; the same shuffle leads there and back.
    const __m512i turn = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    alignas(64) uint8_t bytes[64], added[64];
    if (residual) _mm512_store_si512(added, _mm512_shuffle_epi8(_mm512_loadu_si512(residual), turn));
    const __m512i sums[4] = {reinterpret_cast<__m512i>(sum[0]), reinterpret_cast<__m512i>(sum[1]), reinterpret_cast<__m512i>(sum[2]),
                             reinterpret_cast<__m512i>(sum[3])};
    int8_end(bytes, sums, end, residual ? added : nullptr, is_plain);
    _mm512_storeu_si512(to, _mm512_shuffle_epi8(_mm512_load_si512(bytes), turn));
#elif defined(__AVX2__)
    alignas(32) uint8_t bytes[32], added[32];
    const __m256i turn = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    // Of 8 tiles, dwords: four tiles of column 0, the other four, column 1, ... ; and tiles in order, four by four.
    const __m256i by_column = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7), by_tile = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
    if (residual) {
        const __m256i turned = _mm256_shuffle_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(residual)), turn);
        _mm256_store_si256(reinterpret_cast<__m256i*>(added), _mm256_permutevar8x32_epi32(turned, by_column));
    }
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half)
        int8_end(bytes + 16 * half, Sums{reinterpret_cast<__m256i>(sum[2 * half]), reinterpret_cast<__m256i>(sum[2 * half + 1])}, end,
                 residual ? added + 16 * half : nullptr);
    const __m256i found = _mm256_permutevar8x32_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(bytes)), by_tile);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_shuffle_epi8(found, turn));
#elif defined(__wasm_simd128__)
    const auto turned = [](v128_t x) { return wasm_i8x16_shuffle(x, x, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15); };
    alignas(16) uint8_t bytes[16], added[16];
    if (residual) wasm_v128_store(added, turned(wasm_v128_load(residual)));
    const Sums sums{{reinterpret_cast<v128_t>(sum[0]), reinterpret_cast<v128_t>(sum[1]), reinterpret_cast<v128_t>(sum[2]), reinterpret_cast<v128_t>(sum[3])}};
    int8_end(bytes, sums, end, residual ? added : nullptr);
    wasm_v128_store(to, turned(wasm_v128_load(bytes)));
#else
    for (int t = 0; t < lanes; ++t)
        for (int j = 0; j < 4; ++j)
            to[4 * t + j] = residual ? int8_ended(sum[j][t], end, residual[4 * t + j]) : int8_ended(sum[j][t], end);
#endif
}

class Group {
  public:
    Group(const Winograd& c, int64_t group, uint8_t* scratch)
        : c_(c), group_(group), width_(c.width()), at_once_(c.rows_at_once()), columns_(c.columns()), in_slice_(c.in_slice()), out_slice_(c.out_slice()),
          weights_slice_(c.weights_slice()), phase_(c.phase()),
          in_(reinterpret_cast<uint32_t*>(scratch)), out_(in_ + Winograd::products * in_slice_), weights_(out_ + Winograd::products * out_slice_),
          few_(weights_ + Winograd::products * weights_slice_), phases_(few_ + Winograd::products * Winograd::few * Winograd::chunk), copies_(reinterpret_cast<uint8_t*>(phases_ + 4 * Winograd::side * phase_)),
          pixels_(copies_ + 2 * c.copied()), added_(pixels_ + 16 * width_) {}

    void run(int64_t first_row, int64_t last_row, int64_t first_chunk, int64_t last_chunk) {
        const int64_t block = c_.block();
        for (int64_t row = first_row; row < last_row; row += block) {
            const int64_t rows = last_row - row < block ? last_row - row : block;
            tiles_ = rows * columns_;
            vectors_ = tiles_ / lanes + (tiles_ % lanes > few);
            for (int64_t pair = 0; pair < c_.pairs(); ++pair) {
                take_apart(pair, row, rows);
                for (int64_t t = 0; t < tiles_; t += lanes) transform_in<0>(pair, t), transform_in<1>(pair, t);
            }
            for (int64_t chunk = first_chunk; chunk < last_chunk; ++chunk) {
                transform_weights(chunk);
                if constexpr (few > 0) multiply_few();
                for (int64_t first = 0; first < Winograd::chunk && chunk * Winograd::chunk + first < c_.rows; first += at_once_) {
                    multiply(first);
                    for (int64_t n = 0; n < at_once_ && chunk * Winograd::chunk + first + n < c_.rows; ++n)
                        transform_out(chunk * Winograd::chunk + first + n, n, row, rows);
                }
            }
        }
    }

  private:
    uint32_t* phase(int64_t y, int64_t x) const { return phases_ + (y % 4 * Winograd::side + x) * phase_ + y / 4 * columns_; }

    // Two channels' pixels to phases: those of column x of all tiles lie together.
    void take_apart(int64_t pair, int64_t first_row, int64_t rows) {
        const Window seen = c_.seen(first_row, rows);
        const Phases phases(seen);
        const int64_t first = group_ * c_.in_channels + 2 * pair, second = first + (2 * pair + 1 < c_.in_channels);  // absent: its weights are 0
        const Sum even = Sum{} + 0x00ff00ffu, low = Sum{} + 0xffffu;
        // Of tiles from x on, their columns, and their neighbours'.
        const auto put = [&](int64_t y, int64_t x, const Sum (&a)[2], const Sum (&b)[2]) __attribute__((always_inline)) {
#pragma GCC unroll 2
            for (int64_t ahead = 0; ahead < 2; ++ahead) {
                const Sum c0 = a[ahead] & even, c1 = a[ahead] >> 8 & even, d0 = b[ahead] & even, d1 = b[ahead] >> 8 & even;
                store(phase(y, 4 * ahead) + x, (c0 & low) | d0 << 16), store(phase(y, 4 * ahead + 1) + x, (c1 & low) | d1 << 16);
                if (ahead) break;
                store(phase(y, 2) + x, c0 >> 16 | (d0 & ~low)), store(phase(y, 3) + x, c1 >> 16 | (d1 & ~low));
            }
        };
#if defined(__AVX512VNNI__)
        // From where they lie.
        const uint8_t *const a = c_.in[first], *const b = c_.in[second];
        const __m512i fill_a = _mm512_set1_epi8(static_cast<char>(c_.fill[first])), fill_b = _mm512_set1_epi8(static_cast<char>(c_.fill[second]));
        const int64_t top = seen.pad_y < 0 ? -seen.pad_y : 0, bottom = within(phases.rows - seen.pad_y, top, seen.in_height);  // rows that are seen
        for (int64_t channel = first + 2; channel < first + 4 && channel < (group_ + 1) * c_.in_channels; ++channel)
            fetch_bytes(c_.in[channel] + top * seen.in_width, (bottom - top) * seen.in_width);
        // What the last vector of a row has too much lies in the first of another one, which is put later.
        for (int64_t x = (columns_ - 1) / lanes * lanes; x >= 0; x -= lanes) {
            const int64_t column = 4 * x - seen.pad_x;
            const __mmask64 inside[2] = {some_bytes(-column, seen.in_width - column), some_bytes(-column - 4, seen.in_width - column - 4)};
            for (int64_t y = 0; y < phases.rows; ++y) {
                const int64_t row = y - seen.pad_y, at = row * seen.in_width + column;
                if (row < 0 || row >= seen.in_height) {
                    const Sum none_a = reinterpret_cast<Sum>(fill_a), none_b = reinterpret_cast<Sum>(fill_b);
                    put(y, x, {none_a, none_a}, {none_b, none_b});
                } else {
                    const auto some = [&](const uint8_t* plane, __m512i fill, int ahead) __attribute__((always_inline)) {
                        return reinterpret_cast<Sum>(_mm512_mask_loadu_epi8(fill, inside[ahead], plane + at + 4 * ahead));
                    };
                    put(y, x, {some(a, fill_a, 0), some(a, fill_a, 1)}, {some(b, fill_b, 0), some(b, fill_b, 1)});
                }
            }
        }
#else
        split(PhasePlanes(seen, copies_), c_.in[first], c_.fill[first]), split(PhasePlanes(seen, copies_ + phases.bytes), c_.in[second], c_.fill[second]);
        for (int64_t y = 0; y < phases.rows; ++y) {
            const uint8_t *a = copies_ + y * phases.columns, *b = a + phases.bytes;
            for (int64_t x = 0; x < columns_; x += lanes) put(y, x, {load(a + 4 * x), load(a + 4 * x + 4)}, {load(b + 4 * x), load(b + 4 * x + 4)});
        }
#endif
    }

    // Half of the rows of the products.
    template <int Half>
    void transform_in(int64_t pair, int64_t t) const {
        constexpr int half = Winograd::side / 2;
        Words rows[half][6];
#pragma GCC unroll 6
        for (int x = 0; x < 6; ++x) {
            Words d[6], to[half];
#pragma GCC unroll 6
            for (int y = 0; y < 6; ++y) d[y] = reinterpret_cast<Words>(load(phase(y, x) + t));
            Half ? transform_last(d, to) : transform_first(d, to);
#pragma GCC unroll 3
            for (int y = 0; y < half; ++y) rows[y][x] = to[y];
        }
#pragma GCC unroll 3
        for (int y = 0; y < half; ++y) {
            Words to[6];
            transform_first(rows[y], to), transform_last(rows[y], to + half);
            uint32_t* at = in_ + (Half * half + y) * 6 * in_slice_ + pair * width_ + t;
#pragma GCC unroll 6
            for (int x = 0; x < 6; ++x) store(at + x * in_slice_, reinterpret_cast<Sum>(to[x]));
        }
    }

    void transform_weights(int64_t chunk) const {
        const int8_t* from = c_.weights + (group_ * c_.chunks() + chunk) * c_.pairs() * 9 * 2 * Winograd::chunk;
        for (int64_t pair = 0; pair < c_.pairs(); ++pair, from += 9 * 2 * Winograd::chunk) {
            for (int64_t line = 0; line < 9 * 2 * Winograd::chunk; line += 64) __builtin_prefetch(from + 2048 + line);
            for (int64_t row = 0; row < Winograd::chunk; row += lanes) {
                Words rows[6][3];
#pragma GCC unroll 3
                for (int x = 0; x < 3; ++x) {
                    Words g[3], to[6];
#pragma GCC unroll 3
                    for (int y = 0; y < 3; ++y)
                        g[y] = __builtin_convertvector(*reinterpret_cast<const Bytes*>(from + ((y * 3 + x) * Winograd::chunk + row) * 2), Words);
                    transform_filter(g, to);
#pragma GCC unroll 6
                    for (int y = 0; y < 6; ++y) rows[y][x] = to[y];
                }
#pragma GCC unroll 6
                for (int y = 0; y < 6; ++y) {
                    Words to[6];
                    transform_filter(rows[y], to);
#pragma GCC unroll 6
                    for (int x = 0; x < 6; ++x)
                        store(weights_ + (y * 6 + x) * weights_slice_ + pair * Winograd::chunk + row, reinterpret_cast<Sum>(to[x]));
                }
            }
        }
    }

    template <int R, int V>
    [[gnu::always_inline]] void tile(const uint32_t* x, const uint32_t* w, uint32_t* to) const {
        Sum sum[R][V] = {};
        for (int64_t pair = 0; pair < c_.pairs(); ++pair, x += width_, w += Winograd::chunk) {
            Sum operands[V];
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) operands[v] = load(x + v * lanes);
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r) {
                const Sum weight = Sum{} + w[r];
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) add_product(sum[r][v], operands[v], weight);
            }
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) store(to + r * width_ + v * lanes, sum[r][v]);
    }

    // Of the last few tiles, all rows of the chunk: lanes are rows. Four products at once, so that no sum waits for the one before.
    template <int T>
    void multiply_some(int64_t t) const {
        constexpr int V = Winograd::chunk / lanes, K = V > 2 ? 1 : V > 1 ? 2 : 4;
        for (int64_t k = 0; k < Winograd::products; k += K)
            for (int64_t v = 0; v < V; ++v) {
                Sum sum[K][T] = {};
                const uint32_t *x = in_ + k * in_slice_ + t, *w = weights_ + k * weights_slice_ + v * lanes;
                for (int64_t pair = 0; pair < c_.pairs(); ++pair, x += width_, w += Winograd::chunk)
#pragma GCC unroll 4
                    for (int i = 0; i < K; ++i) {
                        const Sum weights = load(w + i * weights_slice_);
#pragma GCC unroll 4
                        for (int j = 0; j < T; ++j) add_product(sum[i][j], Sum{} + x[i * in_slice_ + j], weights);
                    }
#pragma GCC unroll 4
                for (int i = 0; i < K; ++i)
#pragma GCC unroll 4
                    for (int j = 0; j < T; ++j)
                        store(few_ + ((k + i) * Winograd::few + t - vectors_ * lanes + j) * Winograd::chunk + v * lanes, sum[i][j]);
            }
    }

    void multiply_few() const {
        const int64_t first = vectors_ * lanes, count = tiles_ - first, pieces = (count + 3) / 4;
        for (int64_t piece = 0; piece < pieces; ++piece) {
            const int64_t t = first + count * piece / pieces;
            switch (first + count * (piece + 1) / pieces - t) {
                case 1: multiply_some<1>(t); break;
                case 2: multiply_some<2>(t); break;
                case 3: multiply_some<3>(t); break;
                default: multiply_some<4>(t);
            }
        }
    }

    // Rows from the first of the chunk's.
    void multiply(int64_t first) const {
        for (int64_t k = 0; k < Winograd::products; ++k)
            for (int64_t t = vectors_ * lanes; t < tiles_; ++t)
                for (int64_t n = 0; n < at_once_; ++n)
                    out_[k * out_slice_ + n * width_ + t] = few_[(k * Winograd::few + t - vectors_ * lanes) * Winograd::chunk + first + n];
        constexpr int R = vector_registers >= 32 ? 8 : 4, most = vector_registers >= 32 ? 3 : 2;
        const int64_t pieces = (vectors_ + most - 1) / most;
        if constexpr (vector_registers >= 32 && lanes == Winograd::lanes)
            if (vectors_ == 1 && at_once_ == Winograd::chunk) {
                for (int64_t k = 0; k < Winograd::products; ++k)
                    tile<Winograd::chunk, 1>(in_ + k * in_slice_, weights_ + k * weights_slice_, out_ + k * out_slice_);
                return;
            }
        for (int64_t k = 0; k < Winograd::products; ++k)
            for (int64_t n = 0; n < at_once_; n += R)
                for (int64_t piece = 0; piece < pieces; ++piece) {
                    const int64_t v = vectors_ * piece / pieces, count = vectors_ * (piece + 1) / pieces - v;
                    const uint32_t *x = in_ + k * in_slice_ + v * lanes, *w = weights_ + k * weights_slice_ + first + n;
                    uint32_t* to = out_ + k * out_slice_ + n * width_ + v * lanes;
                    if (count == 1) tile<R, 1>(x, w, to);
                    if (count == 2) tile<R, 2>(x, w, to);
                    if (most == 3 && count == 3) tile<R, most>(x, w, to);
                }
    }

    // task(plane's row, row of pixels_ or added_) for those of a block.
    template <class Task>
    void each_row(int64_t first, int64_t rows, Task task) const {
        for (int64_t row = 0; row < rows; ++row)
            for (int64_t i = 0; i < 4 && 4 * (first + row) + i < c_.window.out_height; ++i)
                task(4 * (first + row) + i, (i * width_ + row * columns_) * 4);
    }

    void transform_out(int64_t row, int64_t n, int64_t first, int64_t rows) const {
        const int64_t channel = group_ * c_.rows + row, width = c_.window.out_width;
        const Int8End& end = c_.ends[channel];
        const bool has_residual = c_.residual.base;
        if (has_residual) each_row(first, rows, [&](int64_t y, int64_t at) { copy_bytes(added_ + at, c_.residual[channel] + y * width, width); });
        for (int64_t t = 0; t < tiles_; t += lanes) {
            const uint32_t* from = out_ + n * width_ + t;
            Sum half[4][6];
#pragma GCC unroll 6
            for (int x = 0; x < 6; ++x) {
                Sum m[6], to[4];
#pragma GCC unroll 6
                for (int y = 0; y < 6; ++y) m[y] = load(from + (y * 6 + x) * out_slice_);
                transform_back(m, to);
#pragma GCC unroll 4
                for (int y = 0; y < 4; ++y) half[y][x] = to[y];
            }
#pragma GCC unroll 4
            for (int y = 0; y < 4; ++y) {
                Sum whole[4];
                transform_back(half[y], whole);
                Int sums[4];
#pragma GCC unroll 4
                for (int x = 0; x < 4; ++x)
                    sums[x] = reinterpret_cast<Int>(reinterpret_cast<Sum>(reinterpret_cast<Int>(whole[x] * ninth) >> (shift[y] + shift[x])) +
                                                    static_cast<uint32_t>(end.bias));
                const int64_t at = (y * width_ + t) * 4;
                end_row(pixels_ + at, sums, end, has_residual ? added_ + at : nullptr, c_.has_plain_ends);
            }
        }
        each_row(first, rows, [&](int64_t y, int64_t at) { copy_bytes(c_.out[channel] + y * width, pixels_ + at, width); });
    }

    const Winograd& c_;
    const int64_t group_, width_, at_once_, columns_, in_slice_, out_slice_, weights_slice_, phase_;
    int64_t tiles_ = 0, vectors_ = 0;  // of a block; those that are multiplied as whole ones
    uint32_t *const in_, *const out_, *const weights_, *const few_, *const phases_;
    uint8_t *const copies_, *const pixels_, *const added_;
};

}  // namespace

void convolution_int8_winograd(const Winograd& c, uint8_t* scratch, int32_t first_row, int32_t last_row, int32_t first_chunk, int32_t last_chunk) {
    const int64_t chunks = c.chunks();
    for (int64_t group = first_chunk / chunks; group * chunks < last_chunk; ++group) {
        const int64_t first = first_chunk - group * chunks, last = last_chunk - group * chunks;
        Group(c, group, scratch).run(first_row, last_row, first > 0 ? first : 0, last < chunks ? last : chunks);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
