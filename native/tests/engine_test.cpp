// engine_test PLAN         what runs take of the heap: for each number of threads, one line of the bytes that the first image and the
//                          first batch take; exit code 1 if any later run takes something, or a huge page has no chance
// engine_test PLAN FORKS   forks while threads run engines; exit code 1 at the first child whose engine hangs or is wrong
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <thread>
#include <vector>

#include "engine.h"
#include "plan_file.h"

namespace {

std::atomic<long long> taken_bytes = 0, taken_blocks = 0;
std::atomic<int> huge_blocks = 0, given_back = 0;  // of those, whose small pages went back

void* take(size_t border, size_t bytes) {
    taken_bytes += static_cast<long long>(bytes), ++taken_blocks;
    void* block = nullptr;
    if (posix_memalign(&block, border, bytes)) std::abort();
    return block;
}

}  // namespace

// In place of the C++ library's and, for Memory, of the C library's.
void* operator new(size_t bytes) { return take(sizeof(void*) * 2, bytes); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }
extern "C" void* aligned_alloc(size_t border, size_t bytes) {
    huge_blocks += border == 2 << 20;
    return take(border, bytes);
}
// As the C library declares it: glibc says noexcept, musl does not.
extern "C" int madvise(void* start, size_t bytes, int advice) noexcept(noexcept(madvise(nullptr, 0, 0))) {
    given_back += advice == MADV_DONTNEED;
    return static_cast<int>(syscall(SYS_madvise, start, bytes, advice));
}

namespace {

using namespace shufflekit;

struct Outputs {
    std::vector<std::vector<float>> values;
    std::vector<void*> places;

    Outputs(const Engine& engine, int64_t images) {
        for (const Tensor& output : engine.program().outputs()) values.emplace_back(static_cast<size_t>(images * output.elements));
        for (auto& output : values) places.push_back(output.data());
    }
};

struct Inputs {
    std::vector<std::vector<float>> values;
    std::vector<const void*> places;

    Inputs(const Engine& engine, int64_t images) {
        for (const Tensor& input : engine.program().inputs()) {
            auto& own = values.emplace_back(static_cast<size_t>(images * input.elements));
            for (size_t i = 0; i < own.size(); ++i) own[i] = static_cast<float>(i % 17) / 17 - 0.5f;
        }
        for (auto& input : values) places.push_back(input.data());
    }
};

int heap(const char* plan) {
    int failed = 0;
    for (const int threads : {1, 2, 3, 6, 12}) {
        const Engine engine(load_program(plan), threads, "");
        const int64_t most = 2 * threads + 1;
        const Inputs input(engine, most);
        const Outputs outputs(engine, most);
        const auto bytes_of = [&](int64_t images) {
            const long long before = taken_bytes;
            engine.run(input.places.data(), images, outputs.places.data());
            return taken_bytes - before;
        };
        const long long one = bytes_of(1), batch = bytes_of(most), blocks = taken_blocks;
        for (const int64_t images : {int64_t{1}, int64_t{2}, most - 1, most}) bytes_of(images);
        const long long more = taken_blocks - blocks;
        const auto arena = static_cast<long long>(engine.program().arena());
        const auto scratch = static_cast<long long>(engine.program().scratch());
        std::printf("threads %d: arena %lld, scratch %lld, first image %lld, batch %lld, later blocks %lld\n", threads, arena, scratch, one, batch, more);
        failed |= more != 0 || huge_blocks != given_back;
    }
    return failed;
}

// Whether a batch and an image come out right in a child, in five seconds.
bool child_is_right(const Engine& engine, const Inputs& input, const Outputs& needed) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(5);
        const Outputs found(engine, 3);
        engine.run(input.places.data(), 3, found.places.data());
        const bool equal = found.values == needed.values;
        engine.run(input.places.data(), 1, found.places.data());
        _exit(equal && found.values == needed.values ? 0 : 1);
    }
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int forks(const char* plan, int count) {
    for (const int threads : {1, 2}) {
        const Engine engine(load_program(plan), threads, "");
        const Inputs input(engine, 3);
        const Outputs needed(engine, 3);
        engine.run(input.places.data(), 3, needed.places.data());
        std::atomic<bool> stop = false;
        std::vector<std::thread> runners;
        for (int i = 0; i < 3; ++i)
            runners.emplace_back([&] {
                for (const Outputs own(engine, 1); !stop;) engine.run(input.places.data(), 1, own.places.data());
            });
        int done = 0;
        while (done < count && child_is_right(engine, input, needed)) ++done;
        stop = true;
        for (auto& runner : runners) runner.join();
        std::printf("threads %d: %d of %d children are right\n", threads, done, count);
        if (done < count) return 1;
    }
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    if (count == 2) return heap(arguments[1]);
    return count == 3 ? forks(arguments[1], std::atoi(arguments[2])) : 2;
}
