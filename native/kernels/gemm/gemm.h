// Contract of the indexed GEMM: pointwise convolutions, grouped or not, and linear layers (pixels = 1).
//
//   out[g * rows + n][p] = act(bias[g, n] + sum_k weight[g, n, k] * in[g * depth + k][p] + residual[g * rows + n][p])
//
// for 0 <= g < groups, 0 <= n < rows, 0 <= k < depth, 0 <= p < pixels; without residual the last summand is absent.
//
// Weights are packed in panels of up to 8 rows. A group has panels = ceil(rows / 8); panel i has the next
// gemm_panel_rows(rows, i) rows (58 rows: 7 7 7 7 7 7 8 8), and is stored as depth x 8 floats: weight k of its row r at k * 8 + r,
// absent rows 0. Panel i of group g starts at ((g * panels) + i) * (depth * 8 + apart); its bias (8 floats, absent ones 0) at
// ((g * panels) + i) * 8.
//
// The table of operands is readable for gemm_operands_ahead entries behind its last: what they name may be prefetched.
//
// Aliasing: an out plane may be the residual plane of the same channel, and no other plane.
// A call works on pixels [first_pixel, last_pixel) and panels [first_panel, last_panel) of all groups' panels together;
// first_pixel is a multiple of 16, and last_pixel too unless it is `pixels`.
#pragma once

#include <cstdint>

#include "kernels/activation.h"
#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

inline constexpr int32_t gemm_panel = 8;
inline constexpr int32_t gemm_operands_ahead = 8;

constexpr int32_t gemm_panels(int32_t rows) { return (rows + gemm_panel - 1) / gemm_panel; }

// Rows of panel i: as even as they can be, thinner panels first.
constexpr int32_t gemm_first_row(int32_t rows, int32_t panel) {
    return static_cast<int32_t>(static_cast<int64_t>(rows) * panel / gemm_panels(rows));
}
constexpr int32_t gemm_panel_rows(int32_t rows, int32_t panel) { return gemm_first_row(rows, panel + 1) - gemm_first_row(rows, panel); }

struct GemmShare {
    Range pixels, panels;
};

// Pixels or panels, whichever divides better. Pixels where both do, since then each thread reads its own operands; but not for small
// planes, whose shares would be odd ends of tiles (7x7 on two threads: 1.6 times as fast by pixels, 1.95 by panels).
constexpr GemmShare share_gemm(int64_t pixels, int64_t panels, int64_t unit, int part, int parts) {
    const Range all_pixels{0, static_cast<int32_t>(pixels)}, all_panels{0, static_cast<int32_t>(panels)};
    if (parts == 1) return {all_pixels, all_panels};
    // How much longer the largest of even shares is than their mean.
    const auto unevenness = [&](int64_t units) { return static_cast<double>((units + parts - 1) / parts * parts) / static_cast<double>(units); };
    const int64_t units = (pixels + unit - 1) / unit;
    if (units >= 4 * parts && unevenness(units) <= unevenness(panels) + 0.03) return {share(pixels, unit, part, parts), all_panels};
    return {all_pixels, share(panels, 1, part, parts)};
}

struct Gemm {
    Planes in;
    MutablePlanes out;
    Planes residual;  // base is null: none
    const float* weights;
    const float* bias;
    int32_t groups, rows, depth, pixels;
    Epilogue epilogue;
    int64_t apart = 0;  // floats between the weights of two panels that belong to neither

    using Function = void(const Gemm&, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel);

    template <class Step>
    void read(Step& step) { read_as(step, Reach::whole_vectors); }

    template <class Step>
    void read_as(Step& step, Reach reach) {
        const int64_t panels = read_but_weights(step, reach);
        step.weights("weights", weights, step.product("depth", panels * gemm_panel, depth));
    }
    // Returns the panels of all groups.
    template <class Step>
    int64_t read_but_weights(Step& step, Reach reach) {
        step.count("groups", groups), step.count("rows", rows), step.count("depth", depth), step.pixels("pixels", pixels);
        const int64_t channels = step.product("rows", groups, rows), in_channels = step.product("depth", groups, depth);
        const int64_t panels = step.product("rows", groups, gemm_panels(rows));
        step.written(out, channels, pixels);
        step.read("in", in, in_channels, pixels, Overlap::never, reach);
        step.residual(residual, channels, pixels);
        step.weights("bias", bias, panels * gemm_panel);
        step.epilogue(epilogue, channels);
        return panels;
    }
    void at(const void* from, void* to, const void* arena) {
        in.at(from), out.at(to);
        if (residual.offsets) residual.at(arena);
    }
    void run(Function* kernel, void*, int part, int parts) const {
        const auto [own_pixels, own_panels] = share_gemm(pixels, int64_t{groups} * gemm_panels(rows), plane_alignment, part, parts);
        if (own_pixels.first < own_pixels.last) run_share(own_panels, kernel, *this, own_pixels.first, own_pixels.last);
    }
};

// Variant `bfloat16`: operands and weights are rounded to bfloat16, to the nearest, halves to the even one; what they are multiplied and
// summed in is float32, where numbers below the smallest normal one may be 0.
//
// Weights are rounded already. Each float of `weights` is a word of two of the depth, the first in its lower half; behind an odd depth the
// other one is 0. Panels are as above, of gemm_pairs(depth) x 8 words: that of row r for pair k at k * 8 + r.
//
// scratch: scratch() words of the calling thread, on a 64-byte border.
constexpr int64_t gemm_pairs(int64_t depth) { return (depth + 1) / 2; }

struct GemmBfloat16 : Gemm {
    static constexpr int64_t block = 48;  // pixels whose operands lie in scratch together

    using Function = void(const GemmBfloat16&, uint32_t* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel);

    // Rounded operands, a panel's weights, and where each operand is, as floats; or pairs of operands, and of pixels beyond whole vectors.
    int64_t scratch() const { return depth * (block + gemm_panel + 1) + gemm_operands_ahead; }

    template <class Step>
    void read(Step& step) {
        const int64_t panels = read_but_weights(step, Reach::whole_vectors);
        step.weights("weights", weights, step.product("depth", panels * gemm_panel, gemm_pairs(depth)));
        step.product("depth", depth, block + gemm_panel + 1);
        step.scratch(scratch());
    }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        const auto [own_pixels, own_panels] = share_gemm(pixels, int64_t{groups} * gemm_panels(rows), plane_alignment, part, parts);
        if (own_pixels.first < own_pixels.last)
            run_share(own_panels, kernel, *this, static_cast<uint32_t*>(scratch), own_pixels.first, own_pixels.last);
    }
};

}  // namespace shufflekit
