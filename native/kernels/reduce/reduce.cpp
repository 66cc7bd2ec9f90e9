// Groups > lines, up to 64 side by side > planes > their elements. Lines that lie in one piece are folded by sixteen sums.
#include "kernels/reduce/reduce.h"

#include "kernels/epilogue.h"
#include "kernels/lanes_of.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

constexpr int64_t side_by_side = 64, rows_a_sum = 64;  // sums of sums: a long one loses digits

template <Reduction R>
constexpr float start = R == Reduction::maximum ? -__builtin_inff() : R == Reduction::minimum ? __builtin_inff() : R == Reduction::product ? 1.0f : 0.0f;

template <Reduction R>
[[gnu::always_inline]] inline float added(float sum, float x) {
    if constexpr (R == Reduction::sum_of_sizes) return sum + absolute(x);
    if constexpr (R == Reduction::sum_of_squares) return sum + x * x;
    if constexpr (R == Reduction::maximum) return sum < x || x != x ? x : sum;
    if constexpr (R == Reduction::minimum) return x < sum || x != x ? x : sum;
    if constexpr (R == Reduction::product) return sum * x;
    return sum + x;
}

// Of two that were folded.
template <Reduction R, class T>
[[gnu::always_inline]] inline T joined(T sum, float other) {
    if constexpr (R == Reduction::maximum) return sum < other || other != other ? T{other} : sum;
    if constexpr (R == Reduction::minimum) return other < sum || other != other ? T{other} : sum;
    if constexpr (R == Reduction::product) return sum * other;
    return sum + other;
}

template <Reduction R>
float in_one_piece(const Reduce& r, const int32_t* planes, int64_t at) {
    double total = start<R>;
    for (int64_t k = 0; k < r.spans.count; ++k) {
        const float* x = r.in.base + planes[k] + at;
        if (r.spans.length == 1)
            total = joined<R>(total, added<R>(start<R>, *x));
        else
            total = folded(x, r.spans.length, total, start<R>, added<R>, [](double sum, float other) { return joined<R>(sum, other); });
    }
    return static_cast<float>(total * r.scale);
}

template <Reduction R>
void beside_each_other(const Reduce& r, const int32_t* planes, int64_t at, int64_t lines, float* out) {
    float total[side_by_side], sum[side_by_side];
    for (int64_t i = 0; i < lines; ++i) total[i] = sum[i] = start<R>;
    int64_t rows = 0;
    const auto close = [&] {
        for (int64_t i = 0; i < lines; ++i) total[i] = joined<R>(total[i], sum[i]), sum[i] = start<R>;
        rows = 0;
    };
    for (int64_t k = 0; k < r.spans.count; ++k) {
        const float* x = r.in.base + planes[k] + at;
        for (int64_t row = 0; row < r.spans.length; ++row, x += r.spans.inner) {
            for (int64_t i = 0; i < lines; ++i) sum[i] = added<R>(sum[i], x[i]);
            if (++rows == rows_a_sum) close();
        }
    }
    close();
    for (int64_t i = 0; i < lines; ++i) out[i] = total[i] * r.scale;
}

template <Reduction R>
void groups(const Reduce& r, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line) {
    for (int32_t group = first_group; group < last_group; ++group) {
        const int32_t* planes = r.in.offsets + int64_t{group} * r.spans.count;
        float* out = r.out[group];
        if (r.spans.inner == 1)
            r.spans.each(first_line, last_line, 1, [&](int64_t at, int64_t, int64_t line) { out[line] = in_one_piece<R>(r, planes, at); });
        else
            r.spans.each(first_line, last_line, side_by_side,
                         [&](int64_t at, int64_t lines, int64_t line) { beside_each_other<R>(r, planes, at, lines, out + line); });
        activate_stretch(out + first_line, last_line - first_line, r.epilogue);
    }
}

}  // namespace

void reduce(const Reduce& r, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line) {
#define SHUFFLEKIT_CASE(name) \
    case Reduction::name: return groups<Reduction::name>(r, first_group, last_group, first_line, last_line);
    switch (r.reduction) {
        SHUFFLEKIT_CASE(sum) SHUFFLEKIT_CASE(sum_of_sizes) SHUFFLEKIT_CASE(sum_of_squares) SHUFFLEKIT_CASE(maximum) SHUFFLEKIT_CASE(minimum)
        SHUFFLEKIT_CASE(product)
    }
#undef SHUFFLEKIT_CASE
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
