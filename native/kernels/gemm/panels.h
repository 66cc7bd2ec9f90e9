// What the variants of the GEMM share: the walk over panels, pixels beyond whole vectors, and activations that are no bounds.
#pragma once

#include "kernels/epilogue.h"
#include "kernels/gemm/gemm.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

using rows_vector [[gnu::vector_size(gemm_panel * sizeof(float)), gnu::aligned(4), gnu::may_alias]] = float;

// 4 KiB, into the L2 cache: 1.5 % (ShuffleNet V2 1x) to 4 % (2x) of a network; 1 to 8 KiB are alike.
constexpr int weights_ahead = 1024;
// Planes of more pixels lie beyond the L2 cache, too many of them at once for the hardware to follow: what the next block of pixels
// reads and writes is prefetched. ShuffleNet V1 1x at 720x1280: 73.2 ms without, 64.7 with the outputs, 58.4 with the operands too.
// 40 x 160 in 3 groups, residual: 3600 pixels 57 % of the peak without and 83 % with, 1200 pixels 87 and 91 %, 784 alike.
constexpr int64_t large_plane = 800;

struct Panel {
    const int32_t* operands;  // of the group, depth offsets
    const float* weights;
    const float* bias;
    int32_t first_row;  // of the first of its rows among all groups' rows
    int32_t rows;
};

// Where sums end. The bias comes last: those that begin with a large one are rounded as it is, all the way.

template <Bounds B = Bounds::both>
[[maybe_unused]] void put_pixel(const Gemm& gemm, const Panel& panel, int64_t pixel, rows_vector sum) {
    if constexpr (B == Bounds::any) return with_ends(gemm.epilogue.activation, [&]<Bounds C>() { put_pixel<C>(gemm, panel, pixel, sum); });
    sum += *reinterpret_cast<const rows_vector*>(panel.bias);
    for (int r = 0; r < panel.rows; ++r) {
        const int64_t channel = panel.first_row + r;
        float value = sum[r];
        if (gemm.residual.base) value += gemm.residual[channel][pixel];
        gemm.out[channel][pixel] = bounded<B>(value, low_of<B>(gemm.epilogue, channel), gemm.epilogue.high());
    }
}

// Of a tile of the panel's rows from `row` on.
template <Bounds B, int R, int V>
[[gnu::always_inline]] inline void put_tile(const Gemm& gemm, const Panel& panel, int row, int64_t pixel, vector (&sum)[R][V]) {
    if constexpr (B == Bounds::any)
        return with_ends(gemm.epilogue.activation, [&]<Bounds C>() __attribute__((always_inline)) { put_tile<C>(gemm, panel, row, pixel, sum); });
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
        const vector bias = broadcast<vector>(panel.bias[row + r]);
#pragma GCC unroll 6
        for (int v = 0; v < V; ++v) sum[r][v] += bias;
    }
    if (gemm.residual.base) {
        const int32_t* from = gemm.residual.offsets + panel.first_row + row;
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 6
            for (int v = 0; v < V; ++v) sum[r][v] += load(gemm.residual.base + from[r] + pixel + v * vector_lanes);
    }
    float* to[R];  // all of them before the first store, which could change the table for all that the compiler knows
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) to[r] = gemm.out[panel.first_row + row + r] + pixel;
    if (gemm.pixels > large_plane) {
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 6
            for (int v = 0; v < V; ++v) __builtin_prefetch(to[r] + (V + v) * vector_lanes, 1, 2);
    }
    if constexpr (B == Bounds::slope) {
        float slopes[R];  // before the first store, too
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) slopes[r] = low_of<B>(gemm.epilogue, panel.first_row + row + r);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 6
            for (int v = 0; v < V; ++v) store(to[r] + v * vector_lanes, bounded<B>(sum[r][v], broadcast<vector>(slopes[r]), vector{}));
        return;
    }
    const vector low = broadcast<vector>(gemm.epilogue.low()), high = broadcast<vector>(gemm.epilogue.high());
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 6
        for (int v = 0; v < V; ++v) store(to[r] + v * vector_lanes, bounded<B>(sum[r][v], low, high));
}

