// Groups > blocks of tiles > transform all channels > chunks of output channels > products, one GEMM of (M + 2)^2 groups > transform back;
// with weights beyond the L2 cache products > chunks, so that a product's tiles stay there for all chunks.
#pragma once

#include "kernels/convolution/few_tiles.h"
#include "kernels/convolution/tiles.h"

namespace shufflekit::SHUFFLEKIT_ISA {

// B^T d and A^T m of F(2, 3) and F(4, 3) for vectors of tiles: points 0, 1, -1 and infinity; 0, a, -a, b, -b and infinity for
// a = 3/4, b = 3/2, which round 2.3 times less than 1 and 2.
template <int M>
struct Transform;

template <>
struct Transform<2> {
    // Of a transformed filter's points 0, 1 and infinity, what gives the filter.
    static constexpr int point[3] = {0, 1, 3};
    static constexpr float filter[3][3] = {{1, 0, 0}, {-1, 2, -1}, {0, 0, 1}};
    [[gnu::always_inline]] static void in(const vector* d, vector* to) {
        to[0] = d[0] - d[2], to[1] = d[1] + d[2], to[2] = d[2] - d[1], to[3] = d[3] - d[1];
    }
    [[gnu::always_inline]] static void out(const vector* m, vector* to) {
        to[0] = m[0] + m[1] + m[2], to[1] = m[1] - m[2] + m[3];
    }
};

template <>
struct Transform<4> {
    static constexpr float a = 0.75f, b = 1.5f, a2 = a * a, b2 = b * b;
    static constexpr int point[3] = {0, 1, 5};
    static constexpr float filter[3][3] = {{a2 * b2, 0, 0}, {-a * b2, 2 * a * (a2 - b2), -a}, {0, 0, 1}};
    [[gnu::always_inline]] static void in(const vector* d, vector* to) {
        const vector p = d[4] - b2 * d[2], q = d[3] - b2 * d[1], r = d[4] - a2 * d[2], s = d[3] - a2 * d[1];
        to[0] = a2 * b2 * d[0] + (d[4] - (a2 + b2) * d[2]), to[1] = p + a * q, to[2] = p - a * q;
        to[3] = r + b * s, to[4] = r - b * s, to[5] = a2 * b2 * d[1] + (d[5] - (a2 + b2) * d[3]);
    }
    [[gnu::always_inline]] static void out(const vector* m, vector* to) {
        const vector p = m[1] + m[2], q = m[1] - m[2], r = m[3] + m[4], s = m[3] - m[4];
        to[0] = m[0] + p + r, to[1] = a * q + b * s, to[2] = a2 * p + b2 * r, to[3] = a * a2 * q + (b * b2 * s + m[5]);
    }
};

template <int M>
class WinogradBlocks : Tiles<Winograd<M>> {
  public:
    static constexpr int side = M + 2, products = side * side;

    WinogradBlocks(const Winograd<M>& c, float* scratch)
        : Tiles<Winograd<M>>(c, scratch), in_(scratch + c.moved()), out_(in_ + products * c.in_slice()),
          bias_(out_ + products * c.out_slice()), ins_(reinterpret_cast<int32_t*>(bias_ + products * winograd_rows)),
          outs_(ins_ + products * c.in_channels + gemm_operands_ahead) {
        for (int64_t k = 0; k < products; ++k)
            for (int64_t channel = 0; channel < c.in_channels; ++channel)
                ins_[k * c.in_channels + channel] = static_cast<int32_t>(k * c.in_slice() + channel * lanes_);
        for (int64_t i = 0; i < products * winograd_rows; ++i) bias_[i] = 0;  // what it is, the way back adds
    }

    void run(int32_t group, int64_t first_tile, int64_t last_tile, int64_t first_chunk, int64_t last_chunk) {
        const int64_t block = c_.block();
        group_ = group;
        for (int64_t tile = first_tile, count; tile < last_tile; tile += count) {
            count = last_tile - tile <= block + c_.few ? last_tile - tile : block;
            for (int64_t channel = 0; channel < c_.in_channels; ++channel) {
                this->template take_apart<Transform<M>>(channel, tile, count);
                transform_in(in_ + channel * lanes_, tile, count);
            }
            const int64_t together = c_.chunks_together(), at_once = c_.by_product() ? 1 : products;
            for (int64_t first = first_chunk, last; first < last_chunk; first = last) {
                last = last_chunk - first < together ? last_chunk : first + together;
                if (!multiply_few(first, last, count))
                    for (int64_t k = 0; k < products; k += at_once)
                        for (int64_t chunk = first; chunk < last; ++chunk) multiply(chunk, chunk - first, k, k + at_once, count);
                for (int64_t chunk = first; chunk < last; ++chunk) put_chunk(chunk, chunk - first, tile, count);
            }
        }
    }

  private:
    using Tiles<Winograd<M>>::c_;
    using Tiles<Winograd<M>>::group_;
    using Tiles<Winograd<M>>::lanes_;
    using Tiles<Winograd<M>>::columns_;
    using Tiles<Winograd<M>>::in_slice_;
    using Tiles<Winograd<M>>::out_slice_;

    int32_t rows_of(int64_t chunk) const {
        const int64_t left = c_.rows - chunk * winograd_rows;
        return static_cast<int32_t>(left < winograd_rows ? left : winograd_rows);
    }

