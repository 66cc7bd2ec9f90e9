// The one place that throws: whoever builds without exceptions writes another fail.cpp.
#pragma once

#include <string>

namespace shufflekit {

// What the caller gave cannot be used: throws std::invalid_argument with that one line.
[[noreturn]] void fail(const std::string& problem);

// Throws std::bad_alloc.
[[noreturn]] void fail_out_of_memory();

}  // namespace shufflekit
