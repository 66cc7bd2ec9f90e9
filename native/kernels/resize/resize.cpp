// Where each column comes from is found once. Nearest: channels > output rows > columns; a row that repeats the one before is copied, and
// columns that are doubled are vectors. Bilinear: channels > output rows > vectors of columns of two input rows that were resized to the
// output's width when a row first needed them.
#include "kernels/resize/resize.h"

#include "kernels/lanes.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

// Where an output pixel lies between two input pixels.
struct Place {
    int64_t low, high;
    float share;  // of the higher one
};

Place place(int64_t at, int64_t size, int64_t out, float scale, const Resize& r) {
    const Resizing resizing = r.resizing;
    if (out == size && repeats_whole(r)) return {at, at, 0};
    if (resizing == Resizing::nearest) {
        if (out == 2 * size && repeats_whole(r)) return {at / 2, 0, 0};
        const auto low = static_cast<int64_t>(static_cast<float>(at) * scale);
        return {low < size ? low : size - 1, 0, 0};
    }
    // In double, and rounded once, as a fused multiply-add rounds it, with which PyTorch's vector code computes it.
    float where = resizing == Resizing::bilinear ? static_cast<float>((static_cast<double>(at) + 0.5) * scale - 0.5) : static_cast<float>(at) * scale;
    if (!(where > 0)) where = 0;
    auto low = static_cast<int64_t>(where);
    if (low > size - 1) low = size - 1;
    return {low, low + 1 < size ? low + 1 : low, where - static_cast<float>(low)};
}

struct Columns {
    int32_t *low, *high;
    float* share;
    bool doubled;  // pixel x comes from x / 2

    Columns(const Resize& r, float* scratch)
        : low(reinterpret_cast<int32_t*>(scratch)), high(low + r.columns()), share(scratch + 2 * r.columns()), doubled(true) {
        for (int64_t x = 0; x < r.out_width; ++x) {
            const Place column = place(x, r.in_width, r.out_width, r.scale_x, r);
            low[x] = static_cast<int32_t>(column.low), high[x] = static_cast<int32_t>(column.high), share[x] = column.share;
            doubled = doubled && column.low == x / 2;
        }
    }
};

void nearest(const Resize& r, const Columns& columns, const float* in, float* out) {
    int64_t before = -1;
    for (int64_t y = 0; y < r.out_height; ++y, out += r.out_width) {
        const int64_t row = place(y, r.in_height, r.out_height, r.scale_y, r).low;
        const float* from = in + row * r.in_width;
        int64_t x = 0;
        if (row == before) {
            for (; x + vector_lanes <= r.out_width; x += vector_lanes) store(out + x, load(out - r.out_width + x));
            for (; x < r.out_width; ++x) out[x] = out[x - r.out_width];
        } else {
            if (columns.doubled)
                for (; x + 2 * vector_lanes <= r.out_width; x += 2 * vector_lanes) {
                    const vector pixels = load(from + x / 2);
                    store(out + x, low_pairs(pixels, pixels)), store(out + x + vector_lanes, high_pairs(pixels, pixels));
                }
            for (; x < r.out_width; ++x) out[x] = from[columns.low[x]];
        }
        before = row;
    }
}

void widen(const Resize& r, const Columns& columns, const float* from, float* to) {
    for (int64_t x = 0; x < r.out_width; ++x) to[x] = from[columns.low[x]] * (1 - columns.share[x]) + from[columns.high[x]] * columns.share[x];
}

void bilinear(const Resize& r, const Columns& columns, float* rows, const float* in, float* out) {
    float* upper = rows;
    float* lower = rows + r.columns();
    int64_t upper_row = -1, lower_row = -1;
    for (int64_t y = 0; y < r.out_height; ++y, out += r.out_width) {
        const Place row = place(y, r.in_height, r.out_height, r.scale_y, r);
        if (row.low == lower_row) {
            float* const spare = upper;
            upper = lower, upper_row = lower_row, lower = spare, lower_row = -1;
        }
        if (row.low != upper_row) widen(r, columns, in + row.low * r.in_width, upper), upper_row = row.low;
        if (row.high != lower_row) widen(r, columns, in + row.high * r.in_width, lower), lower_row = row.high;
        for (int64_t x = 0; x < r.out_width; x += vector_lanes)
            store_lanes(out + x, load(upper + x) * (1 - row.share) + load(lower + x) * row.share, r.out_width - x);
    }
}

}  // namespace

void resize(const Resize& r, float* scratch, int32_t first_channel, int32_t last_channel) {
    const Columns columns(r, scratch);
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        const float* in = r.in[channel];
        float* out = r.out[channel];
        r.resizing == Resizing::nearest ? nearest(r, columns, in, out) : bilinear(r, columns, scratch + 3 * r.columns(), in, out);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
