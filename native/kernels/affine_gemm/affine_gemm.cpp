// Groups > blocks of 48 pixels > scale their planes into scratch > GEMM: what is scaled stays in the L2 cache for all panels, in place of a
// map that is written and read once more.
#include "kernels/affine_gemm/affine_gemm.h"

#include "kernels/activation_math.h"
#include "kernels/lanes.h"

namespace shufflekit::SHUFFLEKIT_ISA {

Gemm::Function gemm;

namespace {

// V vectors of each plane of the group, side by side; of one by itself only the lanes that its plane has.
template <Bounds B, int V>
void scale_planes(const AffineGemm& a, int64_t first_channel, int64_t pixel, int64_t pitch, float* to) {
    const vector low = broadcast<vector>(a.before.low()), high = broadcast<vector>(a.before.high());
    const int32_t* offsets = a.in.offsets + first_channel;
    const float *in = a.in.base + pixel, *scale = a.scale + first_channel, *shift = a.shift + first_channel;
    const SomeLanes lanes(0, V > 1 ? vector_lanes : a.pixels - pixel);
    for (int64_t k = 0; k < a.depth; ++k, to += pitch) {
        const float* const from = in + offsets[k];
        const vector factor = broadcast<vector>(scale[k]), summand = broadcast<vector>(shift[k]);
#pragma GCC unroll 3
        for (int v = 0; v < V; ++v) {
            const float* const at = from + v * vector_lanes;
            __builtin_prefetch(at + AffineGemm::block, 0, 2);  // the next block's: too many planes for the hardware to follow
            store(to + v * vector_lanes, bounded<B>((V > 1 ? load(at) : lanes.load(at)) * factor + summand, low, high));
        }
    }
}

void scale_all(const AffineGemm& a, int64_t first_channel, int64_t pixel, int64_t pitch, float* to) {
    with_bounds(a.before.activation, [&]<Bounds B>() {
        int64_t x = 0;
        for (; x + 3 * vector_lanes <= pitch && pixel + x + 3 * vector_lanes <= a.pixels; x += 3 * vector_lanes) scale_planes<B, 3>(a, first_channel, pixel + x, pitch, to + x);
        for (; x < pitch; x += vector_lanes) scale_planes<B, 1>(a, first_channel, pixel + x, pitch, to + x);
    });
}

}  // namespace

void affine_gemm(const AffineGemm& a, float* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    const int32_t panels = gemm_panels(a.rows);
    auto* const offsets = reinterpret_cast<int32_t*>(scratch + int64_t{a.depth} * AffineGemm::most_pixels);
    for (int32_t group = first_panel / panels; group * panels < last_panel; ++group) {
        const int32_t first = first_panel - group * panels, last = last_panel - group * panels;
        const int64_t row = int64_t{group} * a.rows, before = int64_t{group} * panels;
        for (int32_t pixel = first_pixel; pixel < last_pixel;) {
            const int32_t left = last_pixel - pixel, count = left < AffineGemm::most_pixels ? left : AffineGemm::block;
            const int64_t pitch = (count + plane_alignment - 1) / plane_alignment * plane_alignment;
            for (int64_t k = 0; k < a.depth; ++k) offsets[k] = static_cast<int32_t>(k * pitch);
            scale_all(a, int64_t{group} * a.depth, pixel, pitch, scratch);
            // As many pixels as the planes have, since the GEMM goes by that when it prefetches what it writes.
            Gemm product{{scratch - pixel, offsets}, {a.out.base, a.out.offsets + row}, a.residual, a.weights + before * a.depth * gemm_panel,
                         a.bias + before * gemm_panel, 1, a.rows, a.depth, a.pixels, a.epilogue.from(row)};
            if (product.residual.base) product.residual.offsets += row;
            gemm(product, pixel, pixel + count, first > 0 ? first : 0, last < panels ? last : panels);
            pixel += count;
        }
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
