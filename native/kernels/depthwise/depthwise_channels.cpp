// As many channels as a vector has lanes > their planes transposed into scratch, between columns of zeros > rows of the output > up to eight
// columns > rows of the window > columns of the input, each loaded once for all sums that see it > sums transposed back. 8 sums + 7 taps
// + load = 16 of 32. Rows of the window that lie outside of the plane are left out.
#include "kernels/depthwise/depthwise.h"

#include "kernels/epilogue.h"
#include "kernels/lanes.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

constexpr int most_columns = 8;

class Lanes {
  public:
    Lanes(const DepthwiseChannels& d, float* scratch) : d_(d), rows_(scratch), sums_(scratch + d.copied()) {
        for (int64_t i = 0; i < d.copied(); i += vector_lanes) store(rows_ + i, vector{});
    }

    // Channels [first, first + count).
    void run(int32_t first, int32_t count) {
        take(first, count);
        const int64_t at = first / DepthwiseChannels::block * DepthwiseChannels::block, lane = first % DepthwiseChannels::block;
        weights_ = d_.weights + at * d_.window.kernel_y * d_.window.kernel_x + lane, bias_ = d_.bias + at + lane;
        switch (d_.window.kernel_x) {
            case 3: slide<3>(); break;
            case 5: slide<5>(); break;
            default: slide<7>();
        }
        // All planes at once, but for what a residual comes before or channels differ in.
        const bool by_plane = d_.residual.base || d_.epilogue.slopes;
        if (!d_.epilogue.is_bounds() && !by_plane) activate_stretch(sums_, pixels() * vector_lanes, d_.epilogue);
        with_bounds(d_.epilogue.activation, [&]<Bounds B>() { put<B>(first, count); });
        if (!d_.epilogue.is_bounds() && by_plane)
            for (int32_t i = 0; i < count; ++i) activate_stretch(d_.out[first + i], pixels(), d_.epilogue.of(first + i));
    }

  private:
    int64_t pixels() const { return int64_t{d_.window.out_height} * d_.window.out_width; }

    void take(int32_t first, int32_t count) {
        const Window& w = d_.window;
        const int64_t pixels = int64_t{w.in_height} * w.in_width, border = (d_.pitch() - w.in_width) * vector_lanes;
        const float* from[vector_lanes];
        for (int i = 0; i < vector_lanes; ++i) from[i] = d_.in[first + (i < count ? i : 0)];
        float* to = rows_ + w.pad_x * vector_lanes;
        int64_t left = w.in_width;
        const auto next = [&](vector x) __attribute__((always_inline)) {
            store(to, x), to += vector_lanes;
            if (--left == 0) left = w.in_width, to += border;
        };
        for (int64_t pixel = 0; pixel < pixels; pixel += vector_lanes) {
            vector x[vector_lanes];
#pragma GCC unroll 16
            for (int i = 0; i < vector_lanes; ++i) x[i] = load(from[i] + pixel);
            transpose(x);
            if (pixel + vector_lanes <= pixels) {
#pragma GCC unroll 16
                for (int i = 0; i < vector_lanes; ++i) next(x[i]);
            } else {
#pragma GCC unroll 16
                for (int i = 0; i < vector_lanes; ++i) {
                    if (pixel + i == pixels) break;
                    next(x[i]);
                }
            }
        }
    }

    template <int KX>
    void slide() {
        d_.window.stride_x == 1 ? slide<KX, 1>() : slide<KX, 2>();
    }

    template <int KX, int S>
    void slide() {
        const Window& w = d_.window;
        const int64_t row_floats = d_.pitch() * vector_lanes;
        const int32_t parts = (w.out_width + most_columns - 1) / most_columns;
        for (int64_t y = 0; y < w.out_height; ++y) {
            const int64_t top = y * w.stride_y - w.pad_y, room = w.in_height - top;
            const int64_t first = top < 0 ? -top : 0, last = room < w.kernel_y ? room : w.kernel_y;
            const float* weights = weights_ + first * KX * DepthwiseChannels::block;
            for (int32_t part = 0; part < parts; ++part) {
                const int64_t x = int64_t{w.out_width} * part / parts, columns = int64_t{w.out_width} * (part + 1) / parts - x;
                const float* from = rows_ + (top + first) * row_floats + x * S * vector_lanes;
                float* to = sums_ + (y * w.out_width + x) * vector_lanes;
                const auto block = [&]<int C>() __attribute__((always_inline)) { sum<KX, S, C>(from, row_floats, weights, last - first, to); };
                switch (columns) {
                    case 1: block.template operator()<1>(); break;
                    case 2: block.template operator()<2>(); break;
                    case 3: block.template operator()<3>(); break;
                    case 4: block.template operator()<4>(); break;
                    case 5: block.template operator()<5>(); break;
                    case 6: block.template operator()<6>(); break;
                    case 7: block.template operator()<7>(); break;
                    default: block.template operator()<8>();
                }
            }
        }
    }

    // C columns of a row, of `rows` rows of the window.
    template <int KX, int S, int C>
    [[gnu::noinline]] void sum(const float* from, int64_t row_floats, const float* weights, int64_t rows, float* to) const {
        vector sums[C];
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) sums[c] = load(bias_);
        for (int64_t i = 0; i < rows; ++i, from += row_floats, weights += KX * DepthwiseChannels::block) {
            vector taps[KX];
#pragma GCC unroll 7
            for (int j = 0; j < KX; ++j) taps[j] = load(weights + j * DepthwiseChannels::block);
#pragma GCC unroll 21
            for (int x = 0; x < (C - 1) * S + KX; ++x) {
                const vector pixel = load(from + x * vector_lanes);
#pragma GCC unroll 7
                for (int j = 0; j < KX; ++j)
                    if (x >= j && (x - j) % S == 0 && (x - j) / S < C) sums[(x - j) / S] += taps[j] * pixel;
            }
        }
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) store(to + c * vector_lanes, sums[c]);
    }

    // A plane's last vector is whole: it owns what lies behind its pixels.
    template <Bounds B>
    void put(int32_t first, int32_t count) {
        const vector low = broadcast<vector>(d_.epilogue.low()), high = broadcast<vector>(d_.epilogue.high());
        for (int64_t pixel = 0; pixel < pixels(); pixel += vector_lanes) {
            vector x[vector_lanes];
#pragma GCC unroll 16
            for (int i = 0; i < vector_lanes; ++i) x[i] = load(sums_ + (pixel + i) * vector_lanes);
            transpose(x);
#pragma GCC unroll 16
            for (int i = 0; i < vector_lanes; ++i) {
                if (i >= count) break;
                if (d_.residual.base) x[i] += load(d_.residual[first + i] + pixel);
                store(d_.out[first + i] + pixel, bounded<B>(x[i], low, high));
            }
        }
    }

    const DepthwiseChannels& d_;
    float *const rows_, *const sums_;
    const float *weights_ = nullptr, *bias_ = nullptr;
};

}  // namespace

void depthwise_channels(const DepthwiseChannels& d, float* scratch, int32_t first_channel, int32_t last_channel) {
    Lanes lanes(d, scratch);
    for (int32_t channel = first_channel; channel < last_channel; channel += vector_lanes)
        lanes.run(channel, last_channel - channel < vector_lanes ? last_channel - channel : vector_lanes);
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
