// Groups > lines, up to 64 side by side > planes > their elements, three times: mean, variance, result. The second is a pass of its
// own, since a mean of squares less the square of the mean has few right digits where the mean is large.
#include "kernels/normalize/normalize.h"

#include "kernels/epilogue.h"
#include "kernels/lanes_of.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

constexpr int64_t side_by_side = 64, rows_a_sum = 64;  // sums of sums: a long one loses digits

const float* of_plane(const Normalize& n, const float* values, int64_t plane) { return values + plane % n.scale_planes * n.scale_length; }

void in_one_piece(const Normalize& n, int64_t group, int64_t at) {
    const Spans& s = n.spans;
    const int64_t first = group * s.count;
    const auto sum_of = [&](auto add) {
        double total = 0;
        for (int64_t k = 0; k < s.count; ++k)
            total = folded(n.in[first + k] + at, s.length, total, 0.0f, add, [](double sum, float other) { return sum + other; });
        return total / static_cast<double>(s.elements());
    };
    const auto mean = n.centred ? static_cast<float>(sum_of([](float sum, float x) { return sum + x; })) : 0.0f;
    const double variance = sum_of([mean](float sum, float x) { return sum + (x - mean) * (x - mean); });
    const float factor = 1.0f / __builtin_sqrtf(static_cast<float>(variance + n.eps));
    for (int64_t k = 0; k < s.count; ++k) {
        const float *in = n.in[first + k] + at, *scale = of_plane(n, n.scale, first + k), *shift = of_plane(n, n.shift, first + k);
        float* out = n.out[first + k] + at;
        if (n.scale_length == 1) {
            const float by = factor * *scale, more = *shift;
            for (int64_t r = 0; r < s.length; ++r) out[r] = (in[r] - mean) * by + more;
        } else
            for (int64_t r = 0; r < s.length; ++r) out[r] = (in[r] - mean) * factor * scale[r] + shift[r];
        activate_stretch(out, s.length, n.epilogue);
    }
}

// The mean of task(x, line) over each of some lines.
template <class Task>
[[gnu::always_inline]] inline void means(const Normalize& n, int64_t first, int64_t at, int64_t lines, float* mean, Task task) {
    const Spans& s = n.spans;
    float sum[side_by_side];
    for (int64_t i = 0; i < lines; ++i) mean[i] = sum[i] = 0;
    int64_t rows = 0;
    const auto close = [&] {
        for (int64_t i = 0; i < lines; ++i) mean[i] += sum[i], sum[i] = 0;
        rows = 0;
    };
    for (int64_t k = 0; k < s.count; ++k) {
        const float* x = n.in[first + k] + at;
        for (int64_t r = 0; r < s.length; ++r, x += s.inner) {
            for (int64_t i = 0; i < lines; ++i) sum[i] += task(x[i], i);
            if (++rows == rows_a_sum) close();
        }
    }
    close();
    for (int64_t i = 0; i < lines; ++i) mean[i] /= static_cast<float>(s.elements());
}

void beside_each_other(const Normalize& n, int64_t group, int64_t at, int64_t lines) {
    const Spans& s = n.spans;
    const int64_t first = group * s.count;
    float mean[side_by_side] = {}, factor[side_by_side];
    if (n.centred) means(n, first, at, lines, mean, [](float x, int64_t) { return x; });
    means(n, first, at, lines, factor, [&](float x, int64_t i) { return (x - mean[i]) * (x - mean[i]); });
    for (int64_t i = 0; i < lines; ++i) factor[i] = 1.0f / __builtin_sqrtf(factor[i] + n.eps);
    for (int64_t k = 0; k < s.count; ++k) {
        const float *scale = of_plane(n, n.scale, first + k), *shift = of_plane(n, n.shift, first + k);
        for (int64_t r = 0; r < s.length; ++r) {
            const float* in = n.in[first + k] + at + r * s.inner;
            float* out = n.out[first + k] + at + r * s.inner;
            const float by = scale[n.scale_length == 1 ? 0 : r], more = shift[n.scale_length == 1 ? 0 : r];
            for (int64_t i = 0; i < lines; ++i) out[i] = (in[i] - mean[i]) * factor[i] * by + more;
            activate_stretch(out, lines, n.epilogue);
        }
    }
}

}  // namespace

void normalize(const Normalize& n, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line) {
    for (int32_t group = first_group; group < last_group; ++group) {
        if (n.spans.inner == 1)
            n.spans.each(first_line, last_line, 1, [&](int64_t at, int64_t, int64_t) { in_one_piece(n, group, at); });
        else
            n.spans.each(first_line, last_line, side_by_side, [&](int64_t at, int64_t lines, int64_t) { beside_each_other(n, group, at, lines); });
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
