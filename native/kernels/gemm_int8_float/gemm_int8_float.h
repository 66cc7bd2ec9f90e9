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
        step.epilogue(epilogue, read_int8_products(step, *this));
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void* scratch, int part, int parts) const { run_int8_products(*this, kernel, pixels, scratch, part, parts); }
};

}  // namespace shufflekit
