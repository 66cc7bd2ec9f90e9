// Contract of arithmetic with a constant of the plan: the binary kernel (binary.h), one of whose operands lies among the weights.
//
//   out[c] = act(in[c] op constant[places[c]...]), or with constant_first act(constant[places[c]...] op in[c])
//
// The operand `a` of the sizes is the first, whichever it is. Input planes may be tight.
// Aliasing: an out plane may be the in plane of the same channel where that has as many pixels, and no other.
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/binary/binary.h"

namespace shufflekit {

struct BinaryConstant {
    Binary both;
    Planes in, constant;
    int32_t values;
    bool constant_first;

    using Function = void(const BinaryConstant&, int32_t first_channel, int32_t last_channel);

    template <class Step>
    void read(Step& step) {
        both.read_sizes(step);
        step.truth("constant_first", constant_first);
        step.pixels("values", values);
        const Spread &own = constant_first ? both.of_b : both.of_a, &other = constant_first ? both.of_a : both.of_b;
        step.written(both.out, both.channels, both.pixels());
        step.read("in", in, both.channels, own.pixels, both.overlap(own), Reach::pixels);
        step.weights("constant", constant.base, values), step.weights("places", constant.offsets, both.channels);
        for (int32_t c = 0; c < both.channels; ++c)
            step.require(constant.offsets[c] >= 0 && constant.offsets[c] <= values - other.pixels, "places", "inside of the constant");
        (constant_first ? both.a : both.b) = constant;
    }
    void at(const void* from, void* to, const void*) {
        in.at(from), both.out.at(to);
        (constant_first ? both.b : both.a) = in;
    }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(both.channels, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
