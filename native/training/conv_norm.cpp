// Rows in tiles of six > blocks of four vectors of columns > depth: 6 x 4 sums + 4 operands = 28 of 32 registers with AVX-512
// (two vectors, 12 + 2 of 16, with AVX2). A channel's plane is a few hundred KiB and stays in the L2 cache from the convolution
// to the normalised result.
#include "training/conv_norm.h"

#if SHUFFLEKIT_VECTOR_BYTES >= 32
#include <immintrin.h>
#endif

#include "kernels/activation_math.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

constexpr int tile_vectors = vector_lanes == 8 ? 2 : 4;

inline vector broadcast(float x) { return SHUFFLEKIT_ISA::broadcast<vector>(x); }

constexpr float infinity = __builtin_inff();

template <class T>
constexpr T smaller(T a, T b) { return a < b ? a : b; }

// x where value is strictly between, else 0; High: where there is an upper bound at all.
template <bool High>
[[gnu::always_inline]] inline vector where_between(vector x, vector value, vector low, vector high) {
    x = value > low ? x : vector{};
    if constexpr (High) x = value < high ? x : vector{};
    return x;
}

inline float sum_of_lanes(vector x) {
#if SHUFFLEKIT_VECTOR_BYTES == 4
    return x;
#else
    using lanes = float __attribute__((vector_size(16)));
    const auto* parts = reinterpret_cast<const lanes*>(&x);
    lanes sum = parts[0];
    for (int i = 1; i < vector_lanes / 4; ++i) sum += parts[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
#endif
}

// Stores that pass the caches by: memory is not read first, and what is there stays. For x86-64; elsewhere they are plain ones.
[[gnu::always_inline]] inline void stream(float* p, vector x) {
#if SHUFFLEKIT_VECTOR_BYTES == 64
    _mm512_stream_ps(p, (__m512)x);
#elif SHUFFLEKIT_VECTOR_BYTES == 32
    _mm256_stream_ps(p, (__m256)x);
#else
    store(p, x);
#endif
}

// Before another thread may read what was streamed.
inline void end_streams() {
#if SHUFFLEKIT_VECTOR_BYTES >= 32
    _mm_sfence();
#endif
}

// Whether a map is streamed: so large that little of it is in the caches when its reader comes; it must lie on cache lines.
bool is_streamed(const float* map, int64_t channels, int64_t plane) {
    constexpr int64_t most_cached = int64_t{1} << 20;
    return channels * plane > most_cached && plane % 16 == 0 && reinterpret_cast<uintptr_t>(map) % 64 == 0;
}

// Planes that a product reads or writes: their starts, in floats from `base`.
struct Planes {
    float* base;
    const int64_t* offsets;
};

// What a product does with its sums before it stores them.
struct Finish {
    const float* added;  // may be null; lies like the output
    const float* x;      // may be null: the output is 0 where this is not strictly between
    float low, high;
    const float* start = nullptr;  // of each row's sum; may be null: 0
    bool clamps = false;           // to low and high
    bool streams = false;
};

struct Product {
    const float* in;
    const int64_t* in_offsets;
    const float* weights;  // of each tile of rows: [depth][taps][rows of the tile]
    int32_t depth, taps;
    Planes out;
    Finish finish;
};

template <int R, int V>
[[gnu::always_inline]] inline void finish(const Product& product, int32_t row, int64_t column, vector (&sum)[R][V]) {
    const Finish& f = product.finish;
    const int64_t* offsets = product.out.offsets + row;
    if (f.start) {
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[r][v] += broadcast(f.start[row + r]);
    }
    if (f.added) {
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[r][v] += load(f.added + offsets[r] + column + v * vector_lanes);
    }
    if (f.clamps && f.low > -infinity) {
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[r][v] = at_least(sum[r][v], f.low);
    }
    if (f.clamps && f.high < infinity) {
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[r][v] = at_most(sum[r][v], f.high);
    }
    // One store after each mask: to load all masks first would take registers that are not there.
    const vector low = broadcast(f.low), high = broadcast(f.high);
    const auto put = [&]<bool Masks, bool High, bool Streams>() __attribute__((always_inline)) {
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) {
                const int64_t at = offsets[r] + column + v * vector_lanes;
                const vector value = Masks ? where_between<High>(sum[r][v], load(f.x + at), low, high) : sum[r][v];
                Streams ? stream(product.out.base + at, value) : store(product.out.base + at, value);
            }
    };
    const auto with_mask = [&]<bool Streams>() __attribute__((always_inline)) {
        if (!f.x)
            put.template operator()<false, false, Streams>();
        else
            f.high < infinity ? put.template operator()<true, true, Streams>() : put.template operator()<true, false, Streams>();
    };
    f.streams ? with_mask.template operator()<true>() : with_mask.template operator()<false>();
}

