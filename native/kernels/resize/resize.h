// Contract of resizing, with the coordinates of torch.nn.functional.interpolate. scale_y and scale_x are input steps for one
// output step (in / out, or 1 / scale_factor where the caller gave one; (in - 1) / (out - 1) for bilinear_corners).
//
//   nearest:           out[c][y, x] = in[c][min(floor(y * scale_y), in_height - 1), likewise]
//   bilinear:          at max((y + 0.5) * scale_y - 0.5, 0), likewise, between the four pixels around it
//   bilinear_corners:  at y * scale_y, likewise
//
// Whatever the scales say, a size that stays as it is keeps each pixel, its neighbours unread (0 times a NaN would be one), and
// nearest to the double repeats each; nearest to more than 128 rows and columns together goes by its scales all the same, where PyTorch
// takes its other way (aten/src/ATen/native/cpu/UpSampleKernel.cpp, _use_vectorized_kernel_cond_2d). Coordinates are float32, rounded
// once. scratch: scratch() floats of the calling thread, on a 64-byte border. A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

// A plan has the words.
enum class Resizing : int32_t { nearest = 0, bilinear = 1, bilinear_corners = 2 };
inline constexpr const char* resizing_words[] = {"nearest", "bilinear", "bilinear_corners"};
inline constexpr int32_t resizings = sizeof(resizing_words) / sizeof(*resizing_words);

struct Resize {
    Planes in;
    MutablePlanes out;
    int32_t channels;
    int32_t in_height, in_width, out_height, out_width;
    Resizing resizing;
    float scale_y, scale_x;

    using Function = void(const Resize&, float* scratch, int32_t first_channel, int32_t last_channel);

    // Of a row of output, whole vectors.
    constexpr int64_t columns() const { return (int64_t{out_width} + plane_alignment - 1) / plane_alignment * plane_alignment; }
    // Floats: two columns and a share for each column of output, and two rows that are resized to its width.
    constexpr int64_t scratch() const { return 5 * columns(); }

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels);
        step.side("in_height", in_height), step.side("in_width", in_width), step.side("out_height", out_height), step.side("out_width", out_width);
        step.word("resizing", resizing, resizing_words);
        step.real("scale_y", scale_y), step.real("scale_x", scale_x);
        step.require(scale_y >= 0 && scale_x >= 0, "scale_y and scale_x", "0 or more");
        step.written(out, channels, step.product("out_height", out_height, out_width));
        step.read("in", in, channels, int64_t{in_height} * in_width, Overlap::never, Reach::pixels);
        step.scratch(scratch());
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void* scratch, int part, int parts) const {
        run_share(share(channels, 1, part, parts), kernel, *this, static_cast<float*>(scratch));
    }
};

constexpr bool repeats_whole(const Resize& r) { return r.resizing != Resizing::nearest || r.out_height + r.out_width <= 128; }

}  // namespace shufflekit
