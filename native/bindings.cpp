// The Python module shufflekit._native: thin, and the only file that includes nanobind.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "cpu.h"
#include "microbenchmark.h"

namespace nb = nanobind;
using namespace nb::literals;

NB_MODULE(_native, m) {
    m.doc() = "The compiled part of shufflekit.";
    m.def("instruction_sets", &shufflekit::instruction_sets,
          "Instruction sets that kernels are compiled for and that run here, best first; the last is 'scalar'.");
    m.def("vector_features", &shufflekit::vector_features, "Vector instructions that the processor offers, used or not.");
    m.def("multiply_add_rates", &shufflekit::multiply_add_rates, "instruction_set"_a, "threads"_a, "window_ms"_a, "repeats"_a,
          nb::call_guard<nb::gil_scoped_release>(),
          "float32 multiply-adds a second of all threads together, one number a repeat.");
    m.def("copy_rates", &shufflekit::copy_rates, "instruction_set"_a, "threads"_a, "working_set_bytes"_a, "window_ms"_a,
          "repeats"_a, nb::call_guard<nb::gil_scoped_release>(),
          "Bytes read plus bytes written a second of all threads together, each copying half of its own working set.");
}
