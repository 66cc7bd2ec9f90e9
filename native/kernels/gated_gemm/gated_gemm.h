// Contract of the GEMM of gated planes: a pointwise convolution, and the factor for each of its planes that squeeze-and-excite computed.
//
//   out[g * rows + n][p] = act(bias[g, n] + sum_k (weight[g, n, k] * gate[g * depth + k][0]) * in[g * depth + k][p] + residual[g * rows + n][p])
//
// Gates are planes of one pixel; all else as in gemm.h.
// scratch: scratch() floats of the calling thread, on a 64-byte border.
#pragma once

#include "kernels/gemm/gemm.h"

namespace shufflekit {

struct GatedGemm : Gemm {
    Planes gate;

    using Function = void(const GatedGemm&, float* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel);

    constexpr int64_t panel_floats() const { return int64_t{depth} * gemm_panel; }
    // All panels' weights, and a group's gates as a panel has them.
    constexpr int64_t scratch() const { return (int64_t{groups} * gemm_panels(rows) + 1) * panel_floats(); }

    template <class Step>
    void read(Step& step) {
        Gemm::read(step);
        step.read("gate", gate, step.product("depth", groups, depth), 1, Overlap::never, Reach::pixels);
        step.product("depth", panel_floats(), int64_t{groups} * gemm_panels(rows) + 1);
        step.scratch(scratch());
    }
    void at(const void* from, void* to, const void* arena) { Gemm::at(from, to, arena), gate.at(from); }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        const auto [own_pixels, own_panels] = share_gemm(pixels, int64_t{groups} * gemm_panels(rows), plane_alignment, part, parts);
        if (own_pixels.first < own_pixels.last)
            run_share(own_panels, kernel, *this, static_cast<float*>(scratch), own_pixels.first, own_pixels.last);
    }
};

}  // namespace shufflekit
