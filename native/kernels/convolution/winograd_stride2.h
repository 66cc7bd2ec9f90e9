// Groups > blocks of tiles > transform all channels > chunks of panels > rows of pieces > panels > sums > transform back; of few tiles, with
// AVX-512, four panels > sums.
//
// A line of a tile has 2 M + 1 inputs, in this order: the even pixels at point 0, the odd pixels 0 to M - 1, the even ones at infinity and at
// the other points. So those of a sum are neighbours, and their pieces of the weights (convolution.h) too: the first sum is of
// inputs 0 and 1 by pieces 0 and 1, the M-th of inputs M and M + 1 by pieces 1 and 2, any other of one input.
#pragma once

#include "kernels/convolution/few_sums.h"
#include "kernels/convolution/tiles.h"

namespace shufflekit::SHUFFLEKIT_ISA {

// A line's even pixels at the points 0, 1 and infinity; 0, a, -a, b and infinity for a = 3/4, b = 3/2; and its outputs of its sums.
template <int M>
struct LineOfTwo;

template <>
struct LineOfTwo<2> {
    static constexpr float first = 1;  // tap 0 over piece 0
    [[gnu::always_inline]] static void in(const vector* d, vector* to) {
        to[0] = d[0] - d[2], to[1] = d[1], to[2] = d[3], to[3] = d[4] - d[2], to[4] = d[2];
    }
    [[gnu::always_inline]] static void out(const vector* s, vector* to) { to[0] = s[0] + s[2], to[1] = s[1] + s[2]; }
};

template <>
struct LineOfTwo<4> {
    static constexpr float a = 0.75f, b = 1.5f, a2 = a * a, b2 = b * b, first = a2 * b;
    [[gnu::always_inline]] static void in(const vector* d, vector* to) {
        const vector u = d[2] - b * d[0], v = d[4] - b * d[2], w = d[6] - b * d[4], x = d[8] - b * d[6];
        to[0] = w - a2 * u, to[1] = d[1], to[2] = d[3], to[3] = d[5], to[4] = d[7], to[5] = x - a2 * v;
        to[6] = w + a * v, to[7] = w - a * v, to[8] = d[6] - a2 * d[2];
    }
    [[gnu::always_inline]] static void out(const vector* s, vector* to) {
        const vector p = s[4] + s[5], q = s[4] - s[5];
        to[0] = s[0] + p + s[6], to[1] = s[1] + a * q + b * s[6];
        to[2] = s[2] + a2 * p + b2 * s[6], to[3] = s[3] + a * a2 * q + b * b2 * s[6];
    }
};

template <class C>
class WinogradStride2Blocks : Tiles<C> {
  public:
    static constexpr int M = C::tile, inputs = C::inputs, sums = C::sums, pieces = C::pieces, stored = C::stored;

    WinogradStride2Blocks(const C& c, float* scratch)
        : Tiles<C>(c, scratch), in_(scratch + c.moved()), out_(in_ + inputs * inputs * c.in_slice()),
          nothing_(out_ + sums * sums * c.out_slice()), formed_(nothing_ + gemm_panels(c.rows) * gemm_panel),
          ins_(reinterpret_cast<int32_t*>(formed_ + c.formed())),
          outs_(ins_ + inputs * inputs * c.in_channels + gemm_operands_ahead) {
        for (int64_t k = 0; k < inputs * inputs; ++k)
            for (int64_t channel = 0; channel < c.in_channels; ++channel)
                ins_[k * c.in_channels + channel] = static_cast<int32_t>(k * c.in_slice() + channel * lanes_);
        for (int64_t n = 0; n < gemm_panels(c.rows) * gemm_panel; ++n) nothing_[n] = 0;
        for (int64_t i = 0; lead_ && i < sums * sums * out_slice_; ++i) out_[i] = 0;  // those that are not made
    }

