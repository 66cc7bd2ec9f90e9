// Four vectors loaded, then stored, a turn: enough in flight, and no loop that the compiler would turn into memcpy.
#include "kernels/copy/copy.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void copy(const float* source, float* target, int64_t count) {
    for (int64_t i = 0; i < count; i += 4 * vector_lanes) {
        const auto* from = reinterpret_cast<const vector*>(source + i);
        auto* to = reinterpret_cast<vector*>(target + i);
        const vector a = from[0], b = from[1], c = from[2], d = from[3];
        to[0] = a, to[1] = b, to[2] = c, to[3] = d;
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
