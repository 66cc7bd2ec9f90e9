// Activations on a vector or a float, for the epilogues of kernels.
//
// Include it only in sources that CMake compiles once per instruction set: everything here lies in that set's namespace.
// A NaN stays a NaN. Errors are those of the result, relative to it where nothing else is said; kernels_test.cpp holds them to 1e-6.
#pragma once

#include "kernels/activation.h"
#include "kernels/registers.h"

#if SHUFFLEKIT_VECTOR_BYTES >= 32
#include <immintrin.h>
#elif SHUFFLEKIT_VECTOR_BYTES == 16 && defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace shufflekit::SHUFFLEKIT_ISA {

template <class V>
struct Bits {
    using type = decltype(V{} < V{});
};
template <>
struct Bits<float> {
    using type = int32_t;
};

// `x - V{}` is x in every lane; GCC adds a scalar first to make `x + V{}` of it.
template <class V>
[[gnu::always_inline]] inline V broadcast(float x) {
    return x - V{};
}

// A bound in every lane. Where GCC knows its value, it compares and blends instead of one maximum.
template <class V>
[[gnu::always_inline]] inline V bound(float value) {
#if defined(__GNUC__) && !defined(__clang__)
    __asm__("" : "+r"(value));
#endif
    return broadcast<V>(value);
}

// The order of the operands lets a NaN through.
template <class V>
[[gnu::always_inline]] inline V at_least(V x, float low) {
    const V limit = bound<V>(low);
    return x < limit ? limit : x;
}

template <class V>
[[gnu::always_inline]] inline V at_most(V x, float high) {
    const V limit = bound<V>(high);
    return limit < x ? limit : x;
}

template <class V>
[[gnu::always_inline]] inline V between(V x, V low, V high) {
    x = x < low ? low : x;
    return high < x ? high : x;
}

// What Epilogue's bounds do. One that binds nothing would still take its turn among the multiply-adds: 2 to 5 % of a shallow GEMM.
// With AVX-512 two activations more end sums in registers: numbers below 0 times a slope, which is in the place of the lower bound, and
// hardswish; in WebAssembly the first of them. `any` is told apart where sums end: the loop before it is compiled once.
enum class Bounds { none, lower, both, slope, hardswish, any };

template <Bounds B, class V>
[[gnu::always_inline]] inline V bounded(V x, V low, V high) {
    if constexpr (B == Bounds::lower) return x < low ? low : x;
    if constexpr (B == Bounds::both) return between(x, low, high);
    if constexpr (B == Bounds::slope) return x < 0 ? x * low : x;
    if constexpr (B == Bounds::hardswish) return x * (between(x + 3.0f, V{}, V{} + 6.0f) * (1.0f / 6));
    return x;
}

// Calls task<B>() for the activation's bounds; one that is no bounds has none.
template <class Task>
[[gnu::always_inline]] inline void with_bounds(Activation activation, Task task) {
    switch (activation) {
        case Activation::relu: return task.template operator()<Bounds::lower>();
        case Activation::relu6:
        case Activation::clamp: return task.template operator()<Bounds::both>();
        default: return task.template operator()<Bounds::none>();
    }
}

// What beside bounds ends sums in registers.
constexpr bool ends_slope(Activation activation) {
    return (SHUFFLEKIT_VECTOR_BYTES == 64 || has_few_registers) && (activation == Activation::leaky_relu || activation == Activation::prelu);
}
constexpr bool ends_hardswish(Activation activation) { return SHUFFLEKIT_VECTOR_BYTES == 64 && activation == Activation::hardswish; }

// Whether an epilogue ends sums in registers, and the lower bound of a channel for bounded().
constexpr bool ends_in_registers(const Epilogue& end) { return end.is_bounds() || ends_slope(end.activation) || ends_hardswish(end.activation); }
template <Bounds B>
constexpr float low_of(const Epilogue& end, int64_t channel) {
    return B == Bounds::slope ? end.of(channel).alpha : end.low();
}

// As with_bounds, and what else ends in registers.
template <class Task>
[[gnu::always_inline]] inline void with_ends(Activation activation, Task task) {
    if constexpr (SHUFFLEKIT_VECTOR_BYTES == 64 || has_few_registers)
        if (ends_slope(activation)) return task.template operator()<Bounds::slope>();
    if constexpr (SHUFFLEKIT_VECTOR_BYTES == 64)
        if (ends_hardswish(activation)) return task.template operator()<Bounds::hardswish>();
    with_bounds(activation, task);
}