// Asks for what a later tile takes, while this one is computed: planes are more streams than the processor foresees.
template <int V>
[[gnu::always_inline]] inline void fetch(const float* from) {
    constexpr int line = 16;
#pragma GCC unroll 8
    for (int i = 0; i < V * vector_lanes; i += line) __builtin_prefetch(from + i);
}

// The same of what R rows end with.
template <int R, int V>
[[gnu::always_inline]] inline void fetch_ends(const Product& product, int32_t row, int64_t column) {
    const auto fetch_rows = [&](const float* plane) __attribute__((always_inline)) {
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) fetch<V>(plane + product.out.offsets[row + r] + column);
    };
    if (product.finish.added) fetch_rows(product.finish.added);
    if (product.finish.x) fetch_rows(product.finish.x);
    if (!product.finish.streams) fetch_rows(product.out.base);
}

// How many floats later: of a tile with many sums, and of one with few.
constexpr int64_t next_tile = 64, later_tile = 512;

// One tile at the same column of all planes.
template <int R, int V>
void pointwise_tile(const Product& product, const float* weights, int32_t row, int64_t column) {
    fetch_ends<R, V>(product, row, column + next_tile);
    vector sum[R][V];
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[r][v] = vector{};
    const float* in = product.in + column;
    for (int32_t d = 0; d < product.depth; ++d, weights += R) {
        const float* operand = in + product.in_offsets[d];
        vector x[V];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) x[v] = load(operand + v * vector_lanes);
        fetch<V>(operand + next_tile);
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[r][v] += broadcast(weights[r]) * x[v];
    }
    finish<R, V>(product, row, column, sum);
}

// One tile of a pixel: `taps` says which pixels of the operands meet which weights; `image` is the first one.
template <int R, int V>
void tapped_tile(const Product& product, const float* weights, int32_t row, int64_t pixel, int64_t image, const Tap* taps, const Tap* end) {
    vector sum[R][V];
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[r][v] = vector{};
    fetch_ends<R, V>(product, row, pixel + image + later_tile);
    for (int32_t d = 0; d < product.depth; ++d, weights += product.taps * R) {
        const float* plane = product.in + product.in_offsets[d] + image;
        if (taps < end) fetch<V>(plane + end[-1].pixel + later_tile);
        for (const Tap* tap = taps; tap < end; ++tap) {
            const float* operand = plane + tap->pixel;
            const float* weight = weights + tap->weight * R;
            vector x[V];
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) x[v] = load(operand + v * vector_lanes);
#pragma GCC unroll 6
            for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
                for (int v = 0; v < V; ++v) sum[r][v] += broadcast(weight[r]) * x[v];
        }
    }
    finish<R, V>(product, row, pixel + image, sum);
}

template <int R>
void pointwise_rows(const Product& product, const float* weights, int32_t row, int64_t first, int64_t last) {
    int64_t column = first;
    for (; column + tile_vectors * vector_lanes <= last; column += tile_vectors * vector_lanes)
        pointwise_tile<R, tile_vectors>(product, weights, row, column);
    for (; column < last; column += vector_lanes) pointwise_tile<R, 1>(product, weights, row, column);
}

template <int R>
void tapped_rows(const Product& product, const float* weights, int32_t row, int64_t images, int64_t pixels, const int32_t* first_tap, const Tap* taps) {
    constexpr int wide = R == 1 ? 2 * tile_vectors : tile_vectors;
    for (int64_t p = 0; p < pixels; ++p) {
        const Tap *begin = taps + first_tap[p], *end = taps + first_tap[p + 1];
        int64_t image = 0;
        for (; image + wide * vector_lanes <= images; image += wide * vector_lanes)
            tapped_tile<R, wide>(product, weights, row, p * images, image, begin, end);
        for (; image < images; image += vector_lanes) tapped_tile<R, 1>(product, weights, row, p * images, image, begin, end);
    }
}

template <class Call>
void with_rows(int32_t rows, Call call) {
    switch (rows) {
        case 1: return call.template operator()<1>();
        case 2: return call.template operator()<2>();
        case 3: return call.template operator()<3>();
        case 4: return call.template operator()<4>();
        case 5: return call.template operator()<5>();
        default: return call.template operator()<conv_norm_tile>();
    }
}

// Rows first to last as tiles of about the same height; calls with the first row and the number of rows.
template <class Call>
void each_tile(int32_t first, int32_t last, Call call) {
    const int32_t rows = last - first, tiles = (rows + conv_norm_tile - 1) / conv_norm_tile;
    for (int32_t tile = 0; tile < tiles; ++tile) {
        const int32_t row = first + rows * tile / tiles;
        call(row, first + rows * (tile + 1) / tiles - row);
    }
}

void multiply_columns(const Product& product, int32_t rows_first, int32_t rows_last, int64_t first, int64_t last) {
    const float* weights = product.weights;
    each_tile(rows_first, rows_last, [&](int32_t row, int32_t rows) {
        with_rows(rows, [&]<int R>() { pointwise_rows<R>(product, weights, row, first, last); });
        weights += rows * product.depth;
    });
}

