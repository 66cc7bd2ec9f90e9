// Groups > pack the panels of a that are ours > GEMM. Packing moves each number once, where the GEMM uses it `pixels` times.
#include "kernels/matmul/matmul.h"

#include "kernels/isa.h"

namespace shufflekit::SHUFFLEKIT_ISA {

Gemm::Function gemm;

namespace {

void pack(const MatMul& m, int64_t group, int32_t panel, float* to) {
    const int32_t first = gemm_first_row(m.rows, panel), rows = gemm_panel_rows(m.rows, panel);
    for (int64_t k = 0; k < m.depth; ++k)
        for (int r = rows; r < gemm_panel; ++r) to[k * gemm_panel + r] = 0;
    if (m.a_is_across) {
        for (int64_t k = 0; k < m.depth; ++k) {
            const float* from = m.a[group * m.depth + k] + first;
            for (int r = 0; r < rows; ++r) to[k * gemm_panel + r] = from[r] * m.scale;
        }
        return;
    }
    for (int r = 0; r < rows; ++r) {
        const float* from = m.a[group * m.rows + first + r];
        for (int64_t k = 0; k < m.depth; ++k) to[k * gemm_panel + r] = from[k] * m.scale;
    }
}

}  // namespace

void matmul(const MatMul& m, float* scratch, int32_t first_panel, int32_t last_panel) {
    const int32_t panels = gemm_panels(m.rows);
    float* const bias = scratch + int64_t{panels} * gemm_panel * m.depth;
    for (int32_t i = 0; i < panels * gemm_panel; ++i) bias[i] = 0;
    for (int32_t group = first_panel / panels; group * panels < last_panel; ++group) {
        const int32_t first = first_panel > group * panels ? first_panel - group * panels : 0;
        const int32_t last = last_panel < (group + 1) * panels ? last_panel - group * panels : panels;
        for (int32_t panel = first; panel < last; ++panel) pack(m, group, panel, scratch + int64_t{panel} * m.depth * gemm_panel);
        const int64_t row = int64_t{group} * m.rows;
        const bool adds = m.residual.base != nullptr;
        const Gemm of_group{{m.in.base, m.in.offsets + int64_t{group} * m.depth},
                            {m.out.base, m.out.offsets + row},
                            {m.residual.base, adds ? m.residual.offsets + row : nullptr},
                            scratch,
                            bias,
                            1,
                            m.rows,
                            m.depth,
                            m.pixels,
                            m.epilogue.from(row)};
        gemm(of_group, 0, m.pixels, first, last);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
