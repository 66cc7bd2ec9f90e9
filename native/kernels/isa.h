// The instruction sets that kernels are compiled for, and the vector of the one being compiled.
//
// CMake's add_kernel compiles a kernel's source once per set, with SHUFFLEKIT_ISA (its name, also the namespace),
// SHUFFLEKIT_VECTOR_BYTES and SHUFFLEKIT_VECTOR_REGISTERS defined. Sources compiled so include nothing with inline functions from the standard library:
// the linker keeps one copy of those, and it could be the one with AVX-512 instructions in it.
#pragma once

// Best first; the lists of CMakeLists.txt in C++. X(set, what follows X...) for each. A set that only some kernels have code for follows the
// one that it extends: who asks for that gets it too, where it runs. AVX-VNNI and NEON's stand before it, which can so be had without.
#if defined(__x86_64__)
#define SHUFFLEKIT_INT8_ISA(X, ...) \
    X(avx512vnni __VA_OPT__(,) __VA_ARGS__) X(avxvnni __VA_OPT__(,) __VA_ARGS__) X(avx2 __VA_OPT__(,) __VA_ARGS__) X(scalar __VA_OPT__(,) __VA_ARGS__)
#define SHUFFLEKIT_BFLOAT16_ISA(X, ...) \
    X(avx512bf16 __VA_OPT__(,) __VA_ARGS__) X(avx2 __VA_OPT__(,) __VA_ARGS__) X(scalar __VA_OPT__(,) __VA_ARGS__)
#define SHUFFLEKIT_TABLE_ISA(X, ...) \
    X(avx512vbmi __VA_OPT__(,) __VA_ARGS__) X(avx2 __VA_OPT__(,) __VA_ARGS__) X(scalar __VA_OPT__(,) __VA_ARGS__)
#define SHUFFLEKIT_ANY_ISA(X) X(avx512) X(avx512vnni) X(avx512bf16) X(avx512vbmi) X(avxvnni) X(avx2) X(scalar)
#define SHUFFLEKIT_EACH_ISA(X, ...) \
    X(avx512 __VA_OPT__(,) __VA_ARGS__) X(avx2 __VA_OPT__(,) __VA_ARGS__) X(scalar __VA_OPT__(,) __VA_ARGS__)
#elif defined(__aarch64__)
#define SHUFFLEKIT_EACH_ISA(X, ...) X(neon __VA_OPT__(,) __VA_ARGS__) X(scalar __VA_OPT__(,) __VA_ARGS__)
#elif defined(__wasm_relaxed_simd__)  // a file has one set: it was chosen by whoever loads the file
#define SHUFFLEKIT_EACH_ISA(X, ...) X(relaxed __VA_OPT__(,) __VA_ARGS__)
#elif defined(__wasm_simd128__)
#define SHUFFLEKIT_EACH_ISA(X, ...) X(simd128 __VA_OPT__(,) __VA_ARGS__)
#else
#define SHUFFLEKIT_EACH_ISA(X, ...) X(scalar __VA_OPT__(,) __VA_ARGS__)
#endif
#ifndef SHUFFLEKIT_INT8_ISA
#define SHUFFLEKIT_INT8_ISA(X, ...) SHUFFLEKIT_EACH_ISA(X __VA_OPT__(,) __VA_ARGS__)
#define SHUFFLEKIT_BFLOAT16_ISA(X, ...) SHUFFLEKIT_EACH_ISA(X __VA_OPT__(,) __VA_ARGS__)
#define SHUFFLEKIT_TABLE_ISA(X, ...) SHUFFLEKIT_EACH_ISA(X __VA_OPT__(,) __VA_ARGS__)
#endif

// Below are more of them.
#ifdef SHUFFLEKIT_ISA
namespace shufflekit::SHUFFLEKIT_ISA {

inline constexpr int vector_lanes = SHUFFLEKIT_VECTOR_BYTES / sizeof(float);
inline constexpr int vector_registers = SHUFFLEKIT_VECTOR_REGISTERS;

#if SHUFFLEKIT_VECTOR_BYTES == 4
using vector = float;
#else
using vector = float __attribute__((vector_size(SHUFFLEKIT_VECTOR_BYTES), may_alias));
#endif

struct __attribute__((packed, may_alias)) Unaligned {
    vector value;
};

[[gnu::always_inline]] inline vector load(const float* p) { return reinterpret_cast<const Unaligned*>(p)->value; }
[[gnu::always_inline]] inline void store(float* p, vector x) { reinterpret_cast<Unaligned*>(p)->value = x; }

}  // namespace shufflekit::SHUFFLEKIT_ISA
#endif

// Of kernels that multiply fours of bytes; all of them; those that an engine may be asked for.
#if defined(__x86_64__)
#define SHUFFLEKIT_DOT_ISA(X, ...) SHUFFLEKIT_INT8_ISA(X __VA_OPT__(,) __VA_ARGS__)
#define SHUFFLEKIT_ENGINE_ISA(X) X(avx512) X(avxvnni) X(avx2) X(scalar)
#elif defined(__aarch64__)
#define SHUFFLEKIT_DOT_ISA(X, ...) \
    X(neoni8mm __VA_OPT__(,) __VA_ARGS__) X(neondot __VA_OPT__(,) __VA_ARGS__) SHUFFLEKIT_EACH_ISA(X __VA_OPT__(,) __VA_ARGS__)
#define SHUFFLEKIT_ANY_ISA(X) SHUFFLEKIT_DOT_ISA(X)
#define SHUFFLEKIT_ENGINE_ISA(X) SHUFFLEKIT_DOT_ISA(X)
#else
#define SHUFFLEKIT_DOT_ISA(X, ...) SHUFFLEKIT_EACH_ISA(X __VA_OPT__(,) __VA_ARGS__)
#define SHUFFLEKIT_ANY_ISA(X) SHUFFLEKIT_EACH_ISA(X)
#define SHUFFLEKIT_ENGINE_ISA(X) SHUFFLEKIT_EACH_ISA(X)
#endif
