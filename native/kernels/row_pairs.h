// 3x3 windows over planes of at most seven output columns and eight rows, with AVX-512: two rows of output are the halves of a
// vector. What is around a row is the fill in its half's last lane, which a shift by a lane brings to both ends, so that
// nothing is masked and no vector is loaded across two lines for each tap. Stride 1: a load is two rows; stride 2: evens and
// odds of two rows are a permutation each.
#pragma once

#include "kernels/window_3x3.h"

namespace shufflekit::SHUFFLEKIT_ISA {

#if SHUFFLEKIT_VECTOR_BYTES == 64
template <int Stride, int Pairs>
class RowPairs {
  public:
    static bool fits(const Window& w) {
        const bool is_whole =
            w.out_height == (w.in_height + Stride - 1) / Stride && w.out_width == (w.in_width + Stride - 1) / Stride;
        const bool stays_inside =
            2 * (Pairs - 2) * w.out_width + vector_lanes <= plane_floats(int64_t{w.out_height} * w.out_width);
        return slides_3x3(w) && w.stride_x == Stride && w.pad_y == 1 && w.pad_x == 1 && w.out_width < half &&
               (w.out_height + 1) / 2 == Pairs && is_whole && stays_inside;
    }

    explicit RowPairs(const Window& w) : w_(w) {
        const mask lane = every_lane(0, 1), column = lane % half, is_second = lane >= half, none = mask{};
        const mask from = Stride == 1 ? column + (is_second ? none + w.out_width : none)
                                      : 2 * column + (is_second ? none + vector_lanes : none);
        first_ = from, second_ = from + 1;
        const mask is_inside = column < w.out_width;
        inside_ = bits(is_inside), last_ = w.out_height % 2 ? bits(is_inside & ~is_second) : inside_;
        has_right_ = bits(is_inside & (2 * column + 1 < w.in_width));
        closed_ = lane < w.out_width ? lane : lane + half - w.out_width;
    }

    // As in window_3x3.h.
    template <class Operation>
    [[gnu::always_inline]] void slide(const Operation& operation, const float* plane, float* out) const {
        const vector fill = broadcast<vector>(operation.fill);
        const auto put = [&](int32_t pair, vector sum) __attribute__((always_inline)) {
            const vector row = permuted(operation.finish(sum), closed_);
            float* const to = out + 2 * pair * w_.out_width;
            if (pair + 1 < Pairs) return store(to, row);
            store_lanes(to, row, int64_t{w_.out_width} * (w_.out_height - 2 * pair));
        };
        if constexpr (Stride == 1) {
            const auto around = [&](vector x) __attribute__((always_inline)) -> Operands {
                return {shift_lanes(fill, x), x, unshift_lanes(x, fill)};
            };
            vector before = fill, sum{};
#pragma GCC unroll 5
            for (int32_t pair = 0; pair <= Pairs; ++pair) {
                const vector rows = pair < Pairs ? two_rows(plane, pair, fill) : fill;
                const Operands above =
                    around(halves(before, rows));  // the second row of the pair before, and the first of this one
                if (pair > 0) put(pair - 1, operation.end(sum, above));
                if (pair < Pairs) sum = operation.add(operation.begin(above), around(rows));
                before = rows;
            }
        } else {
#pragma GCC unroll 4
            for (int32_t pair = 0; pair < Pairs; ++pair) {
                const auto seen = [&](int32_t row) __attribute__((always_inline)) -> Operands {
                    return by_two(plane, 4 * pair + row, fill);
                };
                put(pair, operation.end(operation.add(operation.begin(seen(-1)), seen(0)), seen(1)));
            }
        }
    }

  private:
    static constexpr int32_t half = vector_lanes / 2;

    static __mmask16 bits(mask x) { return _mm512_test_epi32_mask((__m512i)x, (__m512i)x); }
    static vector permuted(vector x, mask lanes) { return (vector)_mm512_permutexvar_ps((__m512i)lanes, (__m512)x); }
    // The upper half of a, then the lower half of b.
    static vector halves(vector a, vector b) { return (vector)_mm512_shuffle_f32x4((__m512)a, (__m512)b, 0x4e); }

    [[gnu::always_inline]] vector two_rows(const float* plane, int32_t pair, vector fill) const {
        const __mmask16 lanes = pair + 1 < Pairs ? inside_ : last_;
        return (vector)_mm512_mask_permutexvar_ps((__m512)fill, lanes, (__m512i)first_,
                                                  (__m512)load(plane + 2 * pair * w_.in_width));
    }

    // What row `row` gives to the pair's first row of output, and the next but one to the second.
    [[gnu::always_inline]] Operands by_two(const float* plane, int32_t row, vector fill) const {
        const vector a = row_or(plane, row, fill), b = row_or(plane, row + 2, fill);
        Operands x;
        x.middle = two_of(a, b, first_, inside_, fill);
        x.right = two_of(a, b, second_, has_right_, fill);
        x.left = shift_lanes(fill, x.right);
        return x;
    }
    [[gnu::always_inline]] vector row_or(const float* plane, int32_t row, vector fill) const {
        return row < 0 || row >= w_.in_height ? fill : load(plane + row * w_.in_width);
    }
    [[gnu::always_inline]] static vector two_of(vector a, vector b, mask lanes, __mmask16 inside, vector fill) {
        const __m512 both = _mm512_permutex2var_ps((__m512)a, (__m512i)lanes, (__m512)b);
        return (vector)_mm512_mask_mov_ps((__m512)fill, inside, both);
    }

    const Window w_;
    mask first_, second_, closed_;         // lanes of rows from memory that become a pair's; and back
    __mmask16 inside_, last_, has_right_;  // last_: of the last pair's rows that are there
};
#endif

}  // namespace shufflekit::SHUFFLEKIT_ISA
