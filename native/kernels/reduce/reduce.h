// Contract of reductions: one number of each line (spans.h). Input planes may be tight.
//
//   out[g][line] = act(scale * sum of x),  or of |x|, or of x^2;  act(scale * the largest x), the smallest, the product of all
//
// The largest and the smallest of elements with a NaN among them are a NaN.
// A call works on groups [first_group, last_group) and their lines [first_line, last_line).
#pragma once

#include "kernels/activation.h"
#include "kernels/plane.h"
#include "kernels/spans.h"

namespace shufflekit {

// A plan has the words.
enum class Reduction : int32_t { sum = 0, sum_of_sizes, sum_of_squares, maximum, minimum, product };
inline constexpr const char* reduction_words[] = {"sum", "sum_of_sizes", "sum_of_squares", "maximum", "minimum", "product"};
inline constexpr int32_t reductions = sizeof(reduction_words) / sizeof(*reduction_words);

struct Reduce {
    Planes in;
    MutablePlanes out;
    Spans spans;
    Reduction reduction;
    float scale;
    Epilogue epilogue;

    using Function = void(const Reduce&, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line);

    template <class Step>
    void read(Step& step) {
        spans.read(step);
        step.word("reduction", reduction, reduction_words);
        step.real("scale", scale);
        step.written(out, spans.groups, spans.lines());
        step.read("in", in, spans.planes(), spans.pixels(), Overlap::never, Reach::pixels);
        step.epilogue(epilogue);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { spans.run(kernel, *this, part, parts); }
};

}  // namespace shufflekit
