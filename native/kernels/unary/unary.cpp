// Channels > pixels. Sines are computed in double precision, which the compiler makes vectors of: what is left of a number that is taken
// modulo pi / 2 has lost as many digits as the number has before its point.
#include "kernels/unary/unary.h"

#include "kernels/isa.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

constexpr double half_pi = 1.57079632679489661923, quarters = 0.636619772367581343076;  // quarter turns of 1

// Up to which n * high of n quarter turns is exact, and the digits that follow are enough.
constexpr float most = 1e5f;
constexpr double high = 1.57079632673412561417, low = 6.07710050650619224932e-11;  // 33 bits of pi / 2, and what follows

// Of r up to pi / 4, by their series.
[[gnu::always_inline]] inline double short_sine(double r) {
    const double s = r * r;
    return r + r * s * (-1.0 / 6 + s * (1.0 / 120 + s * (-1.0 / 5040 + s * (1.0 / 362880))));
}
[[gnu::always_inline]] inline double short_cosine(double r) {
    const double s = r * r;
    return 1 + s * (-0.5 + s * (1.0 / 24 + s * (-1.0 / 720 + s * (1.0 / 40320 + s * (-1.0 / 3628800)))));
}

// The sine of n quarter turns and r.
[[gnu::always_inline]] inline float sine_of(int64_t n, double r) {
    const double size = n & 1 ? short_cosine(r) : short_sine(r);
    return static_cast<float>(n & 2 ? -size : size);
}

[[gnu::always_inline]] inline float sine(float x, int64_t turns) {
    constexpr double to_integer = 6755399441055744;  // 1.5 * 2^52: the sum's last bits are n
    const double shifted = x * quarters + to_integer, n = shifted - to_integer;
    return sine_of(__builtin_bit_cast(int64_t, shifted) + turns, x - n * high - n * low);
}

// Of any number: its 24 bits times the bits of 2 / pi from where whole turns end on (Payne and Hanek, 1983).
float sine_of_large(float x, int64_t turns) {
    // 2 / pi in words of 32 bits, behind a word of zeros.
    static constexpr uint64_t bits[] = {0, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab};
    const uint32_t pattern = __builtin_bit_cast(uint32_t, x);
    const int32_t exponent = static_cast<int32_t>(pattern >> 23 & 255) - 150;  // x = mantissa * 2^exponent
    if (exponent > 104) return x - x;
    const uint64_t mantissa = (pattern & 0x7fffff) | 0x800000;
    // The bits of weight 2^(1 - exponent) and less: those before make whole turns of the product.
    const int32_t first = exponent + 32 - 2, word = first >> 5, shift = first & 31;
    const uint64_t upper = bits[word] << 32 | bits[word + 1], lower = bits[word + 2] << 32 | bits[word + 3];
    const uint64_t window = shift ? upper << shift | lower >> (64 - shift) : upper;
    const uint64_t behind = shift ? lower << shift : lower;
    const uint64_t product = mantissa * window + (mantissa * (behind >> 32) >> 32);  // turns of 2^64
    const uint64_t rounded = product + (uint64_t{1} << 61);
    const auto rest = static_cast<int64_t>(product - (rounded >> 62 << 62));
    const double r = static_cast<double>(rest) * (half_pi / 4611686018427387904.0);  // 2^62 is a quarter
    const auto n = static_cast<int64_t>(rounded >> 62);
    // The sine of -x is that of half a turn more and x, and the cosine of -x that of x.
    const bool turned = pattern >> 31 && turns == 0;
    return sine_of(n + turns + (turned ? 2 : 0), r);
}

void sines(const float* in, float* out, int64_t pixels, int64_t turns) {
    for (int64_t first = 0; first < pixels; first += 64) {
        const int64_t last = first + 64 < pixels ? first + 64 : pixels;
        int32_t large = 0;
        for (int64_t p = first; p < last; ++p) large |= !(in[p] <= most && in[p] >= -most);
        if (large)
            for (int64_t p = first; p < last; ++p) {
                const float x = in[p];
                out[p] = x <= most && x >= -most ? sine(x, turns) : sine_of_large(x, turns);
            }
        else
            for (int64_t p = first; p < last; ++p) out[p] = sine(in[p], turns);
    }
}

void signs(const float* in, float* out, int64_t pixels) {
    for (int64_t p = 0; p < pixels; ++p) out[p] = static_cast<float>(in[p] > 0) - static_cast<float>(in[p] < 0);
}

}  // namespace

void unary(const Unary& u, int32_t first_channel, int32_t last_channel) {
    for (int32_t channel = first_channel; channel < last_channel; ++channel) {
        const float* in = u.in[channel];
        float* out = u.out[channel];
        if (u.function == UnaryFunction::sign)
            signs(in, out, u.pixels);
        else
            sines(in, out, u.pixels, u.function == UnaryFunction::cos);
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
