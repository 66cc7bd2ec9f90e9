// Plans in files. A build for where there are none goes without.
#pragma once

#include <string>

#include "program.h"

namespace shufflekit {

// Throws std::invalid_argument as Program does, and std::system_error where the file cannot be read.
Program load_program(const std::string& path);

}  // namespace shufflekit