// Walks all groups' panels in order without a division a panel (gemm.h says which rows each has).
class PanelWalk {
  public:
    PanelWalk(const Gemm& gemm, int32_t number) : PanelWalk(gemm, number, gemm.depth) {}
    // Of weights with so many floats a row.
    PanelWalk(const Gemm& gemm, int32_t number, int64_t floats)
        : gemm_(gemm), stride_(floats * gemm_panel + gemm.apart), panels_(gemm_panels(gemm.rows)), fewest_(gemm.rows / panels_), more_(gemm.rows % panels_),
          of_group_(number % panels_),
          part_(static_cast<int32_t>(int64_t{more_} * of_group_ % panels_)) {
        const int32_t group = number / panels_;
        at_ = {gemm.in.offsets + int64_t{group} * gemm.depth, gemm.weights + number * stride_,
               gemm.bias + int64_t{number} * gemm_panel, group * gemm.rows + gemm_first_row(gemm.rows, of_group_), 0};
        at_.rows = fewest_ + (part_ + more_ >= panels_);
    }

    const Panel& operator*() const { return at_; }
    const Panel* operator->() const { return &at_; }
    int32_t left_in_group() const { return panels_ - of_group_; }
    int64_t stride() const { return stride_; }  // of weights

    void operator++() {
        at_.first_row += at_.rows;
        at_.weights += stride_, at_.bias += gemm_panel;
        part_ += more_;
        if (part_ >= panels_) part_ -= panels_;
        if (++of_group_ == panels_) of_group_ = 0, at_.operands += gemm_.depth;
        at_.rows = fewest_ + (part_ + more_ >= panels_);
    }

  private:
    const Gemm& gemm_;
    const int64_t stride_;
    const int32_t panels_, fewest_, more_;  // of a group; rows of its thinnest panels, and how many have one more
    int32_t of_group_, part_;               // part_: more_ * of_group_ % panels_
    Panel at_;
};

// The results of one pixel, together: each by itself would be a call and a few floats.
[[maybe_unused]] void activate_pixel(const Gemm& gemm, int32_t pixel, int32_t first_channel, int32_t last_channel) {
    constexpr int32_t most = 256;
    float some[most];
    for (int32_t channel = first_channel; channel < last_channel; channel += most) {
        const int32_t count = last_channel - channel < most ? last_channel - channel : most;
        for (int32_t i = 0; i < count; ++i) some[i] = gemm.out[channel + i][pixel];
        activate_stretch(some, count, gemm.epilogue);
        for (int32_t i = 0; i < count; ++i) gemm.out[channel + i][pixel] = some[i];
    }
}

// Of what a call works on.
[[maybe_unused]] void activate_share(const Gemm& gemm, int32_t first_pixel, int32_t last_pixel, int32_t first_panel, int32_t last_panel) {
    if (gemm.epilogue.is_bounds()) return;
    PanelWalk panel(gemm, first_panel);
    if (last_pixel - first_pixel == 1 && !gemm.epilogue.slopes) {
        const int32_t panels = gemm_panels(gemm.rows), behind = last_panel / panels * gemm.rows;
        const int32_t last = last_panel % panels ? behind + gemm_first_row(gemm.rows, last_panel % panels) : behind;
        return activate_pixel(gemm, first_pixel, panel->first_row, last);
    }
    for (int32_t number = first_panel; number < last_panel; ++number, ++panel)
        for (int32_t r = 0; r < panel->rows; ++r)
            activate_stretch(gemm.out[panel->first_row + r] + first_pixel, last_pixel - first_pixel,
                             gemm.epilogue.of(panel->first_row + r));
}

}  // namespace
}  // namespace shufflekit::SHUFFLEKIT_ISA
