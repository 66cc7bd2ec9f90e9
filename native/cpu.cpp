#include "cpu.h"

#include <algorithm>

#include "kernels/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace shufflekit {

#if defined(__x86_64__)
namespace {

enum Register { eax, ebx, ecx, edx };

struct Feature {
    std::string_view name;
    unsigned leaf, subleaf;
    Register in;
    int bit;
    unsigned states;  // registers that the operating system must keep, bits of XCR0
};

constexpr unsigned ymm = 0x6, zmm = 0xe6;
constexpr Feature features[] = {
    {"sse2", 1, 0, edx, 26, 0},          {"sse4.2", 1, 0, ecx, 20, 0},        {"avx", 1, 0, ecx, 28, ymm},
    {"avx2", 7, 0, ebx, 5, ymm},         {"fma", 1, 0, ecx, 12, ymm},         {"avx512f", 7, 0, ebx, 16, zmm},
    {"avx512bw", 7, 0, ebx, 30, zmm},    {"avx512dq", 7, 0, ebx, 17, zmm},    {"avx512vl", 7, 0, ebx, 31, zmm},
    {"avx512vnni", 7, 0, ecx, 11, zmm},  {"avx512vbmi", 7, 0, ecx, 1, zmm},   {"avx512bf16", 7, 1, eax, 5, zmm},
    {"avxvnni", 7, 1, eax, 4, ymm},
};

// Asked of the processor itself: in programs that zig links, __builtin_cpu_supports always says no (0.17).
bool has(const Feature& feature) {
    unsigned found[4] = {};
    if (!__get_cpuid_count(1, 0, &found[eax], &found[ebx], &found[ecx], &found[edx])) return false;
    unsigned kept = 0, high = 0;
    if (found[ecx] & bit_OSXSAVE) __asm__("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
    if ((kept & feature.states) != feature.states) return false;
    if (!__get_cpuid_count(feature.leaf, feature.subleaf, &found[eax], &found[ebx], &found[ecx], &found[edx])) return false;
    return found[feature.in] >> feature.bit & 1;
}

bool has(std::string_view name) {
    for (const Feature& feature : features)
        if (feature.name == name) return has(feature);
    return false;
}

}  // namespace
#endif

bool runs_here(std::string_view isa) {
#if defined(__x86_64__)
    const bool avx2 = has("avx2") && has("fma");
    if (isa == "avx2") return avx2;
    if (isa == "avxvnni") return avx2 && has(isa);
    const bool avx512 = avx2 && has("avx512f") && has("avx512bw") && has("avx512dq") && has("avx512vl");  // CMakeLists.txt's flags
    if (isa == "avx512") return avx512;
    if (isa == "avx512vnni" || isa == "avx512bf16" || isa == "avx512vbmi") return avx512 && has(isa);
#endif
#if defined(__aarch64__)
    const auto has = [features = vector_features()](std::string_view name) { return std::find(features.begin(), features.end(), name) != features.end(); };
    if (isa == "neondot") return has("asimddp");
    if (isa == "neoni8mm") return has("asimddp") && has("i8mm");
#endif
    // Every aarch64 has NEON, and a WebAssembly file is not loaded where its set is missing; elsewhere nothing is compiled for them.
    return isa == "scalar" || isa == "neon" || isa == "simd128" || isa == "relaxed";
}

#define SHUFFLEKIT_ADD(isa) \
    if (runs_here(#isa)) names.push_back(#isa);
std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_ADD)
    return names;
}

std::vector<std::string> engine_sets() {
    std::vector<std::string> names;
    SHUFFLEKIT_ENGINE_ISA(SHUFFLEKIT_ADD)
    return names;
}
#undef SHUFFLEKIT_ADD

std::vector<std::string> vector_features() {
    std::vector<std::string> names;
#if defined(__x86_64__)
    for (const Feature& feature : features)
        if (has(feature)) names.emplace_back(feature.name);
#elif defined(__aarch64__) && defined(__linux__)
    const auto add = [&](const char* name, bool has) {
        if (has) names.push_back(name);
    };
    const unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
    add("asimd", first & HWCAP_ASIMD);
    add("asimdhp", first & HWCAP_ASIMDHP);
    add("asimddp", first & HWCAP_ASIMDDP);
    add("sve", first & HWCAP_SVE);
    add("i8mm", second & HWCAP2_I8MM);
    add("bf16", second & HWCAP2_BF16);
#elif defined(__aarch64__) && defined(__APPLE__)
    const auto add = [&](const char* name, const char* key) {
        int has = 0;
        size_t size = sizeof(has);
        if (sysctlbyname(key, &has, &size, nullptr, 0) == 0 && has) names.push_back(name);
    };
    names.push_back("asimd");
    add("asimdhp", "hw.optional.arm.FEAT_FP16");
    add("asimddp", "hw.optional.arm.FEAT_DotProd");
    add("i8mm", "hw.optional.arm.FEAT_I8MM");
    add("bf16", "hw.optional.arm.FEAT_BF16");
#endif
    return names;
}

}  // namespace shufflekit
