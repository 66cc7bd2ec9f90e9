// Contract of maps sampled at computed places. Input planes may be tight.
//
// `grid`, one plane of (pixels, 2), has for each pixel of the output x and y from -1 to 1: with `corners` these are the middles of the
// first and the last pixel of a side, else their outer borders. Pixels of the input around that place are weighted:
//
//   nearest      the nearest one, the even one of two
//   linear       four, by their distance on each side
//   cubic        sixteen, by Keys' kernel with a = -0.75
//
// What lies outside of the input is 0 (zeros), the nearest pixel (border), or mirrored at the outer pixels' middles, or without
// `corners` at their borders (reflection): the place itself, of nearest and linear, and each of the sixteen pixels of cubic.
// A place that is no number is outside by zeros, and else the first pixel; none is taken for further away than 2^23 pixels.
//
// Aliasing: none. A call works on pixels [first_pixel, last_pixel) of all channels.
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

// A plan has the words.
enum class Sampling : int32_t { nearest = 0, linear, cubic };
inline constexpr const char* sampling_words[] = {"nearest", "linear", "cubic"};
enum class Outside : int32_t { zeros = 0, border, reflection };
inline constexpr const char* outside_words[] = {"zeros", "border", "reflection"};

struct GridSample {
    Planes in, grid;
    MutablePlanes out;
    int32_t channels, in_height, in_width, pixels;
    Sampling mode;
    Outside outside;
    bool corners;

    using Function = void(const GridSample&, int32_t first_pixel, int32_t last_pixel);

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels), step.side("in_height", in_height), step.side("in_width", in_width), step.pixels("pixels", pixels);
        step.word("mode", mode, sampling_words), step.word("outside", outside, outside_words), step.truth("corners", corners);
        step.written(out, channels, pixels, Reach::pixels);
        step.read("in", in, channels, step.product("in_width", in_height, in_width), Overlap::never, Reach::pixels);
        step.read("grid", grid, 1, step.product("pixels", 2, pixels), Overlap::never, Reach::pixels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), grid.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(pixels, 16, part, parts), kernel, *this); }
};

}  // namespace shufflekit
