// Contract of the dense (or grouped) convolution with any window. Input planes may be tight.
//
//   out[g * rows + n][y, x] = act(bias[g, n] + sum_{c, i, j} weight[g, n, c, i, j] * in[g * in_channels + c][window(y, x, i, j)]
//                                 + residual[g * rows + n][y, x])
//
// with zeros outside of the input. in_channels is that of one group. Weights and bias are packed as for the GEMM (gemm.h) with
// depth = in_channels * kernel_y * kernel_x and k = (c * kernel_y + i) * kernel_x + j.
//
// scratch: the variant's scratch() floats of the calling thread, on a 64-byte border.
// A call works on output pixels [first_pixel, last_pixel), each a multiple of the width (of 16: patches) or the end, and on panels
// [first_panel, last_panel), as in gemm.h.
#pragma once

#include "kernels/gemm/gemm.h"

namespace shufflekit {

// Columns of one of the stride_x phases into which an input row is split: phase f holds columns f, f + stride_x, ...; those that
// are read, and the pitch, which keeps every phase's start aligned.
constexpr int64_t convolution_read_columns(const Window& w) { return w.out_width + (int64_t{w.kernel_x} - 1) * w.dilation_x / w.stride_x; }
constexpr int64_t convolution_columns(const Window& w) {
    return (convolution_read_columns(w) + plane_alignment - 1) / plane_alignment * plane_alignment;
}

// Pixels whose patches the variant `patches` gathers together.
inline constexpr int32_t convolution_block = 48;

struct Convolution {
    Planes in;
    MutablePlanes out;
    Planes residual;
    const float* weights;
    const float* bias;
    int32_t groups, rows, in_channels;
    Window window;
    Epilogue epilogue;

    using Function = void(const Convolution&, float* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel);

    constexpr int64_t depth() const { return int64_t{in_channels} * window.kernel_y * window.kernel_x; }
    constexpr int64_t panels() const { return int64_t{groups} * gemm_panels(rows); }

    // All but the planes that are written and added, and weights.
    template <class Step>
    void read_operands(Step& step) {
        const int64_t channels = step.product("in_channels", groups, in_channels), panels = step.product("rows", groups, gemm_panels(rows));
        const int64_t taps = step.product("window", in_channels, int64_t{window.kernel_y} * window.kernel_x);
        step.product("window", step.product("window", taps, window.stride_x), convolution_block + convolution_columns(window));
        step.product("window", window.out_height, window.out_width);
        step.read("in", in, channels, int64_t{window.in_height} * window.in_width, Overlap::never, Reach::pixels);
        step.product("window", panels * gemm_panel, taps);
        step.epilogue(epilogue, step.product("rows", groups, rows));
    }
    template <class Step>
    void read_panels(Step& step) {
        step.weights("weights", weights, panels() * gemm_panel * depth());
        step.weights("bias", bias, panels() * gemm_panel);
    }
    template <class Step>
    void read_all(Step& step) {
        step.count("groups", groups), step.count("rows", rows), step.count("in_channels", in_channels);
        step.window("window", window);
        const int64_t channels = step.product("rows", groups, rows), pixels = step.product("window", window.out_height, window.out_width);
        step.written(out, channels, pixels);
        read_operands(step);
        step.residual(residual, channels, pixels);
    }
    void at(const void* from, void* to, const void* arena) {
        in.at(from), out.at(to);
        if (residual.offsets) residual.at(arena);
    }

  protected:
    // One thread's share of a variant's work: pixels in whole units, and panels.
    template <class Variant>
    static void run_by(int64_t unit, const Variant& c, typename Variant::Function* kernel, void* scratch, int part, int parts) {
        const int64_t pixels = int64_t{c.window.out_height} * c.window.out_width;
        const auto [own_pixels, own_panels] = share_gemm(pixels, c.panels(), unit, part, parts);
        if (own_pixels.first < own_pixels.last)
            run_share(own_panels, kernel, c, static_cast<float*>(scratch), own_pixels.first, own_pixels.last);
    }
};

// Variant `rows`, of wide outputs: their operands are the input's rows themselves, copied once with a border and split by stride.
// Rows shorter than a vector would waste lanes, and a pixel computed twice must not find its result where its residual was.
struct ConvolutionRows : Convolution {
    bool takes() const { return window.out_width >= plane_alignment && !residual.offsets; }

