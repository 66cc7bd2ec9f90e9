// Runs a program: walks its steps for each image, on one thread or several. Knows no network.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string_view>
#include <vector>

#include "program.h"
#include "thread_pool.h"

namespace shufflekit {

inline constexpr int most_threads = 256;

class Engine {
  public:
    // instruction_set: a name of SHUFFLEKIT_ENGINE_ISA that runs here, or empty for the best. Throws std::invalid_argument.
    Engine(Program program, int threads, std::string_view instruction_set);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    const Program& program() const { return program_; }
    int threads() const { return threads_; }
    std::string_view instruction_set() const { return kernels_.isa; }

    // For each input and output its images, one after another, dense; one that is not there image by image, once. Any number of threads may call it at the same time: one of
    // them has the engine's threads, the others do without. So may forked children, whatever the parent's threads were doing.
    // A batch of at least `threads` images is shared out image by image, a smaller one step by step. Throws std::invalid_argument for
    // a number of images that the plan does not take.
    void run(const void* const* inputs, int64_t images, void* const* outputs) const;

    // Seconds of each step, for each repeat, of the first image. Throws std::invalid_argument for less than one repeat.
    std::vector<std::vector<double>> profile(const void* const* inputs, int repeats) const;

  private:
    struct Context;  // memory for one call
    struct Image {
        const void* const* inputs;  // of the batch
        void* const* outputs;
        int64_t number;  // in the batch
    };

    ThreadPool* pool_here() const;
    std::unique_ptr<Context> take_context() const;
    void give_back(std::unique_ptr<Context> context) const;
    void check(int64_t images) const;
    void run_step(const Step& step, char* arena, char* scratch, const Image& image, int part, int parts) const;

    const Program program_;
    const Kernels kernels_;
    const int threads_;
    // Without locks: one that is held when the process forks is held in the child for ever.
    mutable std::atomic<ThreadPool*> pool_ = nullptr;  // of more than one thread
    mutable std::array<std::atomic<Context*>, 64> spare_contexts_{};
};

}  // namespace shufflekit
