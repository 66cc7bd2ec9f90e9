// plan_fuzz.cpp without libFuzzer, for any compiler with sanitizers:
//   plan_fuzz [--runs N] [--seed N] PLAN...
// Tries each plan as it is, then N changed ones. What a sanitizer stops at is kept in crash.plan; `plan_fuzz crash.plan` does it again.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned int seed);
extern "C" void __sanitizer_set_death_callback(void (*callback)());

namespace {

std::mt19937 random_bits;
std::vector<uint8_t> at_hand;

void keep_input() {
    std::ofstream("crash.plan", std::ios::binary).write(reinterpret_cast<const char*>(at_hand.data()), static_cast<std::streamsize>(at_hand.size()));
    std::fprintf(stderr, "plan_fuzz: the input is kept in crash.plan\n");
}

// Returns the milliseconds it took. The copy ends where its memory does.
double try_one() {
    const std::vector<uint8_t> exact(at_hand.begin(), at_hand.end());
    const auto begin = std::chrono::steady_clock::now();
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

// Some bytes, most of them in the first part, where the plan lies.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most) {
    const auto below = [](size_t count) { return count ? random_bits() % count : 0; };
    switch (below(8)) {
        case 0: return below(size + 1);  // cut off
        case 1: return std::min(most, size + below(64));
        default: break;
    }
    for (size_t i = 1 + below(4); i > 0 && size > 0; --i) {
        uint8_t& byte = data[below(4) ? below(std::min<size_t>(size, 8192)) : below(size)];
        byte = below(2) ? static_cast<uint8_t>(byte ^ (1 << below(8))) : static_cast<uint8_t>("\0\xff{}[]\",:0-9e."[below(15)]);
    }
    return size;
}

int main(int count, char** arguments) {
    long runs = 0, seed = 0;
    std::vector<std::vector<uint8_t>> pool;
    for (int i = 1; i < count; ++i) {
        const std::string word = arguments[i];
        if ((word == "--runs" || word == "--seed") && i + 1 < count) {
            (word == "--runs" ? runs : seed) = std::atol(arguments[++i]);
            continue;
        }
        std::ifstream file(word, std::ios::binary);
        if (!file) return std::fprintf(stderr, "plan_fuzz: %s: cannot be read\n", word.c_str()), 2;
        pool.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    if (pool.empty()) return std::fprintf(stderr, "usage: plan_fuzz [--runs N] [--seed N] PLAN...\n"), 2;
    __sanitizer_set_death_callback(keep_input);
    random_bits.seed(static_cast<uint32_t>(seed));
    double slowest = 0;
    for (const auto& plan : pool) {
        at_hand = plan;
        slowest = std::max(slowest, try_one());
    }
    for (long run = 0; run < runs; ++run) {
        at_hand = pool[random_bits() % pool.size()];
        const size_t size = at_hand.size();
        at_hand.resize(size + 4096);
        at_hand.resize(LLVMFuzzerCustomMutator(at_hand.data(), size, at_hand.size(), random_bits()));
        slowest = std::max(slowest, try_one());
    }
    std::printf("slowest %.1f ms\n", slowest);
    return 0;
}
