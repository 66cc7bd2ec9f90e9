// What the cases of all kernels share: how they are counted, sizes around the edges of all tiles, and planes in memory that shows what
// else was touched.
#pragma once

#include <cmath>
#include <cstdio>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "kernels/activation.h"
#include "kernels/plane.h"
#include "kernels/step.h"
#include "tests/memory_under_test.h"

namespace shufflekit::testing {

// Of one kernel of one instruction set. A case is told its number and its choices, and returns what is wrong or "".
class Report {
  public:
    Report(std::string_view isa, const char* kernel) : isa_(isa), kernel_(kernel) {}
    ~Report() {
        std::printf("%-7s %-16s %6d cases, %d failed\n", isa_.c_str(), kernel_, cases_, failed_);
        all_cases += cases_, all_failed += failed_;
    }

    template <class Case>
    void run(const Case& test) {
        Random random(static_cast<uint32_t>(++cases_));
        std::string about;
        const std::string problem = test(random, about);
        if (!problem.empty() && ++failed_ <= 5)
            std::printf("%s %s, case %d, %s: %s\n", isa_.c_str(), kernel_, cases_, about.c_str(), problem.c_str());
    }

    static inline int all_cases = 0, all_failed = 0;

  private:
    const std::string isa_;
    const char* kernel_;
    int cases_ = 0, failed_ = 0;
};

inline std::string text(const char* format, auto... values) {
    char buffer[240];
    std::snprintf(buffer, sizeof(buffer), format, values...);
    return buffer;
}

// Around multiples of 4, 8, 16, their threes, and what fills a plane's cache lines.
constexpr int32_t pixel_edges[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  11, 12, 13, 15, 16, 17, 19, 20, 21, 23, 24,  25,  27,  28,
                                   29, 31, 32, 33, 35, 36, 37, 40, 44, 45, 47, 48, 49, 51, 52, 53, 63, 64, 65, 80,  95,  96,  97,
                                   99, 100, 101, 112, 113, 127, 128, 129, 143, 144, 145, 196, 511, 512, 513};
constexpr int32_t side_edges[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 18, 19, 31, 32, 33, 34, 35, 47, 48, 49, 63, 64, 65, 66, 67};

// Those before this one nowhere jump, nor are they steep: sums that differ in the last digit come out alike.
constexpr auto smooth_activations = static_cast<int32_t>(Activation::threshold);

// For as many channels as cases have.
inline const float* any_slopes(Random& random) {
    static float slopes[1024];
    for (float& slope : slopes) slope = random.number();
    return slopes;
}

inline Epilogue epilogue_of(Activation activation, Random& random) {
    const float number = random.number(), size = std::fabs(number);
    switch (activation) {
        case Activation::clamp: return {activation, -size, size};
        case Activation::elu: return {activation, number, 1 + size};
        case Activation::selu: return {activation, 1.7580993f, 1.050701f};
        case Activation::softplus: return {activation, 1 + size, 20};
        case Activation::prelu: return {activation, number, 0, any_slopes(random)};
        default: return {activation, number, 0};
    }
}
inline Epilogue any_epilogue(Random& random) {
    const int32_t number = random.below(smooth_activations + 1);
    return epilogue_of(number == smooth_activations ? Activation::prelu : static_cast<Activation>(number), random);
}

// Float32 sums of `count` products of numbers up to 1, and the activations' own error.
inline double tolerance(int64_t count) { return 1e-6 * (4 + 0.25 * static_cast<double>(count)); }

// All of [0, count), or a part whose borders are multiples of `unit`.
inline Range any_share(Random& random, int32_t count, int32_t unit) {
    if (!random.once_in(3)) return {0, count};
    const int32_t units = (count + unit - 1) / unit, first = random.below(units), last = random.between(first + 1, units);
    return {first * unit, std::min(count, last * unit)};
}

inline Guarded<float> numbers(Random& random, int64_t count) {
    Guarded<float> result(static_cast<size_t>(count), random.once_in(2));
    for (int64_t i = 0; i < count; ++i) result[i] = random.number();
    return result;
}

// Offsets that end where their memory does, or this many entries before it, whose values mean nothing.
inline Guarded<int32_t> table(const std::vector<int32_t>& offsets, int32_t behind = 0) {
    Guarded<int32_t> result(offsets.size() + behind, true);
    std::fill(std::copy(offsets.begin(), offsets.end(), result.data()), result.data() + result.size(), INT32_MIN);
    return result;
}

// Some inputs read a plane twice.
inline void repeat_some(Random& random, Tensor& in) {
    for (int32_t& offset : in.offsets)
        if (random.once_in(10)) offset = in.offsets[random.below(static_cast<int32_t>(in.offsets.size()))];
}

enum class Residual { none, elsewhere, in_place };
constexpr Residual residuals[] = {Residual::none, Residual::elsewhere, Residual::in_place};
constexpr const char* residual_words[] = {"no residual", "residual elsewhere", "residual in place"};

// Runs the kernel on the arena, its twin on a copy, and compares all of it. `point_at(bases)` sets the planes that lie in the arena.
template <class Arguments, class Kernel, class Twin>
std::string compare(Arena& arena, Arguments arguments, const Tensor& out, double tolerance, const std::function<void(Arguments&, float*)>& point_at,
                    Kernel kernel, Twin twin) {
    auto copy = arena.copy();
    Arguments on_copy = arguments;
    point_at(arguments, arena.base());
    point_at(on_copy, arena.base_of(copy));
    kernel(arguments);
    twin(on_copy);
    return arena.difference(copy, out, tolerance);
}

// A window with an output of at most 70 pixels a side. Padding on the right and below may be more or less than on the left and above.
inline Window any_window(Random& random, int32_t in_height, int32_t in_width, bool common) {
    Window w{};
    w.in_height = in_height, w.in_width = in_width;
    if (common) {
        w.kernel_y = w.kernel_x = 3, w.dilation_y = w.dilation_x = 1;
        w.stride_y = w.stride_x = random.between(1, 2);
        w.pad_y = random.below(2), w.pad_x = random.once_in(4) ? random.below(2) : w.pad_y;
    } else {
        w.kernel_y = random.between(1, 7), w.kernel_x = random.once_in(2) ? w.kernel_y : random.between(1, 7);
        w.stride_y = random.between(1, 4), w.stride_x = random.once_in(2) ? w.stride_y : random.between(1, 4);
        w.dilation_y = random.of({1, 1, 1, 2, 3}), w.dilation_x = random.of({1, 1, 1, 2, 3});
        w.pad_y = random.below(w.kernel_y * w.dilation_y + 1), w.pad_x = random.below(w.kernel_x * w.dilation_x + 1);
    }
    const auto out = [&](int32_t in, int32_t kernel, int32_t stride, int32_t pad, int32_t dilation) {
        const int32_t right = random.once_in(4) ? random.below(kernel + 1) : pad, room = in + pad + right - (kernel - 1) * dilation - 1;
        return room < 0 ? 1 : std::min(room / stride + 1, 70);
    };
    w.out_height = out(in_height, w.kernel_y, w.stride_y, w.pad_y, w.dilation_y);
    w.out_width = out(in_width, w.kernel_x, w.stride_x, w.pad_x, w.dilation_x);
    return w;
}

inline std::string text(const Window& w) {
    return text("%dx%d -> %dx%d, kernel %dx%d, stride %dx%d, pad %dx%d, dilation %dx%d", w.in_height, w.in_width, w.out_height, w.out_width, w.kernel_y,
                w.kernel_x, w.stride_y, w.stride_x, w.pad_y, w.pad_x, w.dilation_y, w.dilation_x);
}

// Of a window, in pixels of a plane.
inline double work(const Window& w) {
    const double taps = double(w.kernel_y) * w.kernel_x, in = double(w.in_height) * w.in_width, out = double(w.out_height) * w.out_width;
    return taps * (in + out * w.dilation_y) + out * w.stride_y * w.stride_x;
}

}  // namespace shufflekit::testing
