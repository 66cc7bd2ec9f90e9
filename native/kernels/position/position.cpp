// Groups > lines, up to 64 side by side > planes > their elements. The compiler makes vectors of lines that lie side by side.
#include "kernels/position/position.h"

#include "kernels/isa.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

constexpr int64_t side_by_side = 64;

template <bool Smallest, bool Last>
void lines(const Position& p, const int32_t* planes, int64_t at, int64_t count, float* out) {
    float best[side_by_side];
    const Spans& s = p.spans;
    for (int64_t i = 0; i < count; ++i) best[i] = p.in.base[planes[0] + at + i], out[i] = 0;
    float number = 0;
    for (int64_t k = 0; k < s.count; ++k) {
        const float* x = p.in.base + planes[k] + at;
        for (int64_t r = 0; r < s.length; ++r, x += s.inner, ++number)
            for (int64_t i = 0; i < count; ++i) {
                const float a = x[i], b = best[i];
                const bool more = Smallest ? a < b : a > b, same = a == b || (a != a && b != b);
                const bool better = more || (a != a && b == b) || (Last && same);
                best[i] = better ? a : b, out[i] = better ? number : out[i];
            }
    }
}

template <bool Smallest, bool Last>
void groups(const Position& p, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line) {
    for (int32_t group = first_group; group < last_group; ++group) {
        const int32_t* planes = p.in.offsets + int64_t{group} * p.spans.count;
        float* out = p.out[group];
        p.spans.each(first_line, last_line, side_by_side,
                     [&](int64_t at, int64_t count, int64_t line) { lines<Smallest, Last>(p, planes, at, count, out + line); });
    }
}

}  // namespace

void position(const Position& p, int32_t first_group, int32_t last_group, int32_t first_line, int32_t last_line) {
    const auto some = p.smallest ? (p.last ? groups<true, true> : groups<true, false>) : p.last ? groups<false, true> : groups<false, false>;
    some(p, first_group, last_group, first_line, last_line);
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