    // Floats: operands, where the row of each starts, the taps of a row, and what a GEMM may read behind its table.
    int64_t scratch() const {
        const int64_t rows = int64_t{in_channels} * window.kernel_y * window.stride_x * convolution_columns(window);
        return depth() + window.kernel_x + gemm_operands_ahead + rows;
    }
    template <class Step>
    void read(Step& step) {
        read_all(step), read_panels(step);
        step.require(takes(), "variant", "any for outputs less than 16 pixels wide and those with a residual");
        step.scratch(scratch());
    }
    void run(Function* kernel, void* scratch, int part, int parts) const { run_by(window.out_width, *this, kernel, scratch, part, parts); }
};

// Variant `patches`: the patches of some pixels are gathered together.
struct ConvolutionPatches : Convolution {
    int64_t scratch() const { return depth() * (1 + convolution_block) + gemm_operands_ahead; }

    template <class Step>
    void read(Step& step) {
        read_all(step), read_panels(step);
        step.scratch(scratch());
    }
    void run(Function* kernel, void* scratch, int part, int parts) const { run_by(plane_alignment, *this, kernel, scratch, part, parts); }
};

// Variant `any`: planes are copied with their border and split by stride, so that output pixel y * pitch + x finds each of its operands
// so many floats behind the operand's first, in one row of output or the next: the GEMM runs over the ends of rows.
struct ConvolutionFlat : Convolution {
    static constexpr int64_t chunk = 4;  // panels whose outputs are made together

    using Function = void(const ConvolutionFlat&, float* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel);

    constexpr int64_t pitch() const { return convolution_read_columns(window); }
    // Phases of rows and of columns that a tap reads: of a window of one pixel only the first.
    constexpr int64_t phases_y() const { return window.kernel_y == 1 ? 1 : window.stride_y; }
    constexpr int64_t phases_x() const { return window.kernel_x == 1 ? 1 : window.stride_x; }
    constexpr int64_t phases() const { return phases_y() * phases_x(); }
    // Rows of a phase besides the output's.
    constexpr int64_t more_rows() const { return (int64_t{window.kernel_y} - 1) * window.dilation_y / window.stride_y; }
    // Rows of output whose operands lie in scratch at once.
    constexpr int64_t band() const {
        const int64_t fit = floats / (in_channels * phases() * pitch()) - more_rows(), least = fit > 4 ? fit / 4 * 4 : 4;
        return least < window.out_height ? least : window.out_height;
    }
    constexpr int64_t plane() const { return plane_floats((band() + more_rows()) * pitch() + 2 * plane_alignment); }
    constexpr int64_t out_plane() const { return plane_floats(band() * pitch() + plane_alignment); }

    int64_t scratch() const {
        return in_channels * phases() * plane() + chunk * gemm_panel * out_plane() + depth() + gemm_operands_ahead + rows;
    }
    template <class Step>
    void read(Step& step) {
        read_all(step), read_panels(step);
        const int64_t of_channel = step.product("window", step.product("window", phases(), pitch()), window.out_height + more_rows() + 1);
        step.product("in_channels", of_channel, in_channels);
        step.scratch(scratch());
    }
    void run(Function* kernel, void* scratch, int part, int parts) const { run_by(window.out_width, *this, kernel, scratch, part, parts); }

  private:
    static constexpr int64_t floats = 160'000;
};

// Variants by tiles of M x M output pixels of 3x3 windows at some stride: what they have in common.
template <int32_t M, int32_t Stride>
struct ConvolutionTiles : Convolution {
    static constexpr int32_t tile = M;
    // Input pixels from one tile to the next, and those that a tile sees, each way.
    static constexpr int64_t step = int64_t{M} * Stride, overlap = 3 - Stride, side = step + overlap;

    bool takes() const {
        const Window& w = window;
        return w.kernel_y == 3 && w.kernel_x == 3 && w.stride_y == Stride && w.stride_x == Stride && w.dilation_y == 1 && w.dilation_x == 1;
    }
    constexpr int64_t columns() const { return (int64_t{window.out_width} + M - 1) / M; }
    constexpr int64_t tiles() const { return (int64_t{window.out_height} + M - 1) / M * columns(); }
    static constexpr int64_t whole_lines(int64_t floats) { return (floats + plane_alignment - 1) / plane_alignment * plane_alignment; }

