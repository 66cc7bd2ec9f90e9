#include "microbenchmark.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <bit>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#ifdef __linux__
#include <sched.h>
#elif defined(_WIN32)
#include <windows.h>
#endif

#include "cpu.h"
#include "kernels/copy/copy.h"
#include "kernels/multiply_add/multiply_add.h"
#include "kernels/multiply_add_int8/multiply_add_int8.h"
#include "memory.h"

namespace shufflekit {
namespace {

// The lists, best first. They feed selection, tests and benchmarks.
#define SHUFFLEKIT_ENTRY(isa) {#isa, isa::multiply_add_lanes, isa::multiply_add},
const MultiplyAddKernel multiply_add_kernels[] = {SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_ENTRY)};
#undef SHUFFLEKIT_ENTRY
#define SHUFFLEKIT_ENTRY(isa) {#isa, isa::multiply_add_int8_lanes, isa::multiply_add_int8_products, isa::multiply_add_int8},
const MultiplyAddInt8Kernel multiply_add_int8_kernels[] = {SHUFFLEKIT_DOT_ISA(SHUFFLEKIT_ENTRY)};
#undef SHUFFLEKIT_ENTRY
#define SHUFFLEKIT_ENTRY(isa) {#isa, isa::copy},
const CopyKernel copy_kernels[] = {SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_ENTRY)};
#undef SHUFFLEKIT_ENTRY

template <class Kernels>
const auto& find(const Kernels& kernels, std::string_view isa) {
    for (const auto& kernel : kernels)
        if (kernel.isa == isa && runs_here(isa)) return kernel;
    throw std::invalid_argument("instruction_set: must be one that runs here, found " + std::string(isa));
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Moves the calling thread to the core of that number among those it may use. Left alone, threads that wake together share
// a core for longer than our windows last (seen on a 2-core EPYC: two threads at the rate of one).
void pin_to_core([[maybe_unused]] int number) {
#ifdef __linux__
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
    number %= CPU_COUNT(&allowed);
    for (int core = 0; core < CPU_SETSIZE; ++core)
        if (CPU_ISSET(core, &allowed) && number-- == 0) {
            CPU_ZERO(&one);
            CPU_SET(core, &one);
            sched_setaffinity(0, sizeof(one), &one);
            return;
        }
#elif defined(_WIN32)
    DWORD_PTR allowed, all;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &allowed, &all) || !allowed) return;
    for (number %= std::popcount(allowed); number > 0; --number) allowed &= allowed - 1;
    SetThreadAffinityMask(GetCurrentThread(), allowed & -allowed);
#endif  // macOS has no such call
}

// Seconds from the first start to the last end of `work(thread)` on all threads at once, for each repeat.
std::vector<double> time_together(int threads, int repeats, const std::function<void(int)>& work) {
    std::vector<double> begin(threads * repeats), end(threads * repeats);
    std::barrier together(threads);
    const auto run = [&](int thread) {
        if (threads > 1) pin_to_core(thread);
        for (int repeat = 0; repeat < repeats; ++repeat) {
            together.arrive_and_wait();
            begin[repeat * threads + thread] = now();
            work(thread);
            end[repeat * threads + thread] = now();
        }
    };
    {
        std::vector<std::jthread> workers;
        for (int thread = 0; thread < threads; ++thread) workers.emplace_back(run, thread);
    }
    std::vector<double> seconds;
    for (int repeat = 0; repeat < repeats; ++repeat) {
        const auto first = repeat * threads, last = first + threads;
        seconds.push_back(*std::max_element(end.begin() + first, end.begin() + last) -
                          *std::min_element(begin.begin() + first, begin.begin() + last));
    }
    return seconds;
}

// Rates of `work(thread)`, which does `amount` of something, repeated until it fills the window.
std::vector<double> rates(int threads, double window_ms, int repeats, double amount, const std::function<void(int)>& work) {
    time_together(threads, 1, work);  // touches the memory, wakes the vector units
    const double once = std::max(time_together(threads, 1, work)[0], 1e-9);
    const auto passes = std::max<int64_t>(1, std::llround(window_ms * 1e-3 / once));
    auto seconds = time_together(threads, repeats, [&](int thread) {
        for (int64_t pass = 0; pass < passes; ++pass) work(thread);
    });
    for (double& value : seconds) value = amount * threads * passes / value;
    return seconds;
}

