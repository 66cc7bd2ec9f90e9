#include "fail.h"

#include <new>
#include <stdexcept>

namespace shufflekit {

void fail(const std::string& problem) { throw std::invalid_argument(problem); }

void fail_out_of_memory() { throw std::bad_alloc(); }

}  // namespace shufflekit
