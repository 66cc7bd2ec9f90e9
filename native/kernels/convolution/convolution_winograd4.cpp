// F(4 x 4, 3x3): winograd.h says how.
#include "kernels/convolution/winograd.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void convolution_winograd4(const ConvolutionWinograd4& c, float* scratch, int32_t first_tile, int32_t last_tile, int32_t first_chunk,
                           int32_t last_chunk) {
    winograd(c, scratch, first_tile, last_tile, first_chunk, last_chunk);
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
