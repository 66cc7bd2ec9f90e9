// Classes > boxes by falling scores > boxes taken of that class, whose rows are read again.
#include "kernels/suppress/suppress.h"

#include "kernels/isa.h"
#include "kernels/ranking.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

struct Box {
    float top, left, bottom, right;
};

[[gnu::always_inline]] inline float smaller(float a, float b) { return a < b ? a : b; }
[[gnu::always_inline]] inline float larger(float a, float b) { return a > b ? a : b; }

[[gnu::always_inline]] inline Box box_of(const Suppress& s, int64_t number) {
    const float* b = s.in[0] + 4 * number;
    if (s.centred) return {b[1] - b[3] / 2, b[0] - b[2] / 2, b[1] + b[3] / 2, b[0] + b[2] / 2};
    return {smaller(b[0], b[2]), smaller(b[1], b[3]), larger(b[0], b[2]), larger(b[1], b[3])};
}

[[gnu::always_inline]] inline float area(const Box& b) { return (b.right - b.left) * (b.bottom - b.top); }

[[gnu::always_inline]] inline bool overlap(const Box& a, const Box& b, float most) {
    const Box both{larger(a.top, b.top), larger(a.left, b.left), smaller(a.bottom, b.bottom), smaller(a.right, b.right)};
    if (both.right <= both.left || both.bottom <= both.top) return false;
    const float of_a = area(a), of_b = area(b), shared = area(both), covered = of_a + of_b - shared;
    return of_a > 0 && of_b > 0 && covered > 0 && shared / covered > most;
}

}  // namespace

void suppress(const Suppress& s, float* scratch) {
    auto* order = reinterpret_cast<int32_t*>(scratch);
    float *row = s.out[0], *const end = row + int64_t{3} * s.classes * s.most;
    for (int32_t number = 0; number < s.classes; ++number) {
        const float *scores = s.scores[number], *const first = row;
        int64_t left = 0;
        for (int32_t box = 0; box < s.boxes; ++box)
            if (scores[box] > s.least) order[left++] = box;
        // The first in order at the top of the heap.
        const auto behind = [scores](int32_t a, int32_t b) { return comes_before<false>(scores, b, a); };
        make_heap(order, left, behind);
        while (left > 0 && row < first + int64_t{3} * s.most) {
            const int32_t box = order[0];
            order[0] = order[--left];
            sink(order, 0, left, behind);
            const Box one = box_of(s, box);
            bool is_taken = true;
            for (const float* other = first; is_taken && other < row; other += 3)
                is_taken = !overlap(one, box_of(s, static_cast<int64_t>(other[2])), s.overlap);
            if (is_taken) row[0] = 0, row[1] = static_cast<float>(number), row[2] = static_cast<float>(box), row += 3;
        }
    }
    for (; row < end; ++row) *row = -1;
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