// e^x = 2^n e^r, n = round(x / ln 2), |r| <= ln 2 / 2; e^r - 1 by its series to r^6 / 6!, which leaves 1.3e-7 of e^r at most.
template <class V>
struct Exponent {
    V less_one;    // e^r - 1
    V half_power;  // 2^(n - 1) by its bits: infinity's are those of 2^128, and 2^-127 is 0, as all that float32 has no normal number for
};

template <class V>
[[gnu::always_inline]] inline Exponent<V> exponent_of(V x) {
    x = at_most(at_least(x, -87.6f), 89.0f);
    constexpr float to_integer = 3 << 22;  // 1.5 * 2^23: the sum's last bit is worth 1, so its low bits are n
    const V shifted = x * 1.44269504f + to_integer;
    const V n = shifted - to_integer;
    // 355/512 has so few bits that its product with n is exact; the rest of ln 2 follows.
    const V r = x - n * 0.693359375f - n * -2.12194440e-4f;
    V sum = r * (1.0f / 720) + 1.0f / 120;
    sum = sum * r + 1.0f / 24;
    sum = sum * r + 1.0f / 6;
    sum = sum * r + 0.5f;
    sum = sum * r + 1.0f;
    using bits = typename Bits<V>::type;
    return {sum * r, __builtin_bit_cast(V, (__builtin_bit_cast(bits, shifted) + 126) << 23)};
}

template <class V>
[[gnu::always_inline]] inline V exponential(V x) {
    const Exponent<V> e = exponent_of(x);
    return (e.less_one + 1.0f) * 2.0f * e.half_power;
}

// e^x - 1 of x up to 0.
template <class V>
[[gnu::always_inline]] inline V exponential_less_one(V x) {
    const Exponent<V> e = exponent_of(x);
    const V power = e.half_power * 2.0f;
    return e.less_one * power + (power - 1.0f);
}

template <class V>
[[gnu::always_inline]] inline V absolute(V x) {
    using bits = typename Bits<V>::type;
    return __builtin_bit_cast(V, __builtin_bit_cast(bits, x) & 0x7fffffff);
}

// A number from 0 on with the sign of another.
template <class V>
[[gnu::always_inline]] inline V with_sign(V x, V of) {
    using bits = typename Bits<V>::type;
    return __builtin_bit_cast(V, __builtin_bit_cast(bits, x) | (__builtin_bit_cast(bits, of) & INT32_MIN));
}

// x = 2^n m, m from sqrt(1/2) to sqrt(2); log m by a polynomial of m - 1 (Cephes, logf).
template <class V>
[[gnu::always_inline]] inline V logarithm(V x) {
    using bits = typename Bits<V>::type;
    constexpr float to_integer = 3 << 22, infinity = __builtin_inff();
    const auto is_small = x < 1.17549435e-38f;  // of which float32 has few bits
    const bits of_x = __builtin_bit_cast(bits, is_small ? x * 8388608.0f : x);
    const bits exponent = (of_x - 0x3f3504f3) >> 23;
    const V f = __builtin_bit_cast(V, of_x - (exponent << 23)) - 1.0f;
    V n = __builtin_bit_cast(V, exponent + 0x4b400000) - to_integer;
    n = is_small ? n - 23.0f : n;
    V sum = f * 7.0376836292e-2f - 1.1514610310e-1f;
    sum = sum * f + 1.1676998740e-1f;
    sum = sum * f - 1.2420140846e-1f;
    sum = sum * f + 1.4249322787e-1f;
    sum = sum * f - 1.6668057665e-1f;
    sum = sum * f + 2.0000714765e-1f;
    sum = sum * f - 2.4999993993e-1f;
    sum = sum * f + 3.3333331174e-1f;
    const V square = f * f;
    V result = f + (sum * f * square + n * -2.12194440e-4f - square * 0.5f) + n * 0.693359375f;
    result = x < broadcast<V>(infinity) ? result : x;
    const V beyond = x < V{} ? broadcast<V>(__builtin_nanf("")) : x == V{} ? broadcast<V>(-infinity) : x;
    return x > V{} ? result : beyond;
}

// log(1 + e), e from 0 to 1: what 1 + e loses of e is added.
template <class V>
[[gnu::always_inline]] inline V logarithm_of_one_more(V e) {
    const V more = e + 1.0f;
    return logarithm(more) + (e - (more - 1.0f)) / more;
}

