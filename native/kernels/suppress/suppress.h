// Contract of non-maximum suppression, as at the end of detectors: of each class the boxes of the largest scores that overlap none
// before them too much.
//
// `boxes` is one plane of (boxes, 4): two corners in any order, (y, x, y, x), or with `centred` (x, y, width, height). `scores` has a
// plane of boxes for each class. Class by class, boxes whose score is more than `least` are looked at by falling scores, the first of
// equals first, and one is taken unless it overlaps one of its class that was taken by more than `overlap` of what both cover, until
// `most` are. `out`, one plane of (classes * most, 3), gets a row for each: 0, the class and the box; what is left of it is -1.
//
// A score that is NaN or minus infinity is never taken. scratch: scratch() floats of the calling thread. Aliasing: none. One thread does all.
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

struct Suppress {
    Planes in, scores;
    MutablePlanes out;
    int32_t boxes, classes, most;
    float overlap, least;
    bool centred;

    using Function = void(const Suppress&, float* scratch);

    // The order of a class's boxes.
    constexpr int64_t scratch() const { return boxes; }

    template <class Step>
    void read(Step& step) {
        step.whole("boxes", boxes, 1, (1 << 24) - 1), step.whole("classes", classes, 1, (1 << 24) - 1), step.whole("most", most, 1, boxes);
        step.real("overlap", overlap), step.bound("least", least);
        step.require(overlap >= 0 && overlap <= 1, "overlap", "a share, between 0 and 1");
        step.truth("centred", centred);
        step.written(out, 1, step.product("most", int64_t{3} * classes, most), Reach::pixels);
        step.read("in", in, 1, int64_t{4} * boxes, Overlap::never, Reach::pixels);
        step.read("scores", scores, classes, boxes, Overlap::never, Reach::pixels);
        step.scratch(scratch());
    }
    void at(const void* from, void* to, const void*) { in.at(from), scores.at(from), out.at(to); }
    void run(Function* kernel, void* scratch, int part, int) const {
        if (part == 0) kernel(*this, static_cast<float*>(scratch));
    }
};

}  // namespace shufflekit
