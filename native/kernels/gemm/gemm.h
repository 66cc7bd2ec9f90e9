// Contract of the indexed GEMM: pointwise convolutions, grouped or not, and linear layers (pixels = 1).
//
//   out[g * rows + n][p] = act(bias[g, n] + sum_k weight[g, n, k] * in[g * depth + k][p] + residual[g * rows + n][p])
//
// for 0 <= g < groups, 0 <= n < rows, 0 <= k < depth, 0 <= p < pixels; without residual the last summand is absent.
//
// Weights are packed in panels of up to 8 rows. A group has panels = ceil(rows / 8); panel i has the next
// gemm_panel_rows(rows, i) rows (58 rows: 7 7 7 7 7 7 8 8), and is stored as depth x 8 floats: weight k of its row r at k * 8 + r,
// absent rows 0. Panel i of group g starts at ((g * panels) + i) * depth * 8; its bias (8 floats, absent ones 0) at
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
#include "kernels/isa.h"
#include "kernels/plane.h"

namespace shufflekit {

inline constexpr int32_t gemm_panel = 8;
inline constexpr int32_t gemm_operands_ahead = 8;

constexpr int32_t gemm_panels(int32_t rows) { return (rows + gemm_panel - 1) / gemm_panel; }

// Rows of panel i: as even as they can be, thinner panels first.
constexpr int32_t gemm_first_row(int32_t rows, int32_t panel) {
    return static_cast<int32_t>(static_cast<int64_t>(rows) * panel / gemm_panels(rows));
}
constexpr int32_t gemm_panel_rows(int32_t rows, int32_t panel) { return gemm_first_row(rows, panel + 1) - gemm_first_row(rows, panel); }

struct Gemm {
    Planes in;
    MutablePlanes out;
    Planes residual;  // base is null: none
    const float* weights;
    const float* bias;
    int32_t groups, rows, depth, pixels;
    Epilogue epilogue;
};

#define SHUFFLEKIT_DECLARE(isa) \
    namespace isa {             \
    void gemm(const Gemm&, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