template <class V>
[[gnu::always_inline]] inline V tangent(V x) {
    const V square = x * x;
    V sum = square * -5.70498872745e-3f + 2.06390887954e-2f;  // Cephes, tanhf
    sum = sum * square - 5.37397155531e-2f;
    sum = sum * square + 1.33314422036e-1f;
    sum = sum * square - 3.33332819422e-1f;
    const V size = absolute(x), large = 1.0f - 2.0f / (exponential(size + size) + 1.0f);
    return size < 0.625f ? x + x * square * sum : with_sign(large, x);
}

// x P(x^2) / Q(x^2) up to 4, where it is 1 but for what float32 has no digit for; 3e-7.
template <class V>
[[gnu::always_inline]] inline V error_function(V x) {
    const V square = at_most(x * x, 16.0f);
    V over = square * -2.72614225801306e-10f + 2.77068142495902e-08f;
    over = over * square - 2.10102402082508e-06f;
    over = over * square - 5.69250639462346e-05f;
    over = over * square - 7.34990630326855e-04f;
    over = over * square - 2.95459980854025e-03f;
    over = over * square - 1.60960333262415e-02f;
    V under = square * -1.45660718464996e-05f - 2.13374055278905e-04f;
    under = under * square - 1.68282697438203e-03f;
    under = under * square - 7.37332916720468e-03f;
    under = under * square - 1.42647390514189e-02f;
    const V one = broadcast<V>(1.0f);
    return absolute(x) >= 4.0f ? with_sign(one, x) : x * over / under;
}

#if SHUFFLEKIT_VECTOR_BYTES > 4
[[gnu::always_inline]] inline vector square_root(vector x) {
#if SHUFFLEKIT_VECTOR_BYTES == 64
    return (vector)_mm512_maskz_sqrt_ps(0xffff, (__m512)x);
#elif SHUFFLEKIT_VECTOR_BYTES == 32
    return (vector)_mm256_sqrt_ps((__m256)x);
#elif defined(__ARM_NEON)
    return (vector)vsqrtq_f32((float32x4_t)x);
#else
    for (int i = 0; i < vector_lanes; ++i) x[i] = __builtin_sqrtf(x[i]);
    return x;
#endif
}
#endif
[[gnu::always_inline]] inline float square_root(float x) { return __builtin_sqrtf(x); }

// e^(a log |x|), whose error grows with that exponent: 2e-7 for each 1 of it.
template <class V>
[[gnu::always_inline]] inline V to_power(V x, float a) {
    const V one = broadcast<V>(1.0f), positive = absolute(x), other = exponential(logarithm(positive) * a);
    const V size = positive == one ? one : other;  // to the power of infinity too
    if (a == 0) return one;
    if (a != a) return x == one ? one : broadcast<V>(a);
    const float most = 1 << 24;  // from which on all numbers are even
    const bool is_whole = !(a < most && a > -most) || a == static_cast<float>(static_cast<int32_t>(a));
    if (!is_whole) {
        const auto has_none = x < V{};
        return has_none ? (x < broadcast<V>(-3.4028234e38f) ? size : broadcast<V>(__builtin_nanf(""))) : size;
    }
    const bool is_odd = a < most && a > -most && (static_cast<int32_t>(a) & 1);
    return is_odd ? with_sign(size, x) : size;
}

// To the even one of two that are as near.
template <class V>
[[gnu::always_inline]] inline V nearest(V x) {
    constexpr float from_whole = 1 << 23;  // from which on there are whole numbers only
    const V shift = with_sign(broadcast<V>(from_whole), x), rounded = (x + shift) - shift;
    return absolute(x) < from_whole ? rounded : x;
}