void multiply_taps(const Product& product, int32_t rows_first, int32_t rows_last, int64_t images, int64_t pixels, const int32_t* first_tap, const Tap* taps) {
    const float* weights = product.weights;
    each_tile(rows_first, rows_last, [&](int32_t row, int32_t rows) {
        with_rows(rows, [&]<int R>() { tapped_rows<R>(product, weights, row, images, pixels, first_tap, taps); });
        weights += rows * product.depth * product.taps;
    });
}

// Weights of rows first to last, in the order in which tiles read them.
void pack_forward(const ConvNorm& layer, const float* weights, int32_t first, int32_t last, float* to) {
    const int64_t length = int64_t{layer.depth} * layer.taps;
    each_tile(first, last, [&](int32_t row, int32_t rows) {
        for (int64_t k = 0; k < length; ++k)
            for (int32_t r = 0; r < rows; ++r) *to++ = weights[(row + r) * length + k];
    });
}

// The same for the gradient of x: its rows are the layer's input channels.
void pack_back(const ConvNorm& layer, const float* weights, float* to) {
    each_tile(0, layer.depth, [&](int32_t channel, int32_t channels) {
        for (int32_t row = 0; row < layer.rows; ++row)
            for (int32_t t = 0; t < layer.taps; ++t)
                for (int32_t c = 0; c < channels; ++c) *to++ = weights[(int64_t{row} * layer.depth + channel + c) * layer.taps + t];
    });
}

// Sums over a plane, of values that `at` computes from the column; stretches of 64 vectors keep the rounding small.
template <int K, class At>
void sum_plane(int64_t columns, double (&total)[K], At at) {
    constexpr int64_t stretch = 64 * vector_lanes;
    vector outer[K];
    for (int k = 0; k < K; ++k) outer[k] = vector{};
    int64_t column = 0;
    while (column < columns) {
        const int64_t end = smaller(column + stretch, columns);
        vector inner[K][4];
        for (int k = 0; k < K; ++k)
            for (int i = 0; i < 4; ++i) inner[k][i] = vector{};
        for (; column + 4 * vector_lanes <= end; column += 4 * vector_lanes)
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
                vector value[K];
                at(column + i * vector_lanes, value);
#pragma GCC unroll 2
                for (int k = 0; k < K; ++k) inner[k][i] += value[k];
            }
        for (; column < end; column += vector_lanes) {
            vector value[K];
            at(column, value);
            for (int k = 0; k < K; ++k) inner[k][0] += value[k];
        }
        for (int k = 0; k < K; ++k) outer[k] += (inner[k][0] + inner[k][1]) + (inner[k][2] + inner[k][3]);
    }
    for (int k = 0; k < K; ++k) total[k] += sum_of_lanes(outer[k]);
}

void put_statistics(const ConvNormForward& f, int64_t channel, double mean, double variance, int64_t columns) {
    f.mean[channel] = static_cast<float>(mean);
    f.inverse[channel] = static_cast<float>(1 / __builtin_sqrt(variance + f.epsilon));
    if (!f.running_mean) return;
    const double unbiased = variance * columns / (columns - 1), m = f.momentum;
    f.running_mean[channel] = static_cast<float>((1 - m) * f.running_mean[channel] + m * mean);
    f.running_var[channel] = static_cast<float>((1 - m) * f.running_var[channel] + m * unbiased);
}

// Statistics and result of one channel whose convolution is in `z`.
void normalise(const ConvNorm& layer, const ConvNormForward& f, const float* z, int64_t channel) {
    const int64_t columns = layer.out_pixels * layer.images;
    double sum[1] = {0}, off[2] = {0, 0};
    sum_plane(columns, sum, [&](int64_t c, vector (&value)[1]) { value[0] = load(z + c); });
    const auto mean = static_cast<float>(sum[0] / columns);
    const vector middle = broadcast(mean);
    sum_plane(columns, off, [&](int64_t c, vector (&value)[2]) {
        value[0] = load(z + c) - middle;
        value[1] = value[0] * value[0];
    });
    const double rest = off[0] / columns;  // of the mean's own rounding
    put_statistics(f, channel, sum[0] / columns, off[1] / columns - rest * rest, columns);
    const vector scale = broadcast(f.inverse[channel] * f.gamma[channel]), shift = broadcast(f.beta[channel]);
    const float* residual = f.residual ? f.residual + channel * layer.out_plane : nullptr;
    float* y = f.y + channel * layer.out_plane;
    const bool streams = is_streamed(f.y, int64_t{layer.groups} * layer.rows, layer.out_plane);
    const auto put = [&]<bool Residual, bool High>() {
        for (int64_t c = 0; c < columns; c += vector_lanes) {
            vector value = (load(z + c) - middle) * scale + shift;
            if constexpr (Residual) value += load(residual + c);
            value = at_least(value, f.low);
            if constexpr (High) value = at_most(value, f.high);
            streams ? stream(y + c, value) : store(y + c, value);
        }
    };
    const bool is_high = f.high < infinity;
    if (residual)
        is_high ? put.template operator()<true, true>() : put.template operator()<true, false>();
    else
        is_high ? put.template operator()<false, true>() : put.template operator()<false, false>();
}

