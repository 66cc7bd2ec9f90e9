// Contract of the binary kernel: sums and products of two tensors.
//
//   out[c][p] = act(a[c][p] + b[c][p])   or   act(a[c][p] * b[c][p]);   with b_is_scalar, b[c][0] for every p
//
// Aliasing: an out plane may be the a or b plane of the same channel, and no other.
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/activation.h"
#include "kernels/isa.h"
#include "kernels/plane.h"

namespace shufflekit {

// The numbers are part of the plan's format.
enum class Operation : int32_t { add = 0, multiply = 1 };
inline constexpr int32_t operations = 2;

struct Binary {
    Planes a, b;
    MutablePlanes out;
    Operation operation;
    bool b_is_scalar;
    int32_t channels, pixels;
    Epilogue epilogue;
};

#define SHUFFLEKIT_DECLARE(isa) \
    namespace isa {             \
    void binary(const Binary&, int32_t first_channel, int32_t last_channel); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
