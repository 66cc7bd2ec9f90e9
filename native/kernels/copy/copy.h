// Contract of the copy kernel, which measures bandwidth.
//
//   target[i] = source[i] for i in 0 .. count - 1
//
// `count` floats, a multiple of copy_block; both 64-byte aligned; they do not overlap; nothing past the end is touched.
// Plain stores, as the compute kernels make them: a line that is not in the cache is read before it is written.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace shufflekit {

inline constexpr int64_t copy_block = 64;  // 4 vectors of 16 floats

struct CopyKernel {
    const char* isa;
    void (*run)(const float* source, float* target, int64_t count);
};

#define SHUFFLEKIT_DECLARE(isa)                                   \
    namespace isa {                                               \
    void copy(const float* source, float* target, int64_t count); \
    }
SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_DECLARE)
#undef SHUFFLEKIT_DECLARE

}  // namespace shufflekit