    void run(int32_t group, int64_t first_tile, int64_t last_tile, Range panels) {
        const int64_t block = c_.block();
        group_ = group;
        for (int64_t tile = first_tile, count; tile < last_tile; tile += count) {
            count = last_tile - tile <= block + c_.few ? last_tile - tile : block;
            for (int64_t channel = 0; channel < c_.in_channels; ++channel) {
                this->template take_apart<LineOfTwo<M>>(channel, tile, count);
                float* const to = in_ + channel * lanes_;
                lead_ ? transform_in<true>(to, tile, count) : transform_in<false>(to, tile, count);
            }
            for (int32_t first = panels.first; first < panels.last; first += c_.chunk) {
                const int32_t last = first + c_.chunk < panels.last ? first + c_.chunk : panels.last;
                const int32_t begin = gemm_first_row(c_.rows, first), end = gemm_first_row(c_.rows, last);
                for (int32_t n = begin; n < end; ++n) outs_[n] = static_cast<int32_t>((n - begin) * lanes_);
                const int32_t rest = first + add_few(first, last, static_cast<int32_t>(count));
                for (int piece = 0; piece < pieces && rest < last; ++piece) add_row(piece, rest, last, static_cast<int32_t>(count));
                for (int32_t panel = first; panel < last; ++panel) put_panel(first, panel, tile, count);
            }
        }
    }

  private:
    using Tiles<C>::c_;
    using Tiles<C>::group_;
    using Tiles<C>::lanes_;
    using Tiles<C>::columns_;
    using Tiles<C>::in_slice_;
    using Tiles<C>::out_slice_;
    using Tiles<C>::lead_;

    static constexpr int32_t few_tiles = 26, panels_across = 4;  // for which the GEMM's vectors are rows of so many panels

    static constexpr int input_of(int sum) { return sum == 0 ? 0 : sum < M ? sum + 1 : sum + 2; }
    static constexpr int piece_of(int sum) { return sum == 0 ? 0 : sum < M ? 1 : sum - M + 3; }
    static constexpr int inputs_of(int sum) { return sum == 0 || sum == M - 1 ? 2 : 1; }

    int64_t panel_of(int32_t panel) const { return int64_t{group_} * gemm_panels(c_.rows) + panel; }

    // The columns of what take_apart left.
    template <bool Leads>
    void transform_in(float* to, int64_t tile, int64_t count) const {
        const int64_t first = tile % columns_, slice = in_slice_;
        for (int64_t t = 0; t < count; t += vector_lanes)
            for (int x = 0; x < inputs; ++x) {
                vector d[inputs], column[inputs];
#pragma GCC unroll 9
                for (int y = 0; y < inputs; ++y) d[y] = load(this->value(y, x, first + t));
                LineOfTwo<M>::in(d, column);
#pragma GCC unroll 9
                for (int y = 0; y < inputs; ++y) store(to + (y * inputs + x) * slice + t, Leads ? by_edge(column[y]) : column[y]);
            }
    }

    // The lanes of a grid that leads: tiles of the first column, inner ones, those of the first row, and the corner; and row by row again.
#if SHUFFLEKIT_VECTOR_BYTES == 64
    static vector by_edge(vector x) { return __builtin_shufflevector(x, x, 4, 8, 12, 5, 6, 7, 9, 10, 11, 13, 14, 15, 1, 2, 3, 0); }
    static vector by_row(vector x) { return __builtin_shufflevector(x, x, 15, 12, 13, 14, 0, 3, 4, 5, 1, 6, 7, 8, 2, 9, 10, 11); }
#else
    static vector by_edge(vector x) { return x; }
    static vector by_row(vector x) { return x; }
#endif

    // What a row of pieces gives to the sums of a chunk. Of few tiles the weights take longer to arrive than the tiles: four panels are
    // done with theirs before the next ones. Else all panels of a sum follow each other, which read the same tiles.
    void add_row(int piece, int32_t chunk, int32_t last, int32_t tiles) const {
        const int32_t at_once = tiles <= few_tiles ? panels_across : last - chunk;
        for (int32_t first = chunk; first < last; first += at_once) {
            const int32_t end = first + at_once < last ? first + at_once : last;
            if constexpr (stored < pieces) form(piece, first, end);
            for (int y = 0; y < sums; ++y) {
                const int part = piece - piece_of(y);
                if (part < 0 || part >= inputs_of(y)) continue;
                for (int x = 0; x < sums; ++x) add_up(y, part, x, first, end, tiles);
            }
        }
    }

