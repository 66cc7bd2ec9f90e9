// Groups > output rows > GEMM on the input rows that a row sees (input_rows.h), or two rows as vectors together
// (strided_rows.h).
#include "kernels/convolution/input_rows.h"
#include "kernels/convolution/strided_rows.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void convolution_rows(const Convolution& c, float* scratch, int32_t first_pixel, int32_t last_pixel, int32_t first_panel,
                      int32_t last_panel) {
    const int32_t panels = gemm_panels(c.rows), width = c.window.out_width;
    for (int32_t group = first_panel / panels; group * panels < last_panel; ++group) {
        const Range share = panels_of(c, group, first_panel, last_panel);
        const MutablePlanes out{c.out.base, c.out.offsets + int64_t{group} * c.rows};
#if SHUFFLEKIT_VECTOR_BYTES == 64
        if (StridedRows::fits(c)) {
            StridedRows(c, group).run(first_pixel / width, last_pixel / width, {out.base + first_pixel, out.offsets},
                                      share.first, share.last);
            continue;
        }
#endif
        InputRows rows(c, group, scratch);
        for (int64_t y = first_pixel / width; y < last_pixel / width; ++y)
            convolve_row(c, group, rows, y, {out.base + y * width, out.offsets}, c.window.out_height * width, share.first,
                         share.last);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
