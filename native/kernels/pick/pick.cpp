// Groups > rows > elements.
#include "kernels/pick/pick.h"

#include "kernels/isa.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

// Where a row begins that a number names, or -1; NaN is none.
[[gnu::always_inline]] inline int64_t row_of(float number, const Pick& p) {
    if (!(number >= 0 && number < static_cast<float>(p.length))) return -1;
    const auto row = static_cast<int64_t>(number);
    return static_cast<float>(row) == number ? row * p.inner : -1;
}

}  // namespace

void pick(const Pick& p, int32_t first_group, int32_t last_group) {
    for (int32_t group = first_group; group < last_group; ++group) {
        const float *in = p.in[group], *index = p.index[group];
        float* out = p.out[group];
        for (int64_t k = 0; k < p.count; ++k, out += p.inner, index += p.of_index) {
            if (p.of_index > 1) {
                for (int64_t i = 0; i < p.inner; ++i) {
                    const int64_t row = row_of(index[i], p);
                    out[i] = row < 0 ? 0 : in[row + i];
                }
                continue;
            }
            const int64_t row = row_of(*index, p);
            for (int64_t i = 0; i < p.inner; ++i) out[i] = row < 0 ? 0 : in[row + i];
        }
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
