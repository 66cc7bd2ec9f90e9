// Contract of the gather: the one kernel that only moves data. It hands out the network's outputs, brings the input in where its first
// reader cannot take it as it lies, and writes out what is no list of planes: regions, transposes, interleaved planes, windows.
// In and out planes may be tight.
//
// The output's elements, plane after plane, are counted by digits i_0 ... i_(rank - 1), the last the fastest, of the bases sizes:
//
//   out[e / pixels][e % pixels] = in[sum_d steps[d] * i_d][first + sum_d strides[d] * i_d],   e = the number with these digits
//
// for all digits; a row, the last digit's elements, lies in one plane. Of each in plane the elements that these sums reach are read, from
// the plane's start to the last of them, and nothing else. A call works on rows [first_row, last_row).
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

inline constexpr int gather_digits = 8;

struct Gather {
    Planes in;
    MutablePlanes out;
    int32_t planes, channels, pixels;  // planes that are read; planes that are written, and their size
    int32_t rank, first;
    int32_t sizes[gather_digits], steps[gather_digits], strides[gather_digits];

    using Function = void(const Gather&, int64_t first_row, int64_t last_row);

    constexpr int32_t columns() const { return sizes[rank - 1]; }
    constexpr int64_t rows() const { return int64_t{channels} * pixels / columns(); }

    template <class Step>
    void read(Step& step) {
        step.count("planes", planes), step.count("channels", channels), step.pixels("pixels", pixels);
        const int64_t elements = step.product("pixels", channels, pixels);
        rank = step.wholes("sizes", sizes, 1, elements);
        step.require(step.wholes("steps", steps, 0, planes) == rank, "steps", "as many as sizes");
        step.require(step.wholes("strides", strides, -elements_most, elements_most) == rank, "strides", "as many as sizes");
        step.whole("first", first, 0, elements_most);
        int64_t count = 1, plane = 0, least = first, most = first;
        for (int32_t d = 0; d < rank; ++d) {
            count = step.product("sizes", count, sizes[d]);
            plane += int64_t{steps[d]} * (sizes[d] - 1);
            (strides[d] < 0 ? least : most) += int64_t{strides[d]} * (sizes[d] - 1);
        }
        step.require(count == elements && pixels % columns() == 0, "sizes", "those of all elements, the last a part of a plane");
        step.require(plane < planes, "steps", "small enough for planes");
        step.require(least >= 0 && most < elements_most, "strides", "those of elements in a plane");
        step.written(out, channels, pixels, Reach::pixels);
        step.read("in", in, planes, most + 1, Overlap::never, Reach::pixels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const {
        const int64_t count = rows(), first_row = count * part / parts, last_row = count * (part + 1) / parts;
        if (first_row < last_row) kernel(*this, first_row, last_row);
    }

  private:
    static constexpr int64_t elements_most = 1 << 30;
};

}  // namespace shufflekit
