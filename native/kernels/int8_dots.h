// Products of fours of bytes in WebAssembly, exact in each browser: what its relaxed instructions make of bytes beyond 7 bits differs.
#pragma once

#include <wasm_simd128.h>

#include "kernels/int8.h"
#include "kernels/isa.h"

namespace shufflekit::SHUFFLEKIT_ISA {

// How products are summed.
//   bytes: fours of signed weights by unsigned operands, in one instruction (x86 with AVX-VNNI).
//   dots, three: weights w of -64 to 63 become bytes b of 0 to 127, operands x signed bytes a, so that two products together fit into 16 bits,
//     no weight has the bit whose meaning is open, and whatever a browser does gives the same; by the relaxed instruction for fours or, where
//     the browser makes five of that, by three. With x = a + 128 and w = b - 64 a sum of x w is that of a b, less 64 times that of a, which
//     is the pixel's, and 128 times that of w, which is the row's.
//   words: pairs of words.
enum class Way { bytes, dots, three, words };
constexpr bool has_seven_bits(Way way) { return way == Way::dots || way == Way::three; }

inline constexpr int32_t less_of_operands = 128, less_of_weights = 64;

template <Way way>
[[gnu::always_inline]] inline v128_t plus_product(v128_t sum, v128_t operands, v128_t weights) {
    if constexpr (way == Way::bytes)
        return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(weights, operands, sum);
    else if constexpr (way == Way::dots)
        return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(operands, weights, sum);
    else if constexpr (way == Way::three)
        return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(wasm_i16x8_relaxed_dot_i8x16_i7x16(operands, weights), wasm_i16x8_splat(1)));
    else
        return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(operands, weights));
}

#if defined(__wasm_relaxed_simd__)
// The best of the first three here. The largest products tell: one instruction sums them in 32 bits, x86 without it saturates at 16, and
// others take the second bytes as signed.
inline Way way_here() {
    const v128_t sums = plus_product<Way::dots>(wasm_i32x4_splat(0), wasm_i8x16_splat(127), wasm_i8x16_splat(-1));
    const int32_t found = wasm_i32x4_extract_lane(sums, 0);
    return found == 4 * 127 * 255 ? Way::bytes : found == 2 * INT16_MAX ? Way::three : Way::dots;
}
#endif

// Bytes of 16 pixels of four planes, those of four pixels together.
[[gnu::always_inline]] inline void fours_of(v128_t a, v128_t b, v128_t c, v128_t d, v128_t (&fours)[4]) {
    const auto low = [](v128_t x, v128_t y) { return wasm_i8x16_shuffle(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23); };
    const auto high = [](v128_t x, v128_t y) { return wasm_i8x16_shuffle(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31); };
    const v128_t ac0 = low(a, c), ac1 = high(a, c), bd0 = low(b, d), bd1 = high(b, d);
    fours[0] = low(ac0, bd0), fours[1] = high(ac0, bd0), fours[2] = low(ac1, bd1), fours[3] = high(ac1, bd1);
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
