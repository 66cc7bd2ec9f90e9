// Lines > elements: those kept so far are a heap whose top is the last of them; then the heap is sorted where it lies.
#include "kernels/top_k/top_k.h"

#include "kernels/isa.h"
#include "kernels/ranking.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

template <bool Smallest>
void line(const float* in, int64_t length, int64_t kept, int32_t* heap, float* out) {
    const auto before = [in](int32_t a, int32_t b) { return comes_before<Smallest>(in, a, b); };
    for (int64_t i = 0; i < kept; ++i) heap[i] = static_cast<int32_t>(i);
    make_heap(heap, kept, before);
    for (int64_t i = kept; i < length; ++i)
        if (before(static_cast<int32_t>(i), heap[0])) heap[0] = static_cast<int32_t>(i), sink(heap, 0, kept, before);
    sort_heap(heap, kept, before);
    for (int64_t i = 0; i < kept; ++i) out[i] = static_cast<float>(heap[i]);
}

}  // namespace

void top_k(const TopK& t, float* scratch, int32_t first_line, int32_t last_line) {
    const auto some = t.smallest ? line<true> : line<false>;
    for (int64_t number = first_line; number < last_line; ++number) {
        const int64_t channel = number / t.lines, at = number % t.lines;
        some(t.in[channel] + at * t.length, t.length, t.kept, reinterpret_cast<int32_t*>(scratch), t.out[channel] + at * t.kept);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
