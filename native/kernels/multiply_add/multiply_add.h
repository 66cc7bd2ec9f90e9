// Contract of the multiply-add kernel, which does nothing but keep the multiply-add units busy.
//
//   x[chain][lane] = chain * step;  rounds times:  x[chain][lane] = x[chain][lane] * factor + summand
//
// It returns the sum of all x. With step, factor and summand 1 that is `sum_of_ones(rounds)` exactly, while rounds < 2^23:
// a proof that every multiply-add was done. They are arguments so that no compiler can foresee it; chains that started
// alike were computed once (GCC 12).
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace shufflekit {

// Independent chains: 2 units with a latency of 4 to 5 cycles need 10; 12 sums + factor + summand = 14 of 16 ymm.
inline constexpr int multiply_add_chains = 12;

struct MultiplyAddKernel {
    const char* isa;
    int lanes;
    double (*run)(int64_t rounds, float step, float factor, float summand);

    int64_t multiply_adds(int64_t rounds) const { return rounds * multiply_add_chains * lanes; }
    int64_t sum_of_ones(int64_t rounds) const {
        return multiply_adds(rounds) + multiply_add_chains * (multiply_add_chains - 1) / 2 * lanes;
    }
};

#define SHUFFLEKIT_DECLARE(isa)                                                   \
    namespace isa {                                                               \
    double multiply_add(int64_t rounds, float step, float factor, float summand); \
    extern const int multiply_add_lanes;                                          \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