// Where the planes of a group's input start.
void input_offsets(const ConvNorm& layer, int32_t group, int64_t* offsets) {
    for (int32_t d = 0; d < layer.depth; ++d) offsets[d] = layer.order[group * layer.depth + d] * layer.in_plane;
}

float* take(float*& work, int64_t floats) {
    float* taken = work;
    work += (floats + 15) / 16 * 16;  // whole cache lines
    return taken;
}

int64_t* take_offsets(float*& work, int64_t count) { return reinterpret_cast<int64_t*>(take(work, 2 * count)); }

// One channel of the gradient before the norm: what dz is made of.
struct Channel {
    const float* dy;
    const float* y;  // null: the mask comes from z
    vector mean, scale, shift, low, high;
    bool is_masked, is_high;

    Channel(const ConvNormBackward& b, int64_t channel, int64_t plane)
        : dy(b.dy + channel * plane), y(b.y ? b.y + channel * plane : nullptr), mean(broadcast(b.mean[channel])),
          scale(broadcast(b.inverse[channel] * b.gamma[channel])), shift(broadcast(b.beta[channel])), low(broadcast(b.low)),
          high(broadcast(b.high)), is_masked(b.is_masked), is_high(b.high < infinity) {}
};

enum class Mask { none, from_z, from_y };

template <Mask M, bool High>
[[gnu::always_inline]] inline vector gradient(const Channel& c, int64_t column, vector centred) {
    const vector dy = load(c.dy + column);
    if constexpr (M == Mask::none) return dy;
    const vector value = M == Mask::from_y ? load(c.y + column) : centred * c.scale + c.shift;
    return where_between<High>(dy, value, c.low, c.high);
}

template <class Call>
void with_mask(const Channel& channel, Call call) {
    if (!channel.is_masked) return call.template operator()<Mask::none, false>();
    if (channel.y)
        channel.is_high ? call.template operator()<Mask::from_y, true>() : call.template operator()<Mask::from_y, false>();
    else
        channel.is_high ? call.template operator()<Mask::from_z, true>() : call.template operator()<Mask::from_z, false>();
}

// dz of some columns of a channel; z and dz start at the first one, and may be the same.
void put_dz(const ConvNorm& layer, const ConvNormBackward& b, int64_t number, const float* z, float* dz, int64_t first, int64_t last) {
    const int64_t columns = layer.out_pixels * layer.images;
    const Channel channel(b, number, layer.out_plane);
    const double count = static_cast<double>(columns), inverse = b.inverse[number];
    const vector from_sum = broadcast(static_cast<float>(b.dbeta[number] / count));
    const vector from_z = broadcast(static_cast<float>(inverse * b.dgamma[number] / count));
    float* residual = b.dresidual ? b.dresidual + number * layer.out_plane : nullptr;
    with_mask(channel, [&]<Mask M, bool High>() {
        for (int64_t c = first; c < last; c += vector_lanes) {
            const vector centred = load(z + c - first) - channel.mean;
            const vector g = gradient<M, High>(channel, c, centred);
            if (residual) store(residual + c, g);
            store(dz + c - first, channel.scale * (g - from_sum - centred * from_z));
        }
    });
}

// dweights[row][channel] += sum over columns of dz x, in tiles of 4 x 6 sums (3 x 4 with 16 registers).
template <int R, int D>
void pointwise_weights(const float* dz, int64_t dz_stride, const float* x, const int64_t* offsets, int64_t columns, float* to, int64_t to_stride) {
    vector sum[R][D];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 6
        for (int d = 0; d < D; ++d) sum[r][d] = vector{};
    for (int64_t c = 0; c < columns; c += vector_lanes) {
        vector g[R];
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) g[r] = load(dz + r * dz_stride + c);
#pragma GCC unroll 6
        for (int d = 0; d < D; ++d) {
            const vector operand = load(x + offsets[d] + c);
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) sum[r][d] += g[r] * operand;
        }
    }
    for (int r = 0; r < R; ++r)
        for (int d = 0; d < D; ++d) to[r * to_stride + d] += sum_of_lanes(sum[r][d]);
}

constexpr int weight_rows = vector_lanes == 8 ? 3 : 4, weight_depth = vector_lanes == 8 ? 4 : 6;

