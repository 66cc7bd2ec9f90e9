// Panels that are ours, times their gates > GEMM: as many products as there are weights, in place of a map that is written and read once
// more.
#include "kernels/gated_gemm/gated_gemm.h"

#include "kernels/isa.h"

namespace shufflekit::SHUFFLEKIT_ISA {

Gemm::Function gemm;

void gated_gemm(const GatedGemm& g, float* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    const int32_t panels = gemm_panels(g.rows);
    const int64_t floats = g.panel_floats();
    float* const gates = scratch + int64_t{g.groups} * panels * floats;
    for (int32_t panel = first_panel; panel < last_panel; ++panel) {
        if (panel == first_panel || panel % panels == 0)
            for (int64_t k = 0; k < g.depth; ++k)
                for (int r = 0; r < gemm_panel; ++r) gates[k * gemm_panel + r] = g.gate[int64_t{panel / panels} * g.depth + k][0];
        const float* const from = g.weights + panel * floats;
        float* const to = scratch + panel * floats;
        int64_t i = 0;
        for (; i + vector_lanes <= floats; i += vector_lanes) store(to + i, load(from + i) * load(gates + i));
        for (; i < floats; ++i) to[i] = from[i] * gates[i];
    }
    Gemm product = g;
    product.weights = scratch;
    gemm(product, first_pixel, last_pixel, first_panel, last_panel);
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
