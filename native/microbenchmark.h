// Times the kernels that measure a machine, on one or several threads at once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace shufflekit {

// Multiply-adds a second of all threads together, `repeats` times over a window of about `window_ms` milliseconds.
// Throws std::invalid_argument for a set that does not run here, std::runtime_error if the sums come out wrong.
std::vector<double> multiply_add_rates(std::string_view isa, int threads, double window_ms, int repeats);

// The same of bytes with weights of 8 bits, for the sets of `int8_sets`: those with code for bytes that run here, best first.
std::vector<double> multiply_add_int8_rates(std::string_view isa, int threads, double window_ms, int repeats);
std::vector<std::string> int8_sets();

// Bytes read plus bytes written a second, of all threads together; each thread copies one half of its own working set
// of `working_set_bytes` into the other half. Throws as above, and std::bad_alloc.
std::vector<double> copy_rates(std::string_view isa, int threads, int64_t working_set_bytes, double window_ms, int repeats);

}  // namespace shufflekit
