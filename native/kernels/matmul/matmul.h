// Contract of the product of two computed matrices, as attention has it: a GEMM (gemm.h) whose weights are planes too.
//
//   out[g * rows + n][p] = act(scale * sum_k a(g, n, k) * in[g * depth + k][p] + residual[g * rows + n][p])
//   a(g, n, k) = a[g * rows + n][k], or with a_is_across a[g * depth + k][n]
//
// scratch: scratch() floats of the calling thread, on a 64-byte border: a's numbers, packed and scaled as the GEMM's weights.
// A call works on panels [first_panel, last_panel) of all groups' panels together, as in gemm.h.
#pragma once

#include "kernels/gemm/gemm.h"

namespace shufflekit {

struct MatMul {
    Planes in, a;
    MutablePlanes out;
    Planes residual;  // base is null: none
    int32_t groups, rows, depth, pixels;
    bool a_is_across;
    float scale;
    Epilogue epilogue;

    using Function = void(const MatMul&, float* scratch, int32_t first_panel, int32_t last_panel);

    constexpr int64_t scratch() const { return int64_t{gemm_panels(rows)} * gemm_panel * (depth + 1); }

    template <class Step>
    void read(Step& step) {
        step.count("groups", groups), step.count("rows", rows), step.count("depth", depth), step.pixels("pixels", pixels);
        const int64_t channels = step.product("rows", groups, rows), in_channels = step.product("depth", groups, depth);
        step.product("depth", int64_t{gemm_panels(rows)} * gemm_panel, int64_t{depth} + 1);
        step.truth("a_is_across", a_is_across);
        step.real("scale", scale);
        step.written(out, channels, pixels);
        step.read("in", in, in_channels, pixels, Overlap::never, Reach::whole_vectors);
        step.read("a", a, a_is_across ? in_channels : channels, a_is_across ? rows : depth, Overlap::never, Reach::pixels);
        step.residual(residual, channels, pixels);
        step.epilogue(epilogue, channels);
        step.scratch(scratch());
    }
    void at(const void* from, void* to, const void* arena) {
        in.at(from), a.at(from), out.at(to);
        if (residual.offsets) residual.at(arena);
    }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        run_share(share(int64_t{groups} * gemm_panels(rows), 1, part, parts), kernel, *this, static_cast<float*>(scratch));
    }
};

}  // namespace shufflekit
