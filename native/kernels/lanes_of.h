// Loops over some floats in whole vectors, then float by float, and sums of many.
#pragma once

#include "kernels/activation_math.h"

namespace shufflekit::SHUFFLEKIT_ISA {

template <class V>
[[gnu::always_inline]] inline V load_as(const float* x) {
    if constexpr (sizeof(V) == sizeof(float)) return *x;
    else return load(x);
}
[[gnu::always_inline]] inline void store_as(float* to, float x) { *to = x; }
#if SHUFFLEKIT_VECTOR_BYTES > 4
[[gnu::always_inline]] inline void store_as(float* to, vector x) { store(to, x); }
#endif

// to[i] = task(x[i]) for vectors and floats.
template <class Task>
[[gnu::always_inline]] inline void map(float* to, const float* x, int64_t count, Task task) {
    int64_t i = 0;
    for (; i + vector_lanes <= count; i += vector_lanes) store(to + i, task(load(x + i)));
    for (; i < count; ++i) to[i] = task(x[i]);
}

// add(sum, x) over many floats. Sixteen sums at a time, since one would wait for itself, of a thousand floats at most: what is added to
// a sum that is much larger loses its digits.
template <class Add, class Join>
[[gnu::always_inline]] inline double folded(const float* x, int64_t count, double total, float start, Add add, Join join) {
    constexpr int sums = 16;
    constexpr int64_t block = 1024;
    for (int64_t first = 0; first < count; first += block) {
        const int64_t last = first + block < count ? first + block : count;
        float sum[sums];
        for (int s = 0; s < sums; ++s) sum[s] = start;
        int64_t i = first;
        for (; i + sums <= last; i += sums)
            for (int s = 0; s < sums; ++s) sum[s] = add(sum[s], x[i + s]);
        for (int s = 0; i < last; ++i, ++s) sum[s] = add(sum[s], x[i]);
        for (int s = 0; s < sums; ++s) total = join(total, sum[s]);
    }
    return total;
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
