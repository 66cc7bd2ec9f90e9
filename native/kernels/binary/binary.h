// Contract of the binary kernel: sums and products of two tensors.
//
//   out[c][p] = act(a[c][p] + b[c][p])   or   act(a[c][p] * b[c][p]);   with b_is_scalar, b[c][0] for every p
//
// Aliasing: an out plane may be the a or b plane of the same channel, and no other.
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/activation.h"
#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

// A plan has the words.
enum class Operation : int32_t { add = 0, multiply = 1 };
inline constexpr const char* operation_words[] = {"add", "multiply"};
inline constexpr int32_t operations = sizeof(operation_words) / sizeof(*operation_words);

struct Binary {
    Planes a, b;
    MutablePlanes out;
    Operation operation;
    bool b_is_scalar;
    int32_t channels, pixels;
    Epilogue epilogue;

    using Function = void(const Binary&, int32_t first_channel, int32_t last_channel);

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels), step.pixels("pixels", pixels);
        step.truth("b_is_scalar", b_is_scalar);
        step.written(out, channels, pixels);
        step.read("a", a, channels, pixels, Overlap::same_channel, Reach::whole_vectors);
        step.read("b", b, channels, b_is_scalar ? 1 : pixels, b_is_scalar ? Overlap::never : Overlap::same_channel, Reach::whole_vectors);
        step.word("operation", operation, operation_words);
        step.epilogue(epilogue, channels);
    }
    void at(const void* from, void* to, const void*) { a.at(from), b.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(channels, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