void check(int threads, double window_ms, int repeats) {
    if (threads < 1) throw std::invalid_argument("threads: must be 1 or more, found " + std::to_string(threads));
    if (repeats < 1) throw std::invalid_argument("repeats: must be 1 or more, found " + std::to_string(repeats));
    if (!(window_ms > 0 && window_ms <= 10000))
        throw std::invalid_argument("window_ms: must be above 0 and at most 10000, found " + std::to_string(window_ms));
}

// Of sum(rounds), which must come out as it does of ones.
template <class Kernel>
std::vector<double> rates_of(const Kernel& kernel, int threads, double window_ms, int repeats, const auto& sum) {
    check(threads, window_ms, repeats);
    const int64_t rounds = 1 << 14;
    const auto amount = static_cast<double>(kernel.multiply_adds(rounds));
    std::atomic<bool> wrong = false;
    auto result = rates(threads, window_ms, repeats, amount, [&](int) {
        if (sum(rounds) != kernel.sum_of_ones(rounds)) wrong = true;
    });
    if (wrong) throw std::runtime_error(std::string("multiply_add: wrong sum with ") + kernel.isa);
    return result;
}

}  // namespace

std::vector<double> multiply_add_rates(std::string_view isa, int threads, double window_ms, int repeats) {
    const MultiplyAddKernel& kernel = find(multiply_add_kernels, isa);
    return rates_of(kernel, threads, window_ms, repeats, [&](int64_t rounds) { return static_cast<int64_t>(kernel.run(rounds, 1.0f, 1.0f, 1.0f)); });
}

std::vector<double> multiply_add_int8_rates(std::string_view isa, int threads, double window_ms, int repeats) {
    const MultiplyAddInt8Kernel& kernel = find(multiply_add_int8_kernels, isa);
    return rates_of(kernel, threads, window_ms, repeats, [&](int64_t rounds) { return kernel.run(rounds, 1, 1); });
}

std::vector<std::string> int8_sets() {
    std::vector<std::string> names;
    for (const auto& kernel : multiply_add_int8_kernels)
        if (runs_here(kernel.isa)) names.push_back(kernel.isa);
    return names;
}

std::vector<double> copy_rates(std::string_view isa, int threads, int64_t working_set_bytes, double window_ms, int repeats) {
    const CopyKernel& kernel = find(copy_kernels, isa);
    check(threads, window_ms, repeats);
    const int64_t count = working_set_bytes / 2 / static_cast<int64_t>(sizeof(float));
    if (count < copy_block || count % copy_block)
        throw std::invalid_argument("working_set_bytes: must be a multiple of 512, found " + std::to_string(working_set_bytes));
    // The halves lie half a page apart (plus a line), else loads would wait for stores with the same low address bits.
    const int64_t gap = 2048 / sizeof(float) + copy_block;
    std::vector<std::unique_ptr<float[], decltype(&free_aligned)>> memory;
    for (int thread = 0; thread < threads; ++thread) {
        memory.emplace_back(
            static_cast<float*>(allocate_aligned(4096, ((2 * count + gap) * sizeof(float) + 4095) / 4096 * 4096)), &free_aligned);
        if (!memory.back()) throw std::bad_alloc();
        memory.back()[0] = 1, memory.back()[count - 1] = static_cast<float>(count);
    }
    auto result = rates(threads, window_ms, repeats, static_cast<double>(working_set_bytes),
                        [&](int thread) { kernel.run(memory[thread].get(), memory[thread].get() + count + gap, count); });
    for (const auto& each : memory)
        if (each[count + gap] != each[0] || each[2 * count + gap - 1] != each[count - 1])
            throw std::runtime_error("copy: wrong copy with " + std::string(isa));
    return result;
}

}  // namespace shufflekit
