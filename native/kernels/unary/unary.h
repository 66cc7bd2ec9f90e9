// Contract of what computes each element by itself and ends no other kernel: sines, cosines and signs.
//
//   out[c][p] = sin(in[c][p]);  cos(in[c][p]);  or 1, 0 or -1 of a number more than 0, 0 or NaN, less than 0
//
// Sines are right to 1e-7, of any number; of infinity and NaN they are NaN. Input planes may be tight.
// Aliasing: an out plane may be the in plane of the same channel, and no other. A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

// A plan has the words.
enum class UnaryFunction : int32_t { sin = 0, cos, sign };
inline constexpr const char* unary_words[] = {"sin", "cos", "sign"};
inline constexpr int32_t unary_functions = sizeof(unary_words) / sizeof(*unary_words);

struct Unary {
    Planes in;
    MutablePlanes out;
    int32_t channels, pixels;
    UnaryFunction function;

    using Function = void(const Unary&, int32_t first_channel, int32_t last_channel);

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels), step.pixels("pixels", pixels);
        step.word("function", function, unary_words);
        step.written(out, channels, pixels, Reach::pixels);
        step.read("in", in, channels, pixels, Overlap::same_channel, Reach::pixels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(channels, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
