// Contract of the binary kernel: arithmetic of two tensors, each spread over the other along channels, rows or columns.
//
//   out[c][z, y, x] = act(a[c][a_at(z, y, x)] op b[c][b_at(z, y, x)]),  a_at(z, y, x) = z * a_step_z + y * a_step_y + x * a_step_x
//
// with out pixels in order, and b_at likewise. Minima and maxima of a NaN are NaN; power is a^b. Comparisons give 1 or 0; keep
// is b where a is not 0, and drop where it is, else 0. Input planes may be tight.
// Aliasing: an out plane may be the a or b plane of the same channel where that has as many pixels, and no other.
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/activation.h"
#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

// A plan has the words.
enum class Operation : int32_t { add = 0, subtract, multiply, divide, minimum, maximum, power, equal, less, at_most, keep, drop };
inline constexpr const char* operation_words[] = {"add", "subtract", "multiply", "divide", "minimum", "maximum",
                                                   "power", "equal", "less", "at_most", "keep", "drop"};
inline constexpr int32_t operations = sizeof(operation_words) / sizeof(*operation_words);

// One operand: pixels of a plane, and where in it an out pixel's is.
struct Spread {
    int32_t pixels, step_z, step_y, step_x;
};

struct Binary {
    Planes a, b;
    MutablePlanes out;
    Operation operation;
    int32_t channels, depth, height, width;
    Spread of_a, of_b;
    Epilogue epilogue;

    using Function = void(const Binary&, int32_t first_channel, int32_t last_channel);

    constexpr int64_t pixels() const { return int64_t{depth} * height * width; }

    // All but the planes.
    template <class Step>
    void read_sizes(Step& step) {
        step.count("channels", channels);
        step.pixels("depth", depth), step.pixels("height", height), step.pixels("width", width);
        step.product("depth", step.product("height", height, width), depth);
        step.word("operation", operation, operation_words);
        step.pixels("a_pixels", of_a.pixels), step.pixels("b_pixels", of_b.pixels);
        const auto most = [](const Spread& s) { return s.pixels - 1; };
        step.whole("a_step_z", of_a.step_z, 0, most(of_a)), step.whole("a_step_y", of_a.step_y, 0, most(of_a));
        step.whole("a_step_x", of_a.step_x, 0, most(of_a));
        step.whole("b_step_z", of_b.step_z, 0, most(of_b)), step.whole("b_step_y", of_b.step_y, 0, most(of_b));
        step.whole("b_step_x", of_b.step_x, 0, most(of_b));
        step.require(stays_inside(of_a), "a_pixels", "more than the last that is read");
        step.require(stays_inside(of_b), "b_pixels", "more than the last that is read");
        step.epilogue(epilogue, channels);
    }
    template <class Step>
    void read(Step& step) {
        read_sizes(step);
        step.written(out, channels, pixels());
        step.read("a", a, channels, of_a.pixels, overlap(of_a), Reach::pixels);
        step.read("b", b, channels, of_b.pixels, overlap(of_b), Reach::pixels);
    }
    void at(const void* from, void* to, const void*) { a.at(from), b.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(channels, 1, part, parts), kernel, *this); }

    // A plane that is read in the order in which it is written over.
    constexpr Overlap overlap(const Spread& s) const {
        const bool is_in_order = (width == 1 || s.step_x == 1) && (height == 1 || s.step_y == width) &&
                                 (depth == 1 || s.step_z == int64_t{height} * width);
        return s.pixels == pixels() && is_in_order ? Overlap::same_channel : Overlap::never;
    }

  private:
    constexpr bool stays_inside(const Spread& s) const {
        return int64_t{depth - 1} * s.step_z + int64_t{height - 1} * s.step_y + int64_t{width - 1} * s.step_x < s.pixels;
    }
};

}  // namespace shufflekit
