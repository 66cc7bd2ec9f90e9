// Whole vectors, then some lanes of one, or one or two floats by themselves. All activations are compiled here, once for all kernels of
// an instruction set.
#include "kernels/epilogue.h"

#include "kernels/lanes.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

#if SHUFFLEKIT_VECTOR_BYTES == 64
// e^x = 2^k 2^(i / 16) e^r, 0 <= i < 16, |r| <= ln 2 / 32; e^r - 1 by its series to r^3 / 6, which leaves 1e-8. Of exponential's eleven
// multiply-adds eight are left.
[[gnu::always_inline]] inline vector exponential_by_table(vector x) {
    static const vector powers = {1.0f,        1.04427378f, 1.09050773f, 1.13878863f, 1.18920712f, 1.24185781f, 1.29683955f, 1.35425555f,
                                  1.41421356f, 1.47682615f, 1.54221083f, 1.61049033f, 1.68179283f, 1.75625216f, 1.83400809f, 1.91520656f};
    x = at_most(at_least(x, -87.6f), 89.0f);
    constexpr float to_sixteenths = 3 << 18;  // 1.5 * 2^19: the sum's last bit is worth 1/16, so its last four are i
    const vector shifted = x * 1.44269504f + to_sixteenths, n = shifted - to_sixteenths;
    const vector r = x - n * 0.693359375f - n * -2.12194440e-4f;
    const vector less_one = r * r * (r * (1.0f / 6) + 0.5f) + r;
    const vector power = (vector)_mm512_permutexvar_ps((__m512i)shifted, (__m512)powers);
    return (vector)_mm512_scalef_ps((__m512)(power * less_one + power), (__m512)n);
}
#endif

template <Activation A>
[[gnu::always_inline]] inline vector activated(vector x, float a, float b) {
#if SHUFFLEKIT_VECTOR_BYTES == 64
    if constexpr (A == Activation::silu) return x / (exponential_by_table(-x) + 1.0f);
    if constexpr (A == Activation::sigmoid) return 1.0f / (exponential_by_table(-x) + 1.0f);
#endif
    return activate<A>(x, a, b);
}

}  // namespace

void activate_all(float* x, int64_t count, Epilogue epilogue) {
    const float a = epilogue.alpha, b = epilogue.beta;
    with_activation(epilogue.activation, [&]<Activation A>() {
        int64_t i = 0;
        for (; i + vector_lanes <= count; i += vector_lanes) store(x + i, activated<A>(load(x + i), a, b));
        if (const SomeLanes rest(0, count - i); count - i > 2)
            rest.store(x + i, activated<A>(rest.load(x + i), a, b));
        else
            for (; i < count; ++i) x[i] = activate<A>(x[i], a, b);
    });
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