    // What does not lie in the plan of a row of pieces, of some panels: the last piece of the row, or all of the last row.
    void form(int piece, int32_t first, int32_t last) const {
        const int64_t one = int64_t{c_.in_channels} * gemm_panel;
        const auto add = [one](const float* a, const float* b, float* to) {
            for (int64_t i = 0; i < one; ++i) to[i] = a[i] + b[i];
        };
        float* to = formed_;
        for (int32_t panel = first; panel < last; ++panel) {
            const float* from = c_.weights + panel_of(panel) * c_.packed_depth() * gemm_panel;
            if (piece < stored) {
                add(from + piece * stored * one, from + (piece * stored + 2) * one, to), to += one;
            } else {
                for (int x = 0; x < stored; ++x) add(from + x * one, from + (2 * stored + x) * one, to + x * one);
                add(to, to + 2 * one, to + stored * one), to += pieces * one;
            }
        }
    }

    // A grid that leads has the first row's tiles in sums M - 1 of y alone, and the first column's in those of x.
    Range tiles_of(int y, int x, int32_t tiles) const {
        return {lead_ && x != M - 1 ? 3 : 0, lead_ && y != M - 1 ? 12 : lead_ && x != M - 1 ? 15 : tiles};
    }
    // What sum (y, x) begins with: those of outputs with the bias of a panel's rows and the next ones'.
    const float* bias_of(int y, int x, int32_t panel) const { return y < M && x < M ? c_.bias + panel_of(panel) * gemm_panel : nothing_; }

    // A part of sum (y, x) of some panels' rows.
    void add_up(int y, int part, int x, int32_t first, int32_t last, int32_t tiles) const {
        const auto [begin, end] = tiles_of(y, x, tiles);
        const int32_t count = end - begin, depth = inputs_of(x) * c_.in_channels;
        const int row = piece_of(y) + part, column = piece_of(x);
        const int64_t input = (input_of(y) + part) * inputs + input_of(x);
        const bool is_formed = row >= stored || column >= stored;
        const int64_t pitch = (!is_formed ? c_.packed_depth() : row < stored ? c_.in_channels : pieces * c_.in_channels) * gemm_panel;
        const int64_t piece = !is_formed ? row * stored + column : row < stored ? 0 : column;
        const float* panels = is_formed ? formed_ - first * pitch : c_.weights + panel_of(0) * pitch;
        float* out = out_ + (y * sums + x) * out_slice_ + begin;
        const Gemm gemm{{in_ + begin, ins_ + input * c_.in_channels},
                        {out, outs_},
                        {part ? out : nullptr, outs_},
                        panels + piece * c_.in_channels * gemm_panel,
                        part ? nothing_ : bias_of(y, x, 0),
                        1,
                        c_.rows,
                        depth,
                        count,
                        {},
                        pitch - depth * gemm_panel};
        SHUFFLEKIT_ISA::gemm(gemm, 0, count, first, last);
    }

