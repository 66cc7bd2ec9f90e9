// F(2 x 2, 3x3) at stride 2 of taps that lie in the plan: winograd_stride2.h says how.
#include "kernels/convolution/winograd_stride2.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void convolution_winograd2_taps_stride2(const ConvolutionWinograd2TapsStride2& c, float* scratch, int32_t first_tile, int32_t last_tile,
                                        int32_t first_panel, int32_t last_panel) {
    winograd_stride2(c, scratch, first_tile, last_tile, first_panel, last_panel);
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
