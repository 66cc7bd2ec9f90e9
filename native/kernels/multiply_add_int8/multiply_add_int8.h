// Contract of the multiply-add kernel of bytes, which does nothing but keep the units busy that multiply them.
//
//   x[chain][lane] = chain;  rounds times:  x[chain][lane] += the sum of so many products of `a` with `b` as an instruction sums at once
//
// It returns the sum of all x; with a and b 1 that is `sum_of_ones(rounds)` exactly: a proof that every multiply-add was done.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace shufflekit {

// Independent chains: 12 sums, a and b and a product are 15 of 16 ymm.
inline constexpr int multiply_add_int8_chains = 12;

struct MultiplyAddInt8Kernel {
    const char* isa;
    int lanes, products;  // of a vector, and of a lane at once
    int64_t (*run)(int64_t rounds, int a, int b);

    int64_t multiply_adds(int64_t rounds) const { return rounds * multiply_add_int8_chains * lanes * products; }
    int64_t sum_of_ones(int64_t rounds) const {
        return multiply_adds(rounds) + multiply_add_int8_chains * (multiply_add_int8_chains - 1) / 2 * lanes;
    }
};

#define SHUFFLEKIT_DECLARE(isa)                                    \
    namespace isa {                                                \
    int64_t multiply_add_int8(int64_t rounds, int a, int b);       \
    extern const int multiply_add_int8_lanes, multiply_add_int8_products; \
    }
SHUFFLEKIT_DOT_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