void multiply_weights(const float* dz, int64_t dz_stride, const float* x, const int64_t* offsets, int64_t columns, int32_t rows, int32_t depth, float* to,
                      int64_t to_stride) {
    for (int32_t r = 0; r < rows;) {
        const int32_t height = smaller(rows - r, weight_rows);
        for (int32_t d = 0; d < depth;) {
            const int32_t width = smaller(depth - d, weight_depth);
            const auto call = [&]<int R, int D>() {
                pointwise_weights<R, D>(dz + r * dz_stride, dz_stride, x, offsets + d, columns, to + r * to_stride + d, to_stride);
            };
            const auto with_width = [&]<int R>() {
                with_rows(width, [&]<int D>() { call.template operator()<R, smaller(D, weight_depth)>(); });
            };
            switch (height) {
                case 1: with_width.template operator()<1>(); break;
                case 2: with_width.template operator()<2>(); break;
                case 3: with_width.template operator()<3>(); break;
                default: with_width.template operator()<weight_rows>(); break;
            }
            d += width;
        }
        r += height;
    }
}

// The same over taps; `sums` holds a vector for each weight, [depth][taps][R].
template <int R, int V>
[[gnu::always_inline]] inline void tapped_weights(const ConvNorm& layer, const float* dz, int64_t dz_stride, const float* x, const int64_t* offsets,
                                                  const Tap* taps, const Tap* end, float* sums) {
    vector g[R][V];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) g[r][v] = load(dz + r * dz_stride + v * vector_lanes);
    for (int32_t d = 0; d < layer.depth; ++d, sums += layer.taps * R * vector_lanes) {
        const float* plane = x + offsets[d];
        for (const Tap* tap = taps; tap < end; ++tap) {
            const float* operand = plane + tap->pixel;
            float* to = sums + tap->weight * R * vector_lanes;
            vector value[V], sum[R];
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) value[v] = load(operand + v * vector_lanes);
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                sum[r] = g[r][0] * value[0];
#pragma GCC unroll 8
                for (int v = 1; v < V; ++v) sum[r] += g[r][v] * value[v];
                store(to + r * vector_lanes, load(to + r * vector_lanes) + sum[r]);
            }
        }
    }
}

template <int R>
void tapped_weights_of_rows(const ConvNorm& layer, const float* dz, int64_t dz_stride, const float* x, const int64_t* offsets, float* sums, float* to) {
    constexpr int wide = R == 1 ? 2 * tile_vectors : R > 2 && vector_lanes == 8 ? 2 : tile_vectors;
    const int64_t length = int64_t{layer.depth} * layer.taps;
    for (int64_t i = 0; i < length * R; ++i) store(sums + i * vector_lanes, vector{});
    for (int64_t p = 0; p < layer.out_pixels; ++p) {
        const Tap *begin = layer.forward_taps + layer.first_tap[p], *end = layer.forward_taps + layer.first_tap[p + 1];
        const float* at = dz + p * layer.images;
        int64_t image = 0;
        for (; image + wide * vector_lanes <= layer.images; image += wide * vector_lanes)
            tapped_weights<R, wide>(layer, at + image, dz_stride, x + image, offsets, begin, end, sums);
        for (; image < layer.images; image += vector_lanes)
            tapped_weights<R, 1>(layer, at + image, dz_stride, x + image, offsets, begin, end, sums);
    }
    for (int64_t k = 0; k < length; ++k)
        for (int r = 0; r < R; ++r) to[r * length + k] += sum_of_lanes(load(sums + (k * R + r) * vector_lanes));
}

void tapped_weights_of_group(const ConvNorm& layer, const float* dz, int64_t dz_stride, const float* x, const int64_t* offsets, float* sums, float* to) {
    const int64_t length = int64_t{layer.depth} * layer.taps;
    for (int32_t r = 0; r < layer.rows;) {
        const int32_t height = smaller(layer.rows - r, 3);
        const auto call = [&]<int R>() { tapped_weights_of_rows<R>(layer, dz + r * dz_stride, dz_stride, x, offsets, sums, to + r * length); };
        height == 1 ? call.template operator()<1>() : height == 2 ? call.template operator()<2>() : call.template operator()<3>();
        r += height;
    }
}

// The operands of some columns around their means, and behind them a row of ones.
void put_centred(const float* x, const int64_t* in, const float* means, int32_t depth, int64_t columns, float* to, int64_t stride) {
    for (int32_t d = 0; d < depth; ++d) {
        const vector mean = broadcast(means[d]);
        for (int64_t c = 0; c < columns; c += vector_lanes) store(to + d * stride + c, load(x + in[d] + c) - mean);
    }
    for (int64_t c = 0; c < columns; c += vector_lanes) store(to + depth * stride + c, broadcast(1));
}

// Means and products of a group's operands.
void put_moments(const float* x, const int64_t* in, int32_t depth, int64_t columns, float* moments, const int64_t* blocks, int64_t block, int64_t stride, float* centred) {
    float* products = moments + depth;
    for (int32_t d = 0; d < depth; ++d) {
        double sum[1] = {0};
        sum_plane(columns, sum, [&](int64_t c, vector (&value)[1]) { value[0] = load(x + in[d] + c); });
        moments[d] = static_cast<float>(sum[0] / columns);
    }
    for (int32_t i = 0; i < depth * depth; ++i) products[i] = 0;
    for (int64_t c = 0; c < columns; c += block) {
        const int64_t count = smaller(block, columns - c);
        put_centred(x + c, in, moments, depth, count, centred, stride);
        for (int32_t d = 0; d < depth; d += weight_rows)  // from the diagonal on
            multiply_weights(centred + d * stride, stride, centred, blocks + d, count, smaller(weight_rows, depth - d), depth - d,
                             products + d * (depth + 1), depth);
    }
    for (int32_t d = 0; d < depth; ++d)
        for (int32_t e = 0; e < d; ++e) products[d * depth + e] = products[e * depth + d];
}

