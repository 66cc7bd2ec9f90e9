#include "kernels/kernels.h"

#include "cpu.h"
#include "fail.h"

namespace shufflekit {
namespace {

template <class Function>
struct Code {
    std::string_view isa;
    Function* function;
};

constexpr std::string_view every_set[] = {
#define SHUFFLEKIT_NAME(isa) #isa,
    SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_NAME)
#undef SHUFFLEKIT_NAME
};

// The best set that runs here, and none better than `best`.
std::string_view best_set(std::string_view best) {
    for (const std::string_view isa : every_set)
        if ((best.empty() || isa == best) && runs_here(isa)) return isa;
    fail("instruction_set: must be one that runs here, found " + std::string(best));
}

// Of the sets from `best` on the first that runs here and has code.
template <class Function, size_t N>
Function* best_code(const Code<Function> (&codes)[N], std::string_view best) {
    bool reached = false;
    for (const std::string_view isa : every_set) {
        reached |= isa == best;
        if (!reached || !runs_here(isa)) continue;
        for (const auto& code : codes)
            if (code.isa == isa) return code.function;
    }
    return codes[N - 1].function;  // scalar
}

#define SHUFFLEKIT_CODE(isa, Arguments, function) Code<Arguments::Function>{#isa, &isa::function},
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets) \
    constexpr Code<Arguments::Function> function##_codes[] = {sets(SHUFFLEKIT_CODE, Arguments, function)};
#include "kernels/kernels.inc"
#undef SHUFFLEKIT_KERNEL
#undef SHUFFLEKIT_CODE

}  // namespace

Kernels::Kernels(std::string_view best) : isa(best_set(best)) {
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets) function = best_code(function##_codes, isa);
#include "kernels/kernels.inc"
#undef SHUFFLEKIT_KERNEL
}

}  // namespace shufflekit
