// Contract of the GEMM of bytes whose result is float32.
//
//   out[g * rows + n][p] = act(float(bias[g, n] + sum_k weight[g, n, k] * in[g * depth + k][p]) * multiplier[g, n])
//
// with bias and multiplier of Int8End (int8.h), whose other fields mean nothing here; weights, scratch and shares as in gemm_int8.h. Without
// an activation, or with one that only bounds, every instruction set gives the same bits.
#pragma once

#include "kernels/activation.h"
#include "kernels/gemm_int8/gemm_int8.h"

namespace shufflekit {

struct GemmInt8Float {
    ReadPlanes<uint8_t> in;
    MutablePlanes out;
    const int8_t* weights;
    const Int8End* ends;
    int32_t groups, rows, depth, pixels;
    Epilogue epilogue;
    bool seven_bits = false;  // as gemm_int8.h has it

    using Function = void(const GemmInt8Float&, uint8_t* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel);

    template <class Step>
    void read(Step& step) {
        step.count("groups", groups), step.count("rows", rows), step.count("depth", depth), step.pixels("pixels", pixels);
        const int64_t channels = step.product("rows", groups, rows), in_channels = step.product("depth", groups, depth);
        const int64_t panels = step.product("rows", groups, int8_panels(rows));
        step.scratch(gemm_int8_scratch(depth) / static_cast<int64_t>(sizeof(float)));
        step.written(out, channels, pixels);
        step.read("in", in, in_channels, pixels, Overlap::never, Reach::whole_vectors);
        const int64_t packed = step.product("depth", panels * int8_panel, 4 * int8_fours(depth));
        step.weights("weights", weights, packed);
        seven_bits = have_seven_bits(weights, packed);
        read_ends(step, ends, channels);
        step.epilogue(epilogue, channels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        const auto [own_pixels, own_panels] = share_gemm(pixels, groups * int8_panels(rows), int8_block, part, parts);
        if (own_pixels.first < own_pixels.last) run_share(own_panels, kernel, *this, static_cast<uint8_t*>(scratch), own_pixels.first, own_pixels.last);
    }
};

}  // namespace shufflekit
