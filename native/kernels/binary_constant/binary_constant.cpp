// The binary kernel does it.
#include "kernels/binary_constant/binary_constant.h"

namespace shufflekit::SHUFFLEKIT_ISA {

Binary::Function binary;

void binary_constant(const BinaryConstant& o, int32_t first_channel, int32_t last_channel) { binary(o.both, first_channel, last_channel); }

}  // namespace shufflekit::SHUFFLEKIT_ISA