    // Tiles of which all channels are transformed at once; the last few may be more, so that none are left alone.
    constexpr int64_t block() const {
        return by_product() ? most_tiles : fitting();
    }
    // Whether each product is made of all rows before the next one. Weights of so many channels do not stay in the L2 cache: they would
    // stream through once for each of many small blocks.
    constexpr bool by_product() const { return Stride == 1 && fitting() < most_tiles && tiles() > fitting() + few; }
    static constexpr int64_t few = 4;
    // Room for them.
    constexpr int64_t lanes() const { return whole_lines(tiles() < block() + few ? tiles() : block() + few); }
    // Floats between the transformed tiles of two products: never a multiple of 4 KiB, which would put them into the same cache sets.
    constexpr int64_t slice(int64_t channels) const { return channels * lanes() + plane_alignment; }
    constexpr int64_t in_slice() const { return slice(in_channels); }
    // Floats of one of the `step` rows by `side` columns of the phases into which a block's input is split, and of one of the `step`
    // stretches of rows that are split. Both begin with the first of a row of tiles, and have one row of tiles more than the block.
    constexpr int64_t phase() const { return whole_lines(lanes() + 3 * columns() + plane_alignment); }
    constexpr int64_t stretch() const { return step * (phase() + plane_alignment); }
    // Of phases, stretches, a block's pixels, what is behind each row's last tile, and which one that is.
    constexpr int64_t moved() const {
        return step * side * phase() + step * stretch() + M * M * lanes() + (step * overlap + 1) * phase();
    }

  private:
    // Tiles whose transformed channels stay in the L2 cache.
    constexpr int64_t fitting() const {
        const int64_t fit = block_floats / (side * side * in_channels) / plane_alignment * plane_alignment;
        return fit < plane_alignment ? plane_alignment : fit > most_tiles ? most_tiles : fit;
    }

    static constexpr int64_t most_tiles = 96, block_floats = Stride == 1 ? 240'000 : 700'000;
};

// Variants `winograd2` and `winograd4`: 3x3 windows at stride 1 by tiles of M x M output pixels (Lavin & Gray, 2016). Weights are
// those of (M + 2)^2 products, transformed: for each group, for each winograd_rows of its rows a GEMM's panels (gemm.h) of one group
// a product, row by row of the tile. bias: groups x rows, dense. A call works on tiles and on chunks of winograd_rows rows (the
// group's last may have fewer) in place of pixels and panels.
inline constexpr int32_t winograd_rows = 16;

template <int32_t M>
struct Winograd : ConvolutionTiles<M, 1> {
    static constexpr int64_t products = (M + 2) * (M + 2), few_tiles = 26;

    using Function = void(const Winograd&, float* scratch, int32_t first_tile, int32_t last_tile, int32_t first_chunk, int32_t last_chunk);

    constexpr int64_t chunks() const { return (int64_t{this->rows} + winograd_rows - 1) / winograd_rows; }
    // Panels of 8 before a chunk of a group: all chunks but the last have whole ones.
    constexpr int64_t panels_before(int64_t chunk) const { return chunk * (winograd_rows / gemm_panel); }
    // Chunks whose products lie in scratch at once: two where vectors of so few tiles would be thin.
    constexpr int64_t chunks_together() const { return this->by_product() ? chunks() : this->tiles() <= few_tiles && chunks() > 1 ? 2 : 1; }
    constexpr int64_t rows_together() const { return chunks_together() * winograd_rows; }
    constexpr int64_t out_slice() const { return this->slice(rows_together()); }

