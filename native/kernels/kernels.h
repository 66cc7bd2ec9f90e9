// The kernels of kernels.inc: their arguments, their code for each instruction set, and the best code that runs here.
#pragma once

#include <string_view>

#include "kernels/isa.h"

#define SHUFFLEKIT_TEXT(x) #x
#define SHUFFLEKIT_HEADER(kernel) SHUFFLEKIT_TEXT(kernels/kernel/kernel.h)
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets)
#include "kernels/kernels.inc"
#undef SHUFFLEKIT_KERNEL

namespace shufflekit {

#define SHUFFLEKIT_DECLARE(isa, Arguments, function) \
    namespace isa {                                  \
    Arguments::Function function;                    \
    }
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets) sets(SHUFFLEKIT_DECLARE, Arguments, function)
#include "kernels/kernels.inc"
#undef SHUFFLEKIT_KERNEL
#undef SHUFFLEKIT_DECLARE

// For each kernel the code of one instruction set, which need not be the same for all.
struct Kernels {
    // The best that runs here; with `best`, a name of SHUFFLEKIT_EACH_ISA, none that is better than that set.
    explicit Kernels(std::string_view best = "");

    std::string_view isa;  // the best of them
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets) \
    Arguments::Function* function;                                    \
    Arguments::Function* of(const Arguments&) const { return function; }
#include "kernels/kernels.inc"
#undef SHUFFLEKIT_KERNEL
};

}  // namespace shufflekit