// Where rows of a block start.
int64_t* take_blocks(float*& work, int32_t rows, int64_t stride) {
    int64_t* blocks = take_offsets(work, rows);
    for (int32_t r = 0; r < rows; ++r) blocks[r] = r * stride;
    return blocks;
}

// C w of a group's row. C is symmetric: its rows one after the other make sums that do not wait for each other.
void multiply_products(const float* products, const float* weights, int32_t depth, double* to) {
    for (int32_t d = 0; d < depth; ++d) to[d] = 0;
    for (int32_t e = 0; e < depth; ++e, products += depth) {
        const double weight = weights[e];
        for (int32_t d = 0; d < depth; ++d) to[d] += products[d] * weight;
    }
}

}  // namespace

void conv_norm_lean_forward(const ConvNorm& layer, const ConvNormForward& f, int32_t group, float* work) {
    const int64_t columns = layer.out_pixels * layer.images, channel = int64_t{group} * layer.rows;
    const int64_t block = conv_norm_block(layer), stride = conv_norm_stride(block);
    const int32_t depth = layer.depth;
    int64_t *in = take_offsets(work, depth), *out = take_offsets(work, layer.rows), *blocks = take_blocks(work, depth, stride);
    auto* products = reinterpret_cast<double*>(take(work, 2 * depth));
    float *start = take(work, layer.rows), *scaled = take(work, layer.rows * depth), *packed = take(work, layer.rows * depth);
    float* moments = f.moments + group * depth * (depth + int64_t{1});
    const float* weights = f.weights + channel * depth;
    input_offsets(layer, group, in);
    put_moments(f.x, in, depth, columns, moments, blocks, block, stride, work);
    for (int32_t r = 0; r < layer.rows; ++r) {
        const float* row = weights + r * depth;
        double mean = 0, variance = 0;
        multiply_products(moments + depth, row, depth, products);
        for (int32_t d = 0; d < depth; ++d) mean += double{row[d]} * moments[d], variance += row[d] * products[d] / columns;
        put_statistics(f, channel + r, mean, variance > 0 ? variance : 0, columns);
        const double scale = double{f.gamma[channel + r]} * f.inverse[channel + r];
        start[r] = static_cast<float>(f.beta[channel + r] - mean * scale);
        for (int32_t d = 0; d < depth; ++d) scaled[r * depth + d] = static_cast<float>(row[d] * scale);
        out[r] = (channel + r) * layer.out_plane;
    }
    pack_forward(layer, scaled, 0, layer.rows, packed);
    const Product product{f.x, in, packed, depth, 1, {f.y, out}, {f.residual, nullptr, f.low, f.high, start, true, is_streamed(f.y, int64_t{layer.groups} * layer.rows, layer.out_plane)}};
    for (int64_t c = 0; c < columns; c += block) multiply_columns(product, 0, layer.rows, c, smaller(c + block, columns));
    end_streams();
}

