// Whether vectors are narrow and registers few: WebAssembly, of whose 16 a browser keeps one for itself.
#pragma once

#include "kernels/isa.h"

namespace shufflekit::SHUFFLEKIT_ISA {

inline constexpr bool has_few_registers = SHUFFLEKIT_VECTOR_BYTES == 16 && vector_registers < 32;

}  // namespace shufflekit::SHUFFLEKIT_ISA