    // The columns of what take_apart left.
    void transform_in(float* to, int64_t tile, int64_t count) const {
        const int64_t first = tile % columns_, slice = in_slice_;
        for (int64_t t = 0; t < count; t += vector_lanes)
#pragma GCC unroll 6
            for (int x = 0; x < side; ++x) {
                vector d[side], column[side];
#pragma GCC unroll 6
                for (int y = 0; y < side; ++y) d[y] = load(this->value(y, x, first + t));
                Transform<M>::in(d, column);
#pragma GCC unroll 6
                for (int y = 0; y < side; ++y) store(to + (y * side + x) * slice + t, column[y]);
            }
    }

    const float* weights_of(int64_t chunk) const {
        const int64_t before = int64_t{group_} * gemm_panels(c_.rows) + c_.panels_before(chunk);
        return c_.weights + before * products * c_.in_channels * gemm_panel;
    }

    // Some products of a chunk, the `at`-th of those in scratch.
    void multiply(int64_t chunk, int64_t at, int64_t first, int64_t last, int64_t count) {
        const int32_t rows = rows_of(chunk), panels = gemm_panels(rows);
        for (int64_t k = first; k < last; ++k)
            for (int64_t n = 0; n < rows; ++n) outs_[k * rows + n] = static_cast<int32_t>(k * out_slice_ + n * lanes_);
        const Gemm gemm{{in_, ins_}, {out_ + at * winograd_rows * lanes_, outs_}, {nullptr, nullptr}, weights_of(chunk), bias_, products, rows,
                        c_.in_channels, static_cast<int32_t>(count), {}};
        SHUFFLEKIT_ISA::gemm(gemm, 0, static_cast<int32_t>(count), static_cast<int32_t>(first * panels), static_cast<int32_t>(last * panels));
    }

    // All products of two whole chunks; false where the GEMM is better at them.
    bool multiply_few([[maybe_unused]] int64_t first, [[maybe_unused]] int64_t last, [[maybe_unused]] int64_t count) const {
#if SHUFFLEKIT_VECTOR_BYTES == 64
        const bool takes = last - first == 2 && rows_of(first + 1) == winograd_rows && count >= FewTiles::least && count <= FewTiles::most;
        if (c_.by_product() || !takes || c_.in_channels < FewTiles::least_depth) return false;
        const int64_t panel = int64_t{c_.in_channels} * gemm_panel;
        for (int64_t k = 0; k < products; ++k) {
            const float *one = weights_of(first) + 2 * k * panel, *two = weights_of(first + 1) + 2 * k * panel;
            FewTiles::multiply(in_ + k * in_slice_, c_.in_channels, lanes_, count, {one, one + panel, two, two + panel}, out_ + k * out_slice_);
        }
        return true;
#else
        return false;
#endif
    }

    void put_chunk(int64_t chunk, int64_t at, int64_t tile, int64_t count) {
        for (int32_t n = 0; n < rows_of(chunk); ++n) {
            const float bias = c_.bias[int64_t{group_} * c_.rows + chunk * winograd_rows + n];
            if (!transform_out(bias, at * winograd_rows + n, count))
                this->mend(bias, tile, count, [&](int64_t channel, int i, int j) { return weight(chunk, n, channel, i, j); });
            this->put(chunk * winograd_rows + n, tile, count);
        }
    }

    // Whether all pixels are numbers.
    bool transform_out(float of_row, int64_t n, int64_t count) const {
        const vector bias = broadcast<vector>(of_row);
        vector all{};
        for (int64_t t = 0; t < count; t += vector_lanes) {
            const float* from = out_ + n * lanes_ + t;
            vector half[M][side];
#pragma GCC unroll 6
            for (int x = 0; x < side; ++x) {
                vector m[side], to[M];
#pragma GCC unroll 6
                for (int y = 0; y < side; ++y) m[y] = load(from + (y * side + x) * out_slice_);
                Transform<M>::out(m, to);
#pragma GCC unroll 4
                for (int y = 0; y < M; ++y) half[y][x] = to[y];
            }
            vector sum{};
#pragma GCC unroll 4
            for (int y = 0; y < M; ++y) {
                vector whole[M];
                Transform<M>::out(half[y], whole);
#pragma GCC unroll 4
                for (int x = 0; x < M; ++x) whole[x] += bias;
                sum += this->put_together(y, t, whole);
            }
            all += this->first_lanes(sum, count - t);
        }
        return this->is_finite(all);
    }

    float weight(int64_t chunk, int32_t n, int64_t channel, int i, int j) const {
        const int32_t rows = rows_of(chunk), panels = gemm_panels(rows);
        int32_t panel = 0;
        while (n >= gemm_first_row(rows, panel + 1)) ++panel;
        const float* weights = weights_of(chunk) + int64_t{panel} * c_.in_channels * gemm_panel + n - gemm_first_row(rows, panel);
        float sum = 0;
        for (int k = 0; k < 9; ++k) {
            const int64_t product = Transform<M>::point[k / 3] * side + Transform<M>::point[k % 3];
            sum += Transform<M>::filter[i][k / 3] * Transform<M>::filter[j][k % 3] *
                   weights[(product * panels * c_.in_channels + channel) * gemm_panel];
        }
        return sum;
    }

    float *const in_, *const out_, *const bias_;
    int32_t *const ins_, *const outs_;
};

template <int M>
void winograd(const Winograd<M>& c, float* scratch, int64_t first_tile, int64_t last_tile, int64_t first_chunk, int64_t last_chunk) {
    const int64_t chunks = c.chunks();
    WinogradBlocks<M> blocks(c, scratch);
    for (int64_t group = first_chunk / chunks; group * chunks < last_chunk; ++group) {
        const int64_t first = first_chunk - group * chunks, last = last_chunk - group * chunks;
        blocks.run(static_cast<int32_t>(group), first_tile, last_tile, first > 0 ? first : 0, last < chunks ? last : chunks);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