void conv_norm_lean_backward(const ConvNorm& layer, const ConvNormBackward& b, int32_t group, float* work) {
    const int64_t columns = layer.out_pixels * layer.images, channel = int64_t{group} * layer.rows;
    const int64_t block = conv_norm_block(layer), stride = conv_norm_stride(block);
    const int32_t depth = layer.depth, rows = layer.rows, wide = depth + 1;
    const double count = static_cast<double>(columns);
    int64_t *in = take_offsets(work, depth), *operands = take_offsets(work, rows + depth), *blocks = take_blocks(work, wide, stride);
    auto* products = reinterpret_cast<double*>(take(work, 2 * depth));
    float *sums = take(work, rows * wide), *start = take(work, depth), *matrix = take(work, depth * (rows + depth));
    float *packed = take(work, depth * (rows + depth)), *centred = take(work, wide * stride), *masked = work;
    const float *moments = b.moments + group * depth * int64_t{wide}, *weights = b.weights + channel * depth;
    input_offsets(layer, group, in);
    for (int32_t i = 0; i < rows * wide; ++i) sums[i] = 0;
    const auto put_masked = [&](int64_t c, int64_t end, bool keeps) {
        for (int32_t r = 0; r < rows; ++r) {
            const Channel from(b, channel + r, layer.out_plane);
            float* residual = keeps && b.dresidual ? b.dresidual + (channel + r) * layer.out_plane : nullptr;
            for (int64_t i = c; i < end; i += vector_lanes) {
                const vector g = gradient<Mask::from_y, true>(from, i, vector{});
                if (residual) store(residual + i, g);
                store(masked + r * stride + i - c, g);
            }
        }
    };
    for (int64_t c = 0; c < columns; c += block) {
        const int64_t end = smaller(c + block, columns);
        put_centred(b.x + c, in, moments, depth, end - c, centred, stride);
        if (b.is_masked) put_masked(c, end, true);
        const float* g = b.is_masked ? masked : b.dy + channel * layer.out_plane + c;
        multiply_weights(g, b.is_masked ? stride : layer.out_plane, centred, blocks, end - c, rows, wide, sums, wide);
    }
    // matrix: what multiplies g and x in each channel of dx, [depth][rows + depth].
    for (int32_t i = 0; i < depth * (rows + depth); ++i) matrix[i] = 0;
    for (int32_t d = 0; d < depth; ++d) start[d] = 0;
    for (int32_t r = 0; r < rows; ++r) {
        const float *row = weights + r * depth, *sum = sums + r * wide;
        double along = 0;
        for (int32_t d = 0; d < depth; ++d) along += double{row[d]} * sum[d];
        const double inverse = b.inverse[channel + r], scale = b.gamma[channel + r] * inverse, slope = inverse * inverse * along / count;
        b.dbeta[channel + r] = sum[depth];
        b.dgamma[channel + r] = static_cast<float>(inverse * along);
        multiply_products(moments + depth, row, depth, products);
        for (int32_t d = 0; d < depth; ++d) {
            if (b.dweights) b.dweights[(channel + r) * depth + d] = static_cast<float>(scale * (sum[d] - slope * products[d]));
            float* to = matrix + d * (rows + depth);
            to[r] = static_cast<float>(row[d] * scale);
            start[d] -= static_cast<float>(row[d] * scale * sum[depth] / count);
            const auto factor = static_cast<float>(row[d] * scale * slope);
            for (int32_t e = 0; e < depth; ++e) to[rows + e] -= factor * row[e];
        }
    }
    if (!b.dx) return;
    for (int32_t d = 0; d < depth; ++d) {
        double constant = 0;
        for (int32_t e = 0; e < depth; ++e) constant += double{matrix[d * (rows + depth) + rows + e]} * moments[e];
        start[d] -= static_cast<float>(constant);
    }
    const bool streams = is_streamed(b.dx, int64_t{layer.groups} * depth, layer.in_plane);
    float* to = packed;
    each_tile(0, depth, [&](int32_t first, int32_t channels) {
        for (int32_t k = 0; k < rows + depth; ++k)
            for (int32_t d = 0; d < channels; ++d) *to++ = matrix[(first + d) * (rows + depth) + k];
    });
    for (int64_t c = 0; c < columns; c += block) {
        const int64_t end = smaller(c + block, columns);
        if (b.is_masked) put_masked(c, end, false);
        const float* g = b.is_masked ? masked : b.dy + channel * layer.out_plane + c;
        for (int32_t r = 0; r < rows; ++r) operands[r] = r * (b.is_masked ? stride : layer.out_plane);
        for (int32_t d = 0; d < depth; ++d) operands[rows + d] = b.x + c + in[d] - g;
        const Finish finish{b.added ? b.added + c : nullptr, b.masks_x ? b.x + c : nullptr, b.x_low, b.x_high, start, false, streams};
        multiply_columns({g, operands, packed, rows + depth, 1, {b.dx + c, in}, finish}, 0, depth, 0, end - c);
    }
    end_streams();
}

void conv_norm_forward(const ConvNorm& layer, const ConvNormForward& f, int32_t group, int32_t first, int32_t last, float* work) {
    const int64_t columns = layer.out_pixels * layer.images, length = int64_t{layer.depth} * layer.taps;
    int64_t* in = take_offsets(work, layer.depth);
    int64_t* out = take_offsets(work, layer.rows);
    float* packed = take(work, layer.rows * length);
    input_offsets(layer, group, in);
    const float* weights = f.weights + group * layer.rows * length;
    // All rows together read a deep input once; a tile at a time keeps what it wrote in cache.
    const int64_t block = conv_norm_block(layer);
    const bool is_deep = layer.is_pointwise && layer.depth > 2 * conv_norm_tile && last - first > conv_norm_tile;
    each_tile(first, is_deep ? first + 1 : last, [&](int32_t row, int32_t rows) {
        if (is_deep) row = first, rows = last - first;
        const int64_t channel = int64_t{group} * layer.rows + row;
        float* z = f.z + channel * layer.out_plane;
        for (int32_t r = 0; r < rows; ++r) out[r] = r * layer.out_plane;
        pack_forward(layer, weights, row, row + rows, packed);
        const Product product{f.x, in, packed, layer.depth, layer.taps, {z, out}, {nullptr, nullptr, 0, 0}};
        if (is_deep)
            for (int64_t c = 0; c < columns; c += block) multiply_columns(product, 0, rows, c, smaller(c + block, columns));
        else if (layer.is_pointwise)
            multiply_columns(product, 0, rows, 0, columns);
        else
            multiply_taps(product, 0, rows, layer.images, layer.out_pixels, layer.first_tap, layer.forward_taps);
        for (int32_t r = 0; r < rows; ++r) normalise(layer, f, z + r * layer.out_plane, channel + r);
    });
    end_streams();
}

