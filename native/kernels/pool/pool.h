// Contract of pooling. Input planes may be tight, if so said.
//
//   maximum:  out[c][y, x] = act(max of the window's pixels that lie in the input)
//   average:  out[c][y, x] = act(sum of those / count), count their number, or with count_padding the number of window positions
//             inside the input widened by pad_y rows above, behind_y below, pad_x columns on the left and behind_x on the right
//   adaptive: average over rows floor(y * in_height / out_height) to ceil((y + 1) * in_height / out_height), columns likewise;
//             the window's kernel, stride, pad and dilation are not read (global average: out_height = out_width = 1)
//   adaptive_maximum: likewise, the largest
//
// Each window must hold at least one pixel of the input. The maximum of pixels with a NaN among them is a NaN.
// A call works on channels [first_channel, last_channel).
#pragma once

#include "kernels/activation.h"
#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

// A plan has the words.
enum class Pooling : int32_t { maximum = 0, average = 1, adaptive_average = 2, adaptive_maximum = 3 };
inline constexpr const char* pooling_words[] = {"maximum", "average", "adaptive_average", "adaptive_maximum"};
inline constexpr int32_t poolings = sizeof(pooling_words) / sizeof(*pooling_words);

inline constexpr int64_t most_padding = 1 << 16;

struct Pool {
    Planes in;
    MutablePlanes out;
    int32_t channels;
    Window window;
    Pooling pooling;
    bool count_padding;
    int32_t behind_y, behind_x;  // padding below and on the right that counts; further on nothing does
    bool tight_input;
    Epilogue epilogue;

    using Function = void(const Pool&, int32_t first_channel, int32_t last_channel);

    constexpr bool slides() const { return pooling == Pooling::maximum || pooling == Pooling::average; }

    template <class Step>
    void read(Step& step) {
        step.count("channels", channels);
        step.window("window", window);
        step.word("pooling", pooling, pooling_words);
        step.require(!slides() || sees_input(window), "window", "one that sees a pixel of the input everywhere");
        step.written(out, channels, step.product("window", window.out_height, window.out_width));
        step.read("in", in, channels, int64_t{window.in_height} * window.in_width, Overlap::never, Reach::pixels);
        step.truth("count_padding", count_padding);
        step.whole("behind_y", behind_y, 0, most_padding), step.whole("behind_x", behind_x, 0, most_padding);
        tight_input = step.reads_input();
        step.epilogue(epilogue, channels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(channels, 1, part, parts), kernel, *this); }
};

}  // namespace shufflekit
