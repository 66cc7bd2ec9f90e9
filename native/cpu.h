// What the processor that runs us can do.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace shufflekit {

// Whether kernels compiled for `isa` (a name of SHUFFLEKIT_ANY_ISA) may run here.
bool runs_here(std::string_view isa);

// The sets that all kernels are compiled for and that run here, best first; the last is always "scalar".
std::vector<std::string> instruction_sets();

// Those that an engine may be asked for: with them those that only some kernels have code for, where they have a name of their own.
std::vector<std::string> engine_sets();

// Vector instructions that the processor offers, in the names of its maker, whether or not we use them.
std::vector<std::string> vector_features();

}  // namespace shufflekit