void window_sum(const ConvNorm& layer, const float* in, float* out, const float* weights, bool is_back, int32_t first, int32_t last) {
    const int64_t from = is_back ? layer.out_plane : layer.in_plane, to = is_back ? layer.in_plane : layer.out_plane;
    for (int32_t channel = first; channel < last; ++channel) {
        const int64_t in_offset = channel * from, out_offset = channel * to;
        const Product product{in, &in_offset, weights, 1, layer.taps, {out, &out_offset}, {nullptr, nullptr, 0, 0}};
        multiply_taps(product, 0, 1, layer.images, is_back ? layer.in_pixels : layer.out_pixels, is_back ? layer.first_back : layer.first_tap,
                      is_back ? layer.back_taps : layer.forward_taps);
    }
}

void conv_norm_sums(const ConvNorm& layer, const ConvNormBackward& b, int32_t group, int32_t first, int32_t last) {
    const int64_t columns = layer.out_pixels * layer.images;
    each_tile(first, last, [&](int32_t row, int32_t rows) {
        const int64_t channel = int64_t{group} * layer.rows + row;
        double sums[conv_norm_tile][2] = {};
        const auto add = [&](int32_t r, const float* z) {
            const Channel c(b, channel + r, layer.out_plane);
            with_mask(c, [&]<Mask M, bool High>() {
                sum_plane(columns, sums[r], [&](int64_t column, vector (&value)[2]) {
                    const vector centred = load(z + column) - c.mean;
                    value[0] = gradient<M, High>(c, column, centred);
                    value[1] = value[0] * centred;
                });
            });
        };
        for (int32_t r = 0; r < rows; ++r) add(r, b.z + (channel + r) * layer.out_plane);
        for (int32_t r = 0; r < rows; ++r) {
            b.dbeta[channel + r] = static_cast<float>(sums[r][0]);
            b.dgamma[channel + r] = static_cast<float>(sums[r][1] * b.inverse[channel + r]);
        }
    });
}

void conv_norm_backward(const ConvNorm& layer, const ConvNormBackward& b, int32_t group, int64_t first, int64_t last, float* work) {
    const int64_t columns = layer.out_pixels * layer.images, length = int64_t{layer.depth} * layer.taps;
    const int64_t channel = int64_t{group} * layer.rows;
    int64_t* in = take_offsets(work, layer.depth);
    int64_t* out = take_offsets(work, layer.rows);
    float* packed_back = take(work, layer.rows * length);
    input_offsets(layer, group, in);
    const float* weights = b.weights + channel * length;
    float* dweights = b.dweights ? b.dweights + channel * length : nullptr;
    const int64_t block = conv_norm_block(layer), stride = conv_norm_stride(layer.is_pointwise ? block : columns);
    for (int32_t r = 0; r < layer.rows; ++r) out[r] = r * stride;
    if (b.dx) pack_back(layer, weights, packed_back);
    float* dz = take(work, layer.rows * stride);
    const float* masking = b.masks_x ? b.x : nullptr;
    if (!layer.is_pointwise) {
        for (int32_t r = 0; r < layer.rows; ++r) put_dz(layer, b, channel + r, b.z + (channel + r) * layer.out_plane, dz + r * stride, 0, columns);
        if (b.dx) {
            const Product product{dz, out, packed_back, layer.rows, layer.taps, {b.dx, in}, {b.added, masking, b.x_low, b.x_high}};
            multiply_taps(product, 0, layer.depth, layer.images, layer.in_pixels, layer.first_back, layer.back_taps);
        }
        if (dweights) tapped_weights_of_group(layer, dz, stride, b.x, in, work, dweights);
        return;
    }
    const bool streams = b.dx && is_streamed(b.dx, int64_t{layer.groups} * layer.depth, layer.in_plane);
    for (int64_t c = first; c < last; c += block) {
        const int64_t end = smaller(c + block, last);
        for (int32_t r = 0; r < layer.rows; ++r) put_dz(layer, b, channel + r, b.z + (channel + r) * layer.out_plane + c, dz + r * stride, c, end);
        if (b.dx) {
            const Finish finish{b.added ? b.added + c : nullptr, masking ? masking + c : nullptr, b.x_low, b.x_high, nullptr, false, streams};
            multiply_columns({dz, out, packed_back, layer.rows, 1, {b.dx + c, in}, finish}, 0, layer.depth, 0, end - c);
        }
        if (dweights) multiply_weights(dz, stride, b.x + c, in, end - c, layer.rows, layer.depth, dweights, layer.depth);
    }
    end_streams();
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
