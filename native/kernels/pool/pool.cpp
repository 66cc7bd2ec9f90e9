// 3x3 windows: channels > what window_3x3.h says; maxima after a look for NaNs (maximum.h), averages at the border again by what
// they count.
// Averages of 2x2 side by side: channels > output rows > vectors of columns.
// Other windows of one size: channels > output rows > vectors of the window's rows joined, in a row with its border > vectors of output
// columns > the window's columns. All others: channels > output rows > output columns > the window's pixels inside the input.
#include "kernels/pool/pool.h"

#include "kernels/epilogue.h"
#include "kernels/maximum.h"
#include "kernels/window_3x3.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

struct Range {
    int64_t first, last, step, counted;  // [first, last) inside the input, and positions that an average counts
};

Range sliding(int64_t at, int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation, int64_t behind) {
    const int64_t begin = at * stride - pad, end = begin + (kernel - 1) * dilation + 1;
    int64_t first = begin;
    if (first < 0) first += (-first + dilation - 1) / dilation * dilation;
    const int64_t widened = end < size + behind ? end : size + behind;
    return {first, end < size ? end : size, dilation, widened - begin};
}

Range adaptive(int64_t at, int64_t size, int64_t out) { return {at * size / out, ((at + 1) * size + out - 1) / out, 1, 0}; }

int64_t counted(const Range& range, bool count_padding) { return count_padding ? range.counted : range.last - range.first; }

float pooled(const float* plane, int64_t width, const Range& rows, const Range& columns, bool maximum) {
    float result = maximum ? -__builtin_inff() : 0.0f;
    for (int64_t y = rows.first; y < rows.last; y += rows.step)
        for (int64_t x = columns.first; x < columns.last; x += columns.step) {
            const float pixel = plane[y * width + x];
            result = maximum ? (result < pixel || pixel != pixel ? pixel : result) : result + pixel;
        }
    if (maximum) return result;
    return result / static_cast<float>(counted(rows, false) * counted(columns, false));
}

template <Operand O>
struct Maximum3x3 {
    static constexpr float fill = -__builtin_inff();
    vector begin(const Operands& x) const { return larger<O>(larger<O>(x.left, x.middle), x.right); }
    vector add(vector most, const Operands& x) const { return larger<O>(most, begin(x)); }
    vector end(vector most, const Operands& x) const { return add(most, x); }
    vector finish(vector most) const { return most; }
};

struct Average3x3 {
    static constexpr float fill = 0;
    vector begin(const Operands& x) const { return x.left + x.middle + x.right; }
    vector add(vector sum, const Operands& x) const { return sum + begin(x); }
    vector end(vector sum, const Operands& x) const { return add(sum, x); }
    vector finish(vector sum) const { return sum * (1.0f / 9); }
};

// Whether all nine positions of every window are counted.
bool averages_nine(const Pool& p) {
    const Window& w = p.window;
    const int32_t behind_y = p.count_padding ? p.behind_y : 0, behind_x = p.count_padding ? p.behind_x : 0;
    return (p.count_padding || w.pad_y + w.pad_x == 0) && (w.out_height - 1) * w.stride_y - w.pad_y + 2 < w.in_height + behind_y &&
           (w.out_width - 1) * w.stride_x - w.pad_x + 2 < w.in_width + behind_x;
}

// Averages were taken of nine: those at the border count fewer.
void correct_border(const Pool& p, float* out) {
    const Window& w = p.window;
    for (int64_t y = 0; y < w.out_height; ++y) {
        const int64_t rows = counted(sliding(y, w.in_height, 3, w.stride_y, w.pad_y, 1, p.behind_y), p.count_padding);
        if (rows == 3) continue;
        for (int64_t x = 0; x < w.out_width; ++x) out[y * w.out_width + x] *= 3.0f / static_cast<float>(rows);
    }
    for (int64_t x = 0; x < w.out_width; ++x) {
        const int64_t columns = counted(sliding(x, w.in_width, 3, w.stride_x, w.pad_x, 1, p.behind_x), p.count_padding);
        if (columns == 3) continue;
        for (int64_t y = 0; y < w.out_height; ++y) out[y * w.out_width + x] *= 3.0f / static_cast<float>(columns);
    }
}

// The row of joined rows with `fill` around it. What is joined: maxima, or sums.
template <class Join>
void slide_any(const Pool& p, const Window& w, const float* plane, float* row, const float* counts, float* out, Join join) {
    const int64_t width = w.in_width;
    float* const inside = row + w.pad_x;
    // Of a tap's column, the pixels that neighbouring outputs see.
    const auto taken = [&](const float* from) __attribute__((always_inline)) -> vector {
        if (w.stride_x == 1) return load(from);
        if (w.stride_x == 2) return even_lanes(load(from), load(from + vector_lanes));
        float lanes[vector_lanes];
        for (int i = 0; i < vector_lanes; ++i) lanes[i] = from[i * int64_t{w.stride_x}];
        return load(lanes);
    };
    for (int64_t y = 0; y < w.out_height; ++y, out += w.out_width) {
        const Range rows = sliding(y, w.in_height, w.kernel_y, w.stride_y, w.pad_y, w.dilation_y, p.behind_y);
        for (int64_t x = 0; x < width; x += vector_lanes) {
            vector all = load_lanes(plane + rows.first * width + x, 0, width - x);
            for (int64_t i = rows.first + rows.step; i < rows.last; i += rows.step) all = join(all, load_lanes(plane + i * width + x, 0, width - x));
            store_lanes(inside + x, all, width - x);
        }
        const float of_row = static_cast<float>(counted(rows, !p.slides() || p.count_padding));
        for (int64_t x = 0; x < w.out_width; x += vector_lanes) {
            vector all = taken(row + x * w.stride_x);
            for (int64_t j = 1; j < w.kernel_x; ++j) all = join(all, taken(row + x * w.stride_x + j * w.dilation_x));
            if (counts) all /= of_row * load(counts + x);
            store_lanes(out + x, all, w.out_width - x);
        }
    }
}

