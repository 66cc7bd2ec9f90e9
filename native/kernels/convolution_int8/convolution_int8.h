// Contract of the convolution of bytes, dense or grouped.
//
//   out[g * rows + n][y, x] = end[g, n](sum_{k, i, j} weight[g, n, k, i, j] * in[g * in_channels + k][window(y, x, i, j)], residual[g * rows + n][y, x])
//
// with fill[g * in_channels + k], which is the zero point of the channel, outside of the input, and `end` of int8.h. Weights are packed as
// gemm_int8.h says, for a depth of in_channels x kernel_y x kernel_x.
// Aliasing: an out plane may be the residual plane of the same channel, and no other.
// scratch: scratch() bytes of the calling thread, on a 64-byte border.
// A call works on pixels [first_pixel, last_pixel), numbered y * columns() + x, and panels [first_panel, last_panel) of all groups' panels
// together; first_pixel is a multiple of 64, and last_pixel too unless it is all.
#pragma once

#include "kernels/gemm_int8/gemm_int8.h"
#include "kernels/int8_phases.h"

namespace shufflekit {

constexpr int64_t convolution_int8_depth(int64_t in_channels, const Window& w) { return in_channels * w.kernel_y * w.kernel_x; }

struct ConvolutionInt8 {
    ReadPlanes<uint8_t> in;
    WrittenPlanes<uint8_t> out;
    ReadPlanes<uint8_t> residual;  // base is null: none
    const int8_t* weights;
    const uint8_t* fill;
    const Int8End* ends;
    int32_t groups, rows, in_channels;
    Window window;
    bool seven_bits = false, has_plain_ends = false;  // as gemm_int8.h has it

    using Function = void(const ConvolutionInt8&, uint8_t* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel);

    constexpr int64_t depth() const { return convolution_int8_depth(in_channels, window); }
    // Of 16 pixels; a pixel that is left alone is none.
    static constexpr int64_t vectors(int64_t pixels) { return pixels / 16 + (pixels % 16 > 1); }
    constexpr int64_t out_pixels() const { return int64_t{window.out_height} * window.out_width; }
    // Whether every tap has a plane of its own that is as wide as the output, without the border between rows: where vectors that are not
    // computed then weigh more than copies.
    constexpr bool is_dense() const {
        return window.out_width <= 16 && rows * (vectors(Phases(window).pixels) - vectors(out_pixels())) > 12 * int64_t{window.out_height};
    }
    constexpr int64_t columns() const { return is_dense() ? window.out_width : Phases(window).columns; }
    constexpr int64_t pixels() const { return is_dense() ? out_pixels() : Phases(window).pixels; }
    constexpr int64_t dense_bytes() const { return (out_pixels() + 63) / 64 * 64; }
    // Bytes of the phases of one channel, or of those that lie there at once.
    constexpr int64_t of_channel() const { return Phases::count(window) * Phases(window).bytes; }
    constexpr int64_t copies() const {
        const int64_t of_taps = is_dense() ? of_channel() + depth() * dense_bytes() : 0, of_phases = in_channels * of_channel();
        return of_taps > of_phases ? of_taps : of_phases;
    }
    constexpr int64_t scratch() const { return gemm_int8_scratch(depth()) + copies() + (depth() * 4 + 63) / 64 * 64; }

    // Sizes, planes and ends.
    template <class Step>
    void read_all(Step& step) {
        step.count("groups", groups), step.count("rows", rows), step.count("in_channels", in_channels);
        step.window("window", window);
        const Phases phases(window);
        const int64_t taps = step.product("window", window.kernel_y, window.kernel_x), depth = step.product("in_channels", in_channels, taps);
        const int64_t copied = step.product("window", step.product("window", window.stride_y, window.stride_x), step.product("window", phases.rows, phases.columns));
        step.product("in_channels", in_channels, copied + 256 * phases.count(window));
        step.product("in_channels", depth, 64);
        const int64_t channels = step.product("rows", groups, rows), pixels = step.product("window", window.out_height, window.out_width);
        const int64_t planes = step.product("in_channels", groups, in_channels);
        step.product("in_channels", step.product("rows", groups, int8_panels(rows)) * int8_panel, 4 * int8_fours(depth));
        step.written(out, channels, pixels);
        step.read("in", in, planes, int64_t{window.in_height} * window.in_width, Overlap::never, Reach::whole_vectors);
        step.residual(residual, channels, pixels);
        step.weights("fill", fill, planes);
        read_ends(step, ends, channels);
        has_plain_ends = are_plain(ends, channels);
    }
    template <class Step>
    void read(Step& step) {
        read_all(step);
        step.product("in_channels", depth(), is_dense() ? dense_bytes() : 1);
        step.scratch((scratch() + 3) / 4);
        read_int8_weights(step, *this, groups * int8_panels(rows) * int8_panel * 4 * int8_fours(depth()));
    }
    void at(const void* from, void* to, const void* arena) {
        in.at(from), out.at(to);
        if (residual.offsets) residual.at(arena);
    }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        run_int8_products(*this, kernel, pixels(), scratch, part, parts);
    }
};

// Variant `winograd4`: 3x3 windows at stride 1 by tiles of 4 x 4 output pixels (Lavin & Gray, 2016), exactly. Tiles and weights are
// transformed at the points 0, 1, -1, 2, -2 and infinity without fractions, which 16 bits hold; sums of products and the way back are
// taken modulo 2^32, and give 9 * 2^e times the convolution's sums with e of 2 to 6. So these are right where they have at most 26 bits.
//
// Weights are packed by groups, chunks of 16 rows, pairs of input channels, taps: 16 rows x 2 channels; those that are absent are 0.
// A call works on rows of tiles and on chunks in place of pixels and panels.
struct ConvolutionInt8Winograd : ConvolutionInt8 {
    static constexpr int64_t tile = 4, side = tile + 2, products = side * side, chunk = 16, lanes = 16;
    static constexpr int64_t few = 12;  // tiles that are no vector of their own, but rows of weights are

