#include "cpu.h"

#include "kernels/isa.h"

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace shufflekit {

bool runs_here(std::string_view isa) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (isa == "avx2") return avx2;
    if (isa == "avx512")  // the flags of CMakeLists.txt
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return isa == "scalar" || isa == "neon";  // every aarch64 has NEON; elsewhere nothing is compiled for it
}

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
#define SHUFFLEKIT_ADD(isa) \
    if (runs_here(#isa)) names.push_back(#isa);
    SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_ADD)
#undef SHUFFLEKIT_ADD
    return names;
}

std::vector<std::string> vector_features() {
    std::vector<std::string> names;
    [[maybe_unused]] const auto add = [&](const char* name, bool has) {
        if (has) names.push_back(name);
    };
#if defined(__x86_64__)
    __builtin_cpu_init();
#define SHUFFLEKIT_ADD(name) add(name, __builtin_cpu_supports(name))
    SHUFFLEKIT_ADD("sse2");
    SHUFFLEKIT_ADD("sse4.2");
    SHUFFLEKIT_ADD("avx");
    SHUFFLEKIT_ADD("avx2");
    SHUFFLEKIT_ADD("fma");
    SHUFFLEKIT_ADD("avx512f");
    SHUFFLEKIT_ADD("avx512bw");
    SHUFFLEKIT_ADD("avx512dq");
    SHUFFLEKIT_ADD("avx512vl");
    SHUFFLEKIT_ADD("avx512vnni");
    SHUFFLEKIT_ADD("avx512bf16");
#undef SHUFFLEKIT_ADD
#elif defined(__aarch64__) && defined(__linux__)
    const unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
    add("asimd", first & HWCAP_ASIMD);
    add("asimdhp", first & HWCAP_ASIMDHP);
    add("asimddp", first & HWCAP_ASIMDDP);
    add("sve", first & HWCAP_SVE);
    add("i8mm", second & HWCAP2_I8MM);
    add("bf16", second & HWCAP2_BF16);
#endif
    return names;
}

}  // namespace shufflekit
