// Orders numbers of elements by the elements, in place and without the standard library (isa.h says why).
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace shufflekit::SHUFFLEKIT_ISA {

// Whether element a is larger than element b, or smaller, or equal and the first of the two; a NaN is larger than any number.
template <bool Smallest>
[[gnu::always_inline]] inline bool comes_before(const float* in, int32_t a, int32_t b) {
    const float x = in[a], y = in[b];
    const bool x_is_none = x != x, y_is_none = y != y;
    if (x == y || (x_is_none && y_is_none)) return a < b;
    const bool larger = x > y || x_is_none;
    return larger != Smallest;
}

// A heap of which no element comes behind one above it, so that the last of all is at its top: puts one that is not in its place there.
template <class Before>
[[gnu::always_inline]] inline void sink(int32_t* heap, int64_t at, int64_t size, const Before& before) {
    const int32_t one = heap[at];
    for (int64_t next = 2 * at + 1; next < size; at = next, next = 2 * at + 1) {
        if (next + 1 < size && before(heap[next], heap[next + 1])) ++next;
        if (!before(one, heap[next])) break;
        heap[at] = heap[next];
    }
    heap[at] = one;
}

template <class Before>
[[gnu::always_inline]] inline void make_heap(int32_t* heap, int64_t size, const Before& before) {
    for (int64_t at = size / 2; at-- > 0;) sink(heap, at, size, before);
}

template <class Before>
[[gnu::always_inline]] inline void sort_heap(int32_t* heap, int64_t size, const Before& before) {
    for (int64_t end = size; end-- > 1;) {
        const int32_t last = heap[0];
        heap[0] = heap[end], heap[end] = last;
        sink(heap, 0, end, before);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