template <Activation A, class V>
[[gnu::always_inline]] inline V activate(V x, float a, float b) {
    if constexpr (A == Activation::relu) return at_least(x, 0.0f);
    if constexpr (A == Activation::relu6) return at_most(at_least(x, 0.0f), 6.0f);
    if constexpr (A == Activation::clamp) return at_most(at_least(x, a), b);
    if constexpr (A == Activation::hardsigmoid) return at_most(at_least(x + 3.0f, 0.0f), 6.0f) * (1.0f / 6);
    if constexpr (A == Activation::hardswish) return x * at_most(at_least(x + 3.0f, 0.0f), 6.0f) * (1.0f / 6);
    if constexpr (A == Activation::sigmoid) return 1.0f / (1.0f + exponential(-x));
    if constexpr (A == Activation::silu) return x / (1.0f + exponential(-x));
    if constexpr (A == Activation::leaky_relu || A == Activation::prelu) {
        const V scaled = a * x;
        return x < V{} ? scaled : x;
    }
    if constexpr (A == Activation::tanh) return tangent(x);
    if constexpr (A == Activation::gelu) return x * 0.5f * (error_function(x * 0.70710678f) + 1.0f);  // 3e-7 of x
    if constexpr (A == Activation::gelu_tanh) return x / (1.0f + exponential((x * x * 0.044715f + 1.0f) * x * -1.5957691f));
    if constexpr (A == Activation::elu) {
        const V below = exponential_less_one(x * b) * a;
        return x > V{} ? x : below;
    }
    if constexpr (A == Activation::selu) {
        const V below = exponential_less_one(x) * a, above = x * b;
        return x > V{} ? above : below;
    }
    if constexpr (A == Activation::mish) {
        const V e = exponential(at_most(x, 20.0f)), square = e * (e + 2.0f);
        return x * (square / (square + 2.0f));
    }
    if constexpr (A == Activation::softplus) {
        const V scaled = x * a, sum = (at_least(scaled, 0.0f) + logarithm_of_one_more(exponential(-absolute(scaled)))) / a;
        return scaled > bound<V>(b) ? x : sum;
    }
    if constexpr (A == Activation::log_sigmoid) return at_most(x, 0.0f) - logarithm_of_one_more(exponential(-absolute(x)));
    if constexpr (A == Activation::threshold) return x <= bound<V>(a) ? bound<V>(b) : x;
    if constexpr (A == Activation::exp) return exponential(x);
    if constexpr (A == Activation::log) return logarithm(x);
    if constexpr (A == Activation::sqrt) return square_root(x);
    if constexpr (A == Activation::rsqrt) return 1.0f / square_root(x);
    if constexpr (A == Activation::reciprocal) return 1.0f / x;
    if constexpr (A == Activation::square) return x * x;
    if constexpr (A == Activation::power) return to_power(x, a);
    if constexpr (A == Activation::abs) return absolute(x);
    if constexpr (A == Activation::erf) return error_function(x);
    if constexpr (A == Activation::round) return nearest(x);
    if constexpr (A == Activation::floor || A == Activation::ceil) {
        const V whole = nearest(x), less = whole - 1.0f, more = whole + 1.0f;
        return A == Activation::floor ? (whole > x ? less : whole) : (whole < x ? more : whole);
    }
    return x;
}

// Calls task<A>() for the activation given, so that a loop inside `task` asks no more.
template <class Task>
[[gnu::always_inline]] inline void with_activation(Activation activation, Task task) {
#define SHUFFLEKIT_CASE(name) \
    case Activation::name: return task.template operator()<Activation::name>();
    switch (activation) {
        SHUFFLEKIT_CASE(none) SHUFFLEKIT_CASE(relu) SHUFFLEKIT_CASE(relu6) SHUFFLEKIT_CASE(clamp) SHUFFLEKIT_CASE(hardswish)
        SHUFFLEKIT_CASE(hardsigmoid) SHUFFLEKIT_CASE(sigmoid) SHUFFLEKIT_CASE(silu) SHUFFLEKIT_CASE(leaky_relu) SHUFFLEKIT_CASE(tanh)
        SHUFFLEKIT_CASE(gelu) SHUFFLEKIT_CASE(gelu_tanh) SHUFFLEKIT_CASE(elu) SHUFFLEKIT_CASE(selu) SHUFFLEKIT_CASE(mish)
        SHUFFLEKIT_CASE(softplus) SHUFFLEKIT_CASE(log_sigmoid) SHUFFLEKIT_CASE(threshold) SHUFFLEKIT_CASE(exp)
        SHUFFLEKIT_CASE(log) SHUFFLEKIT_CASE(sqrt) SHUFFLEKIT_CASE(rsqrt) SHUFFLEKIT_CASE(reciprocal) SHUFFLEKIT_CASE(square)
        SHUFFLEKIT_CASE(power) SHUFFLEKIT_CASE(abs) SHUFFLEKIT_CASE(erf) SHUFFLEKIT_CASE(floor) SHUFFLEKIT_CASE(ceil) SHUFFLEKIT_CASE(round)
        SHUFFLEKIT_CASE(prelu)
    }
#undef SHUFFLEKIT_CASE
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
