// Contract of norms by the statistics of each line (spans.h): instance, group, layer and RMS norms.
//
//   out[x] = act((in[x] - m) / sqrt(v + eps) * scale[at] + shift[at]),  m the mean and v the variance of the line of x
//
// Without `centred` m is 0, and v the mean of squares. Element r of plane p has at = p % scale_planes * scale_length + r % scale_length.
// `out` has the planes and pixels of `in`, which may be tight.
// Aliasing: an out plane may be the in plane of the same channel, and no other.
// A call works on groups [first_group, last_group) and their lines [first_line, last_line).
#pragma once

#include "kernels/activation.h"
#include "kernels/plane.h"
#include "kernels/spans.h"

namespace shufflekit {

struct Normalize {
    Planes in;
    MutablePlanes out;
    Spans spans;
    bool centred;
    float eps;
    int32_t scale_planes, scale_length;
    const float *scale, *shift;
    Epilogue epilogue;

    using Function = void(const Normalize&, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line);

    template <class Step>
    void read(Step& step) {
        spans.read(step);
        step.truth("centred", centred);
        step.real("eps", eps);
        step.count("scale_planes", scale_planes), step.pixels("scale_length", scale_length);
        step.require(eps >= 0, "eps", "0 or more");
        step.require(scale_length == 1 || scale_length == spans.length, "scale_length", "1 or length");
        const int64_t values = step.product("scale_length", scale_planes, scale_length);
        step.written(out, spans.planes(), spans.pixels());
        step.read("in", in, spans.planes(), spans.pixels(), Overlap::same_channel, Reach::pixels);
        step.weights("scale", scale, values), step.weights("shift", shift, values);
        step.epilogue(epilogue);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { spans.run(kernel, *this, part, parts); }
};

}  // namespace shufflekit
