// Rounds > chains, the chains unrolled into registers: per round 12 multiply-adds and no load or store.
#include "kernels/multiply_add/multiply_add.h"

namespace shufflekit::SHUFFLEKIT_ISA {

extern const int multiply_add_lanes = vector_lanes;

double multiply_add(int64_t rounds, float step, float factor, float summand) {
    vector x[multiply_add_chains];
    for (int chain = 0; chain < multiply_add_chains; ++chain) x[chain] = vector{} + chain * step;
    const vector a = vector{} + factor, b = vector{} + summand;
    for (int64_t round = 0; round < rounds; ++round)
        for (int chain = 0; chain < multiply_add_chains; ++chain) x[chain] = x[chain] * a + b;
    double sum = 0;
    for (int chain = 0; chain < multiply_add_chains; ++chain) {
        const auto* lane = reinterpret_cast<const float*>(&x[chain]);
        for (int i = 0; i < vector_lanes; ++i) sum += lane[i];
    }
    return sum;
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
