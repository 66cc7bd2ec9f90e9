// Channels > depth > rows > columns. Rows of the same steps are one row: maps of one size have one, whose loop the compiler makes vectors of.
#include "kernels/binary/binary.h"

#include "kernels/epilogue.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

template <Operation O>
[[gnu::always_inline]] inline float computed(float a, float b) {
    if constexpr (O == Operation::add) return a + b;
    if constexpr (O == Operation::subtract) return a - b;
    if constexpr (O == Operation::multiply) return a * b;
    if constexpr (O == Operation::divide) return a / b;
    if constexpr (O == Operation::minimum) return a < b || a != a ? a : b;
    if constexpr (O == Operation::maximum) return b < a || a != a ? a : b;
    if constexpr (O == Operation::equal) return a == b ? 1.0f : 0.0f;
    if constexpr (O == Operation::less) return a < b ? 1.0f : 0.0f;
    if constexpr (O == Operation::at_most) return a <= b ? 1.0f : 0.0f;
    if constexpr (O == Operation::keep) return a != 0 ? b : 0.0f;
    if constexpr (O == Operation::drop) return a != 0 ? 0.0f : b;
    return to_power(a, b);
}

template <Operation O>
void row(float* out, int64_t count, const float* a, int64_t a_step, const float* b, int64_t b_step) {
    if (a_step == 1 && b_step == 1)
        for (int64_t i = 0; i < count; ++i) out[i] = computed<O>(a[i], b[i]);
    else if (a_step == 1 && b_step == 0) {
        const float second = *b;
        for (int64_t i = 0; i < count; ++i) out[i] = computed<O>(a[i], second);
    } else if (a_step == 0 && b_step == 1) {
        const float first = *a;
        for (int64_t i = 0; i < count; ++i) out[i] = computed<O>(first, b[i]);
    } else
        for (int64_t i = 0; i < count; ++i) out[i] = computed<O>(a[i * a_step], b[i * b_step]);
}

template <Operation O>
void planes(const Binary& o, int32_t first_channel, int32_t last_channel) {
    const Spread &s = o.of_a, &t = o.of_b;
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        const float *a = o.a[channel], *b = o.b[channel];
        float* out = o.out[channel];
        for (int64_t z = 0; z < o.depth; ++z)
            for (int64_t y = 0; y < o.height; ++y)
                row<O>(out + (z * o.height + y) * o.width, o.width, a + z * s.step_z + y * s.step_y, s.step_x, b + z * t.step_z + y * t.step_y,
                       t.step_x);
        activate_stretch(out, o.pixels(), o.epilogue.of(channel));
    }
}

}  // namespace

void binary(const Binary& o, int32_t first_channel, int32_t last_channel) {
#define SHUFFLEKIT_CASE(name) \
    case Operation::name: return planes<Operation::name>(o, first_channel, last_channel);
    switch (o.operation) {
        SHUFFLEKIT_CASE(add) SHUFFLEKIT_CASE(subtract) SHUFFLEKIT_CASE(multiply) SHUFFLEKIT_CASE(divide) SHUFFLEKIT_CASE(minimum)
        SHUFFLEKIT_CASE(maximum) SHUFFLEKIT_CASE(power) SHUFFLEKIT_CASE(equal) SHUFFLEKIT_CASE(less) SHUFFLEKIT_CASE(at_most)
        SHUFFLEKIT_CASE(keep) SHUFFLEKIT_CASE(drop)
    }
#undef SHUFFLEKIT_CASE
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