    // All sums of as many fours of panels as there are; returns how many panels those are, none where the GEMM is better at them.
    int32_t add_few([[maybe_unused]] int32_t first, [[maybe_unused]] int32_t last, [[maybe_unused]] int32_t tiles) const {
#if SHUFFLEKIT_VECTOR_BYTES == 64
        if constexpr (stored < pieces) {
            if (tiles < FewSums::least || tiles > FewSums::most || c_.rows % gemm_panel || c_.in_channels < FewTiles::least_depth) return 0;
            const int32_t fours = (last - first) / panels_across;
            int64_t products = 0;
            for (int y = 0; y < sums; ++y)
                for (int x = 0; x < sums; ++x) {
                    const auto [begin, end] = tiles_of(y, x, tiles);
                    products += inputs_of(y) * inputs_of(x) * FewSums::parts(end - begin);
                }
            const int64_t one = int64_t{c_.in_channels} * gemm_panel, all = panels_across * stored * stored * gemm_panel;
            for (int32_t four = 0; four < fours; ++four) {
                const int32_t panel = first + four * panels_across;
                const float* weights = c_.weights + panel_of(panel) * c_.packed_depth() * gemm_panel;
                FewSums few(weights + panels_across * c_.packed_depth() * gemm_panel, (all + products - 1) / products);
                for (int y = 0; y < sums; ++y)
                    for (int x = 0; x < sums; ++x) {
                        const auto [begin, end] = tiles_of(y, x, tiles);
                        FewSum sum{0, {}, {}, c_.in_channels, lanes_, c_.packed_depth() * gemm_panel, 0, 0, bias_of(y, x, panel)};
                        if (y == M) sum.row = 2 * stored * one;
                        if (x == M) sum.column = 2 * one;
                        for (int i = 0; i < inputs_of(y); ++i)
                            for (int j = 0; j < inputs_of(x); ++j, ++sum.products) {
                                sum.in[sum.products] = in_ + ((input_of(y) + i) * inputs + input_of(x) + j) * in_slice_ + begin;
                                sum.taps[sum.products] = weights + ((y < M ? y + i : 0) * stored + (x < M ? x + j : 0)) * one;
                            }
                        few.add_up(sum, end - begin, out_ + (y * sums + x) * out_slice_ + outs_[gemm_first_row(c_.rows, panel)] + begin);
                    }
            }
            return fours * panels_across;
        }
#endif
        return 0;
    }

    void put_panel(int32_t first, int32_t panel, int64_t tile, int64_t count) {
        const int32_t begin = gemm_first_row(c_.rows, panel);
        for (int32_t n = 0; n < gemm_panel_rows(c_.rows, panel); ++n) {
            const int64_t at = begin - gemm_first_row(c_.rows, first) + n;
            if (!(lead_ ? transform_out<true>(at, count) : transform_out<false>(at, count))) {
                const float* weights = c_.weights + panel_of(panel) * c_.packed_depth() * gemm_panel + n;
                this->mend(c_.bias[panel_of(panel) * gemm_panel + n], tile, count, [&](int64_t channel, int i, int j) {
                    return (i ? 1 : LineOfTwo<M>::first) * (j ? 1 : LineOfTwo<M>::first) *
                           weights[((i * stored + j) * c_.in_channels + channel) * gemm_panel];
                });
            }
            this->put(begin + n, tile, count);
        }
    }

    // Whether all pixels are numbers.
    template <bool Leads>
    bool transform_out(int64_t n, int64_t count) const {
        vector all{};
        for (int64_t t = 0; t < count; t += vector_lanes) {
            vector half[M][sums];
#pragma GCC unroll 7
            for (int x = 0; x < sums; ++x) {
                vector s[sums], to[M];
#pragma GCC unroll 7
                for (int y = 0; y < sums; ++y) {
                    s[y] = load(out_ + (y * sums + x) * out_slice_ + n * lanes_ + t);
                    if constexpr (Leads) s[y] = by_row(s[y]);
                }
                LineOfTwo<M>::out(s, to);
#pragma GCC unroll 4
                for (int y = 0; y < M; ++y) half[y][x] = to[y];
            }
            vector sum{};
#pragma GCC unroll 4
            for (int y = 0; y < M; ++y) {
                vector whole[M];
                LineOfTwo<M>::out(half[y], whole);
                sum += this->put_together(y, t, whole);
            }
            all += this->first_lanes(sum, count - t);
        }
        return this->is_finite(all);
    }

    float *const in_, *const out_, *const nothing_, *const formed_;  // nothing_: what sums that are no outputs begin with
    int32_t *const ins_, *const outs_;
};

template <class C>
void winograd_stride2(const C& c, float* scratch, int64_t first_tile, int64_t last_tile, int32_t first_panel,
                      int32_t last_panel) {
    const int32_t panels = gemm_panels(c.rows);
    WinogradStride2Blocks<C> blocks(c, scratch);
    for (int32_t group = first_panel / panels; group * panels < last_panel; ++group) {
        const int32_t first = first_panel - group * panels, last = last_panel - group * panels;
        blocks.run(group, first_tile, last_tile, {first > 0 ? first : 0, last < panels ? last : panels});
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
