// Activations on a vector or a float, for the epilogues of kernels.
//
// Include it only in sources that CMake compiles once per instruction set: everything here lies in that set's namespace.
// A NaN stays a NaN.
#pragma once

#include "kernels/activation.h"
#include "kernels/isa.h"

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
enum class Bounds { none, lower, both };

template <Bounds B, class V>
[[gnu::always_inline]] inline V bounded(V x, V low, V high) {
    if constexpr (B == Bounds::lower) return x < low ? low : x;
    if constexpr (B == Bounds::both) return between(x, low, high);
    return x;
}

// Calls task<B>() for the activation's bounds; one that is no bounds has none.
template <class Task>
[[gnu::always_inline]] inline void with_bounds(Activation activation, Task task) {
    switch (activation) {
        case Activation::relu: return task.template operator()<Bounds::lower>();
        case Activation::relu6: return task.template operator()<Bounds::both>();
        default: return task.template operator()<Bounds::none>();
    }
}

// e^x = 2^n e^r, n = round(x / ln 2), |r| <= ln 2 / 2: e^r by its series to r^6 / 6!, which leaves 1.3e-7 of it at most.
// n ends at -127 and 128, whose 2^n are 0 and infinity by their bits: what float32 has no normal number for is one of them.
template <class V>
[[gnu::always_inline]] inline V exponential(V x) {
    x = at_most(at_least(x, -88.0f), 89.0f);
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
    sum = sum * r + 1.0f;
    using bits = typename Bits<V>::type;
    return sum * __builtin_bit_cast(V, (__builtin_bit_cast(bits, shifted) + 127) << 23);
}

template <Activation A, class V>
[[gnu::always_inline]] inline V activate(V x, float slope) {
    if constexpr (A == Activation::relu) return at_least(x, 0.0f);
    if constexpr (A == Activation::relu6) return at_most(at_least(x, 0.0f), 6.0f);
    if constexpr (A == Activation::hardsigmoid) return at_most(at_least(x + 3.0f, 0.0f), 6.0f) * (1.0f / 6);
    if constexpr (A == Activation::hardswish) return x * at_most(at_least(x + 3.0f, 0.0f), 6.0f) * (1.0f / 6);
    if constexpr (A == Activation::sigmoid) return 1.0f / (1.0f + exponential(-x));
    if constexpr (A == Activation::silu) return x / (1.0f + exponential(-x));
    if constexpr (A == Activation::leaky_relu || A == Activation::prelu) {
        const V scaled = slope * x;
        return x < V{} ? scaled : x;
    }
    return x;
}

// Calls task<A>() for the activation given, so that a loop inside `task` asks no more:
//   with_activation(epilogue.activation, [&]<Activation A>() { for (...) store(p, activate<A>(load(p), slope)); });
template <class Task>
[[gnu::always_inline]] inline void with_activation(Activation activation, Task task) {
    switch (activation) {
        case Activation::none: return task.template operator()<Activation::none>();
        case Activation::relu: return task.template operator()<Activation::relu>();
        case Activation::relu6: return task.template operator()<Activation::relu6>();
        case Activation::hardswish: return task.template operator()<Activation::hardswish>();
        case Activation::hardsigmoid: return task.template operator()<Activation::hardsigmoid>();
        case Activation::sigmoid: return task.template operator()<Activation::sigmoid>();
        case Activation::silu: return task.template operator()<Activation::silu>();
        case Activation::leaky_relu: return task.template operator()<Activation::leaky_relu>();
        case Activation::prelu: return task.template operator()<Activation::prelu>();
    }
}

// The same for a value now and then.
template <class V>
inline V activate(V x, Activation activation, float slope) {
    with_activation(activation, [&]<Activation A>() { x = activate<A>(x, slope); });
    return x;
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
