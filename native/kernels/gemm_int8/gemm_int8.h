// Contract of the GEMM of bytes: pointwise convolutions, grouped or not, and linear layers (pixels = 1).
//
//   out[g * rows + n][p] = end[g, n](sum_k weight[g, n, k] * in[g * depth + k][p], residual[g * rows + n][p])
//
// for 0 <= g < groups, 0 <= n < rows, 0 <= k < depth, 0 <= p < pixels, with `end` of int8.h; weights are signed, all else is unsigned.
//
// Weights are packed in panels of 4 rows (of the last panel of a group some may be absent, and are 0): for each 4 of the depth, which is
// filled up with zeros, 4 rows x 4 bytes.
//
// Aliasing: an out plane may be the residual plane of the same channel, and no other plane.
// scratch: gemm_int8_scratch(depth) bytes of the calling thread, on a 64-byte border.
// A call works on pixels [first_pixel, last_pixel) and panels [first_panel, last_panel) of all groups' panels together;
// first_pixel is a multiple of 64, and last_pixel too unless it is `pixels`.
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/int8.h"

namespace shufflekit {

inline constexpr int32_t int8_panel = 4, int8_block = 64;

constexpr int64_t int8_panels(int64_t rows) { return (rows + int8_panel - 1) / int8_panel; }
constexpr int64_t int8_fours(int64_t depth) { return (depth + 3) / 4; }
// 64 pixels of every operand, and a panel's weights, as words.
constexpr int64_t gemm_int8_scratch(int64_t depth) { return int8_fours(depth) * (8 * int8_block + 64); }

// Whether two products of weights with bytes fit into 16 bits together.
constexpr bool have_seven_bits(const int8_t* weights, int64_t count) {
    bool all = true;
    for (int64_t i = 0; i < count; ++i) all &= -64 <= weights[i] && weights[i] < 64;
    return all;
}

// So many bytes of them.
template <class Step, class Products>
void read_int8_weights(Step& step, Products& p, int64_t packed) {
    step.weights("weights", p.weights, packed);
    p.seven_bits = have_seven_bits(p.weights, packed);
}

// What a GEMM of bytes reads and writes, whatever its results are. Returns its channels.
template <class Step, class Products>
int64_t read_int8_products(Step& step, Products& p) {
    step.count("groups", p.groups), step.count("rows", p.rows), step.count("depth", p.depth), step.pixels("pixels", p.pixels);
    const int64_t channels = step.product("rows", p.groups, p.rows), in_channels = step.product("depth", p.groups, p.depth);
    const int64_t panels = step.product("rows", p.groups, int8_panels(p.rows));
    step.scratch(gemm_int8_scratch(p.depth) / static_cast<int64_t>(sizeof(float)));
    step.written(p.out, channels, p.pixels);
    step.read("in", p.in, in_channels, p.pixels, Overlap::never, Reach::whole_vectors);
    read_int8_weights(step, p, step.product("depth", panels * int8_panel, 4 * int8_fours(p.depth)));
    read_ends(step, p.ends, channels);
    return channels;
}

// One thread's part of so many pixels and panels.
template <class Products>
void run_int8_products(const Products& p, typename Products::Function* kernel, int64_t pixels, void* scratch, int part, int parts) {
    const auto [own_pixels, own_panels] = share_gemm(pixels, p.groups * int8_panels(p.rows), int8_block, part, parts);
    if (own_pixels.first < own_pixels.last) run_share(own_panels, kernel, p, static_cast<uint8_t*>(scratch), own_pixels.first, own_pixels.last);
}

struct GemmInt8 {
    ReadPlanes<uint8_t> in;
    WrittenPlanes<uint8_t> out;
    ReadPlanes<uint8_t> residual;  // base is null: none
    const int8_t* weights;
    const Int8End* ends;
    int32_t groups, rows, depth, pixels;
    bool seven_bits = false;  // of all weights: which way of multiplying them is right; the results are the same
    bool has_plain_ends = false;  // likewise: whether they need no bounds

    using Function = void(const GemmInt8&, uint8_t* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel);

    template <class Step>
    void read(Step& step) {
        const int64_t channels = read_int8_products(step, *this);
        step.residual(residual, channels, pixels);
        has_plain_ends = are_plain(ends, channels);
    }
    void at(const void* from, void* to, const void* arena) {
        in.at(from), out.at(to);
        if (residual.offsets) residual.at(arena);
    }
    void run(Function* kernel, void* scratch, int part, int parts) const { run_int8_products(*this, kernel, pixels, scratch, part, parts); }
};

}  // namespace shufflekit