    int64_t scratch() const {
        const int64_t tables = products * (this->in_channels + winograd_rows) + gemm_operands_ahead + products * winograd_rows;
        return products * (this->in_slice() + out_slice()) + this->moved() + tables;
    }
    template <class Step>
    void read(Step& step) {
        this->read_all(step);
        step.require(this->takes(), "variant", "any for windows that are not 3x3 at stride 1 and dilation 1");
        step.product("in_channels", products * (this->lanes() + winograd_rows), this->in_channels);
        const int64_t panels = step.product("rows", this->groups, gemm_panels(this->rows));
        step.weights("weights", this->weights,
                     step.product("in_channels", step.product("rows", panels * gemm_panel, products), this->in_channels));
        step.weights("bias", this->bias, int64_t{this->groups} * this->rows);
        step.scratch(scratch());
    }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        const auto [own_tiles, own_chunks] = share_gemm(this->tiles(), this->groups * chunks(), plane_alignment, part, parts);
        if (own_tiles.first < own_tiles.last)
            run_share(own_chunks, kernel, *this, static_cast<float*>(scratch), own_tiles.first, own_tiles.last);
    }
};
using ConvolutionWinograd2 = Winograd<2>;
using ConvolutionWinograd4 = Winograd<4>;

// Variants `winograd2_stride2`, `winograd2_taps_stride2` and `winograd4_stride2`: 3x3 windows at stride 2. Along a line the taps 0 and 2 see
// its even pixels, at stride 1, and tap 1 its odd ones: M outputs are F(M, 2) of the even ones, M + 1 products, and M products of the odd
// ones. The products of 0 and infinity go to the first and the last output alone, as those of the odd pixels do, so that one GEMM adds
// them up: 2 M - 1 sums a line. Weights are pieces, row by row, packed as for the GEMM with k = piece * in_channels + c: along a line
// the even taps' filter at 0, tap 1, the filter at infinity, and the filter at the other points. Of M = 2 those are the three taps and the
// sum of the even ones, which `winograd2_taps_stride2` forms itself: of few tiles weights are waited for, and 9 arrive sooner than 16.
template <int32_t M, int32_t Stored = M + 2>
struct WinogradStride2 : ConvolutionTiles<M, 2> {
    static constexpr int64_t pieces = M + 2, sums = 2 * M - 1, inputs = 2 * M + 1;
    static constexpr int64_t stored = Stored;  // of a line's pieces
    static constexpr int64_t chunk = 16;       // panels whose outputs are made together

    using Function = void(const WinogradStride2&, float* scratch, int32_t first_tile, int32_t last_tile, int32_t first_panel, int32_t last_panel);

    constexpr int64_t packed_depth() const { return stored * stored * this->in_channels; }
    constexpr int64_t rows_together() const { return (gemm_panels(this->rows) < chunk ? gemm_panels(this->rows) : chunk) * gemm_panel; }
    constexpr int64_t out_slice() const { return this->slice(rows_together()); }
    // Floats of a row of their pieces.
    constexpr int64_t formed() const { return stored < pieces ? pieces * rows_together() * this->in_channels : 0; }

    int64_t scratch() const {
        const int64_t tables = inputs * inputs * this->in_channels + gemm_operands_ahead + this->rows;
        const int64_t no_bias = gemm_panels(this->rows) * gemm_panel;
        return inputs * inputs * this->in_slice() + sums * sums * out_slice() + no_bias + formed() + this->moved() + tables;
    }
    template <class Step>
    void read(Step& step) {
        this->read_all(step);
        step.require(this->takes(), "variant", "any for windows that are not 3x3 at stride 2 and dilation 1");
        step.product("in_channels", inputs * inputs * this->lanes() + pieces * chunk * gemm_panel, this->in_channels);
        const int64_t panels = step.product("rows", this->groups, gemm_panels(this->rows));
        step.weights("weights", this->weights,
                     step.product("in_channels", step.product("rows", panels * gemm_panel, stored * stored), this->in_channels));
        step.weights("bias", this->bias, panels * gemm_panel);
        step.scratch(scratch());
    }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        const auto [own_tiles, own_panels] = share_gemm(this->tiles(), this->panels(), plane_alignment, part, parts);
        if (own_tiles.first < own_tiles.last)
            run_share(own_panels, kernel, *this, static_cast<float*>(scratch), own_tiles.first, own_tiles.last);
    }
};
using ConvolutionWinograd2Stride2 = WinogradStride2<2>;
using ConvolutionWinograd2TapsStride2 = WinogradStride2<2, 3>;
using ConvolutionWinograd4Stride2 = WinogradStride2<4>;

}  // namespace shufflekit
