// The kernels of kernels.inc: their arguments, their code for each instruction set, and the best code that runs here.
#pragma once

#include <string_view>

#include "cpu.h"
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

template <class Function>
struct Code {
    std::string_view isa;
    Function* function;
};

inline constexpr std::string_view every_set[] = {
#define SHUFFLEKIT_NAME(isa) #isa,
    SHUFFLEKIT_ANY_ISA(SHUFFLEKIT_NAME)
#undef SHUFFLEKIT_NAME
};

// Of some sets' code, the scalar one last: that of the first set from `best` on that runs here and has some.
template <class Function, size_t N>
Function* best_code(const Code<Function> (&codes)[N], std::string_view best) {
    bool reached = false;
    for (const std::string_view isa : every_set) {
        reached |= isa == best;
        if (!reached || !runs_here(isa)) continue;
        for (const auto& code : codes)
            if (code.isa == isa) return code.function;
    }
    return codes[N - 1].function;
}

// For each kernel the code of one instruction set, which need not be the same for all.
struct Kernels {
    // The best that runs here; with `asked`, a name of SHUFFLEKIT_ENGINE_ISA, none that is better than that set. Throws
    // std::invalid_argument where that does not run here.
    explicit Kernels(std::string_view asked);

    std::string_view isa;  // the best of them
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets) \
    Arguments::Function* function;                                    \
    Arguments::Function* of(const Arguments&) const { return function; }
#include "kernels/kernels.inc"
#undef SHUFFLEKIT_KERNEL
};

}  // namespace shufflekit