    using Function = void(const ConvolutionInt8Winograd&, uint8_t* scratch, int32_t first_row, int32_t last_row, int32_t first_chunk, int32_t last_chunk);

    constexpr bool takes() const {
        const Window& w = window;
        return w.kernel_y == 3 && w.kernel_x == 3 && w.stride_y == 1 && w.stride_x == 1 && w.dilation_y == 1 && w.dilation_x == 1;
    }
    constexpr int64_t pairs() const { return (int64_t{in_channels} + 1) / 2; }
    constexpr int64_t chunks() const { return (int64_t{rows} + chunk - 1) / chunk; }
    constexpr int64_t columns() const { return (int64_t{window.out_width} + tile - 1) / tile; }  // of tiles
    constexpr int64_t tile_rows() const { return (int64_t{window.out_height} + tile - 1) / tile; }
    // Where the weight of a tap lies.
    constexpr int64_t place(int64_t group, int64_t row, int64_t channel, int64_t tap) const {
        return ((((group * chunks() + row / chunk) * pairs() + channel / 2) * 9 + tap) * chunk + row % chunk) * 2 + channel % 2;
    }
    constexpr int64_t packed() const { return groups * chunks() * pairs() * 9 * 2 * chunk; }
    static constexpr int64_t whole_lanes(int64_t tiles) { return (tiles + lanes - 1) / lanes * lanes; }
    // What they take, in tiles of whole vectors.
    static constexpr int64_t price(int64_t tiles) {
        const int64_t rest = tiles % lanes;
        return tiles - rest + (rest > few ? lanes : rest);
    }

    // Rows of tiles of which all channels are transformed at once: as many as fit, but those that take least.
    constexpr int64_t block() const {
        const int64_t fit = block_bytes / (products * pairs() * 4 * columns()), most = fit < 1 ? 1 : fit < tile_rows() ? fit : tile_rows();
        int64_t best = 1, least = INT64_MAX;
        for (int64_t r = most; r > 0 && 2 * r >= most; --r) {
            const int64_t rest = tile_rows() % r, blocks = (tile_rows() + r - 1) / r;
            const int64_t all = tile_rows() / r * price(r * columns()) + price(rest * columns()) + 8 * blocks;  // of transformed weights
            if (all < least) best = r, least = all;
        }
        return best;
    }
    // Tiles of a block, of which all are computed.
    constexpr int64_t width() const { return whole_lanes(block() * columns()); }
    // In lanes of 32 bits. Between products never a multiple of 4 KiB, which would put them into the same cache sets.
    constexpr int64_t in_slice() const { return pairs() * width() + lanes; }
    // Of few tiles all rows of a chunk, so that each operand is read once.
    constexpr int64_t rows_at_once() const { return width() > lanes ? chunk / 2 : chunk; }
    constexpr int64_t out_slice() const { return rows_at_once() * width() + lanes; }
    constexpr int64_t weights_slice() const { return pairs() * chunk + lanes; }
    constexpr int64_t phase() const { return width() + columns() + 2 * lanes; }
    // The part of a plane that some rows of tiles see, with its border, in whole tiles and the next one.
    constexpr Window seen(int64_t first_row, int64_t rows) const {
        Window w = window;
        w.out_width = static_cast<int32_t>(tile * columns() + tile + 2), w.out_height = static_cast<int32_t>(tile * rows);
        w.pad_y = static_cast<int32_t>(w.pad_y - tile * first_row);
        return w;
    }

    constexpr int64_t copied() const { return Phases(seen(0, block())).bytes; }  // of a plane

    constexpr int64_t scratch() const {  // bytes
        const int64_t transformed = products * (in_slice() + out_slice() + weights_slice() + few * chunk), moved = tile * (side * phase() + 2 * width());
        return 4 * (transformed + moved) + 2 * copied() + 64;
    }

    template <class Step>
    void read(Step& step) {
        read_all(step);
        step.require(takes(), "variant", "any for windows that are not 3x3 at stride 1 and dilation 1");
        step.product("window", columns() + 8, tile_rows() + 8);
        step.product("in_channels", pairs() + 8, products * 4 * (columns() + 64));
        step.product("in_channels", step.product("rows", groups, chunks()), pairs() * 9 * 2 * chunk);
        step.weights("weights", weights, packed());
        step.require(holds_sums(), "variant", "any for weights whose sums have more than 26 bits");
        step.scratch((scratch() + 3) / 4);
    }
    // Whether no sum of bytes by weights of one sign has more than 25 bits.
    constexpr bool holds_sums() const {
        const int64_t of_chunk = pairs() * 9 * 2 * chunk;
        for (int64_t number = 0; number < groups * chunks(); ++number) {
            int64_t above[chunk] = {}, below[chunk] = {};
            for (int64_t i = 0; i < of_chunk; ++i) {
                const int64_t w = weights[number * of_chunk + i], row = i / 2 % chunk;
                (w > 0 ? above : below)[row] += w;
            }
            for (int64_t row = 0; row < chunk; ++row)
                if (above[row] * 255 >= (1 << 25) || -below[row] * 255 > (1 << 25)) return false;
        }
        return true;
    }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        const auto [own_rows, own_chunks] = share_gemm(tile_rows(), groups * chunks(), 1, part, parts);
        if (own_rows.first < own_rows.last) run_share(own_chunks, kernel, *this, static_cast<uint8_t*>(scratch), own_rows.first, own_rows.last);
    }

  private:
    static constexpr int64_t block_bytes = 600'000;
};

}  // namespace shufflekit