void slide_any(const Pool& p, float* scratch, const float* plane, float* out) {
    const Window w = p.sliding_window();
    if (!p.is_maximum()) return slide_any(p, w, plane, scratch, scratch + p.row(), out, [](vector a, vector b) { return a + b; });
    if (operands_of(plane, int64_t{w.in_height} * w.in_width) == Operand::finite)
        return slide_any(p, w, plane, scratch, nullptr, out, [](vector a, vector b) { return larger<Operand::finite>(a, b); });
    slide_any(p, w, plane, scratch, nullptr, out, [](vector a, vector b) { return larger<Operand::any>(a, b); });
}

// The row's border, and how many columns an average counts.
void prepare_row(const Pool& p, float* scratch) {
    const Window w = p.sliding_window();
    const float fill = p.is_maximum() ? -__builtin_inff() : 0;
    for (int64_t x = 0; x < p.row(); ++x) scratch[x] = fill;
    float* counts = scratch + p.row();
    for (int64_t x = 0; x < w.out_width; ++x)
        counts[x] = static_cast<float>(
            counted(sliding(x, w.in_width, w.kernel_x, w.stride_x, w.pad_x, w.dilation_x, p.behind_x), !p.slides() || p.count_padding));
    for (int64_t x = w.out_width; x < w.out_width + plane_alignment; ++x) counts[x] = 1;
}

bool halves(const Window& w) {
    return w.kernel_y == 2 && w.kernel_x == 2 && w.stride_y == 2 && w.stride_x == 2 && w.pad_y == 0 && w.pad_x == 0 &&
           w.dilation_y == 1 && w.dilation_x == 1 && 2 * w.out_height <= w.in_height && 2 * w.out_width <= w.in_width;
}

void average_2x2(const float* plane, const Window& w, float* out) {
    for (int64_t y = 0; y < w.out_height; ++y, out += w.out_width) {
        const float *upper = plane + 2 * y * w.in_width, *lower = upper + w.in_width;
        int64_t x = 0;
        for (; x + vector_lanes <= w.out_width; x += vector_lanes) {
            const vector a = load(upper + 2 * x) + load(lower + 2 * x);
            const vector b = load(upper + 2 * x + vector_lanes) + load(lower + 2 * x + vector_lanes);
            store(out + x, (even_lanes(a, b) + odd_lanes(a, b)) * 0.25f);
        }
        for (; x < w.out_width; ++x) out[x] = (upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1]) * 0.25f;
    }
}

// Several sums, since one would wait for each addition before the next.
float whole_average(const float* plane, int64_t pixels) {
    constexpr int lanes = 16;
    float sums[lanes] = {};
    int64_t p = 0;
    for (; p + lanes <= pixels; p += lanes)
        for (int i = 0; i < lanes; ++i) sums[i] += plane[p + i];
    float sum = 0;
    for (; p < pixels; ++p) sum += plane[p];
    for (int i = 0; i < lanes; ++i) sum += sums[i];
    return sum / static_cast<float>(pixels);
}

}  // namespace

void pool(const Pool& p, float* scratch, int32_t first_channel, int32_t last_channel) {
    const Window& w = p.window;
    const bool maximum = p.is_maximum(), slides = p.slides();
    const int64_t pixels = int64_t{w.out_height} * w.out_width;
    const bool in_vectors = slides && !p.tight_input && slides_3x3(w), all_count_nine = in_vectors && averages_nine(p);
    if (slides || p.divides()) prepare_row(p, scratch);
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        const float* plane = p.in[channel];
        float* out = p.out[channel];
        if (in_vectors && maximum)
            operands_of(plane, int64_t{w.in_height} * w.in_width) == Operand::finite
                ? slide_3x3(Maximum3x3<Operand::finite>{}, plane, w, out)
                : slide_3x3(Maximum3x3<Operand::any>{}, plane, w, out);
        else if (in_vectors) {
            slide_3x3(Average3x3{}, plane, w, out);
            if (!all_count_nine) correct_border(p, out);
        } else if (p.pooling == Pooling::average && halves(w))
            average_2x2(plane, w, out);
        else if (p.pooling == Pooling::adaptive_average && pixels == 1)
            out[0] = whole_average(plane, int64_t{w.in_height} * w.in_width);
        else if (slides || p.divides())
            slide_any(p, scratch, plane, out);
        else
            for (int64_t y = 0; y < w.out_height; ++y) {
                const Range rows = adaptive(y, w.in_height, w.out_height);
                for (int64_t x = 0; x < w.out_width; ++x) {
                    out[y * w.out_width + x] = pooled(plane, w.in_width, rows, adaptive(x, w.in_width, w.out_width), maximum);
                }
            }
        activate_stretch(out, pixels, p.epilogue.of(channel));
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
