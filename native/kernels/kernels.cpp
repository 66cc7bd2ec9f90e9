#include "kernels/kernels.h"

#include "fail.h"

namespace shufflekit {
namespace {

// The one that was asked for, or else the best that runs here.
std::string_view set_of(std::string_view asked) {
#define SHUFFLEKIT_TAKE(isa) \
    if ((asked.empty() || asked == #isa) && runs_here(#isa)) return #isa;
    SHUFFLEKIT_ENGINE_ISA(SHUFFLEKIT_TAKE)
#undef SHUFFLEKIT_TAKE
    fail("instruction_set: must be one that runs here, found " + std::string(asked));
}

#define SHUFFLEKIT_CODE(isa, Arguments, function) Code<Arguments::Function>{#isa, &isa::function},
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets) \
    constexpr Code<Arguments::Function> function##_codes[] = {sets(SHUFFLEKIT_CODE, Arguments, function)};
#include "kernels/kernels.inc"
#undef SHUFFLEKIT_KERNEL
#undef SHUFFLEKIT_CODE

}  // namespace

Kernels::Kernels(std::string_view asked) : isa(set_of(asked)) {
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets) function = best_code(function##_codes, isa);
#include "kernels/kernels.inc"
#undef SHUFFLEKIT_KERNEL
}

}  // namespace shufflekit
