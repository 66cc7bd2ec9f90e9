// Groups > lines, up to 64 side by side > planes > their elements, three times: the largest, the sum, the shares.
#include "kernels/softmax/softmax.h"

#include "kernels/lanes_of.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

constexpr int64_t side_by_side = 64;

void in_one_piece(const Softmax& s, const int32_t* from, const int32_t* to, int64_t at) {
    const int64_t count = s.spans.count, length = s.spans.length;
    float most = -__builtin_inff();
    for (int64_t k = 0; k < count; ++k) {
        const float* x = s.in.base + from[k] + at;
        for (int64_t r = 0; r < length; ++r) most = most < x[r] ? x[r] : most;
    }
    double sum = 0;
    for (int64_t k = 0; k < count; ++k) {
        float* out = s.out.base + to[k] + at;
        const float* in = s.in.base + from[k] + at;
        float powers[side_by_side];
        for (int64_t first = 0; first < length; first += side_by_side) {
            const int64_t some = length - first < side_by_side ? length - first : side_by_side;
            map(powers, in + first, some, [&](auto x) { return exponential(x - most); });
            for (int64_t r = 0; r < some; ++r) sum += powers[r];
            if (s.logarithm) continue;
            for (int64_t r = 0; r < some; ++r) out[first + r] = powers[r];
        }
    }
    const float less = s.logarithm ? logarithm(static_cast<float>(sum)) : 0, all = static_cast<float>(sum);
    for (int64_t k = 0; k < count; ++k) {
        float* out = s.out.base + to[k] + at;
        const float* in = s.in.base + from[k] + at;
        if (s.logarithm)
            for (int64_t r = 0; r < length; ++r) out[r] = in[r] - most - less;
        else
            for (int64_t r = 0; r < length; ++r) out[r] /= all;
    }
}

// task(in, out) of each row of the lines.
template <class Task>
[[gnu::always_inline]] inline void each_row(const Softmax& s, const int32_t* from, const int32_t* to, int64_t at, Task task) {
    for (int64_t k = 0; k < s.spans.count; ++k)
        for (int64_t r = 0; r < s.spans.length; ++r)
            task(s.in.base + from[k] + at + r * s.spans.inner, s.out.base + to[k] + at + r * s.spans.inner);
}

void beside_each_other(const Softmax& s, const int32_t* from, const int32_t* to, int64_t at, int64_t lines) {
    float most[side_by_side], sum[side_by_side];
    for (int64_t i = 0; i < lines; ++i) most[i] = -__builtin_inff(), sum[i] = 0;
    each_row(s, from, to, at, [&](const float* in, float*) {
        for (int64_t i = 0; i < lines; ++i) most[i] = most[i] < in[i] ? in[i] : most[i];
    });
    each_row(s, from, to, at, [&](const float* in, float* out) {
        float powers[side_by_side];
        for (int64_t i = 0; i < lines; ++i) powers[i] = in[i] - most[i];
        map(powers, powers, lines, [](auto x) { return exponential(x); });
        for (int64_t i = 0; i < lines; ++i) sum[i] += powers[i];
        if (s.logarithm) return;
        for (int64_t i = 0; i < lines; ++i) out[i] = powers[i];
    });
    if (s.logarithm) map(sum, sum, lines, [](auto x) { return logarithm(x); });
    each_row(s, from, to, at, [&](const float* in, float* out) {
        if (s.logarithm)
            for (int64_t i = 0; i < lines; ++i) out[i] = in[i] - most[i] - sum[i];
        else
            for (int64_t i = 0; i < lines; ++i) out[i] /= sum[i];
    });
}

}  // namespace

void softmax(const Softmax& s, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line) {
    for (int32_t group = first_group; group < last_group; ++group) {
        const int32_t *from = s.in.offsets + int64_t{group} * s.spans.count, *to = s.out.offsets + int64_t{group} * s.spans.count;
        if (s.spans.inner == 1)
            s.spans.each(first_line, last_line, 1, [&](int64_t at, int64_t, int64_t) { in_one_piece(s, from, to, at); });
        else
            s.spans.each(first_line, last_line, side_by_side,
                         [&](int64_t at, int64_t lines, int64_t) { beside_each_other(s, from, to, at, lines); });
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
