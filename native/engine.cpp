#include "engine.h"

#include <chrono>
#include <functional>
#include <string>

#include "fail.h"

namespace shufflekit {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Where image `number` of a tensor starts; one that is not there image by image is the same for all.
template <class Byte>
Byte* image_of(const Tensor& tensor, Byte* memory, int64_t number) {
    return tensor.batched ? memory + number * tensor.bytes() : memory;
}

}  // namespace

// An arena for each image under way and scratch for each thread at work, made when they are first needed.
struct Engine::Context {
    std::vector<Memory<char>> arenas, scratches;

    explicit Context(int threads) : arenas(static_cast<size_t>(threads)), scratches(static_cast<size_t>(threads)) {}

    void prepare(const Program& program, int images, int threads) {
        for (int i = 0; i < images; ++i)
            if (!arenas[i].data()) arenas[i] = Memory<char>(static_cast<size_t>(program.arena() + 2 * slack));
        for (int i = 0; i < threads; ++i)
            if (!scratches[i].data()) scratches[i] = Memory<char>(static_cast<size_t>(program.scratch()));
    }

    char* arena(int image) { return arenas[image].data() + slack; }
    char* scratch(int thread) { return scratches[thread].data(); }

  private:
    static constexpr int64_t slack = window_slack * sizeof(float);
};

Engine::Engine(Program program, int threads, std::string_view instruction_set)
    : program_(std::move(program)), kernels_(instruction_set), threads_(threads) {
    if (threads < 1 || threads > most_threads) fail("threads: must be 1 to " + std::to_string(most_threads) + ", found " + std::to_string(threads));
    if (threads == 1) return;
    auto pool = std::make_unique<ThreadPool>(threads);
    if (pool->threads() < threads) fail("threads: the system starts " + std::to_string(pool->threads()) + " of " + std::to_string(threads));
    pool_ = pool.release();
}

Engine::~Engine() {
    ThreadPool* const pool = pool_;
    if (pool && pool->is_here()) delete pool;
    for (auto& spare : spare_contexts_) delete spare.load();
}

// The threads of this process, or null where there are none. A forked child has none of its parent's: it starts its own, and leaves
// the parent's as they are.
ThreadPool* Engine::pool_here() const {
    ThreadPool* pool = pool_.load(std::memory_order_acquire);
    if (!pool || pool->is_here()) return pool;
    auto own = std::make_unique<ThreadPool>(threads_);
    if (own->threads() < threads_) return nullptr;
    return pool_.compare_exchange_strong(pool, own.get()) ? own.release() : pool;  // another thread's may be first
}

void Engine::check(int64_t images) const {
    if (images < 1) fail("count: must be 1 or more, found " + std::to_string(images));
    if (images > 1 && !program_.batched()) fail("count: must be 1, since the plan has a fixed number of images, found " + std::to_string(images));
}

std::unique_ptr<Engine::Context> Engine::take_context() const {
    for (auto& spare : spare_contexts_)
        if (spare.load(std::memory_order_relaxed))
            if (Context* found = spare.exchange(nullptr, std::memory_order_acquire)) return std::unique_ptr<Context>(found);
    return std::make_unique<Context>(threads_);
}

void Engine::give_back(std::unique_ptr<Context> context) const {
    for (auto& spare : spare_contexts_) {
        Context* none = nullptr;
        if (spare.compare_exchange_strong(none, context.get(), std::memory_order_release, std::memory_order_relaxed)) return void(context.release());
    }
}

void Engine::run_step(const Step& step, char* arena, char* scratch, const Image& image, int part, int parts) const {
    const char* in = arena;
    const auto inputs = static_cast<int32_t>(program_.inputs().size());
    if (const int32_t input = step.in_buffer - 1; input == inputs)
        in = program_.weights();
    else if (input >= 0)
        in = image_of(program_.inputs()[input], static_cast<const char*>(image.inputs[input]), image.number);
    char* out = arena;
    if (const int32_t output = step.out_buffer - 1; output >= 0)
        out = image_of(program_.outputs()[output], static_cast<char*>(image.outputs[output]), image.number);
    std::visit(
        [&]<class T>(T arguments) {  // a copy, whose planes are this run's
            if constexpr (!std::is_same_v<T, std::monostate>) {
                arguments.at(in, out, arena);
                arguments.run(kernels_.of(arguments), scratch, part, parts);
            }
        },
        step.arguments);
}

void Engine::run(const void* const* inputs, int64_t images, void* const* outputs) const {
    check(images);
    ThreadPool* const pool = pool_here();
    const auto taken = pool ? pool->try_take() : ThreadPool::Lock();
    const int threads = taken ? threads_ : 1;
    const bool by_image = images >= threads;
    auto context = take_context();
    context->prepare(program_, by_image ? threads : 1, threads);
    const auto own_images = [&](int thread) {
        const Range own = share(images, 1, thread, threads);
        for (int64_t number = own.first; number < own.last; ++number)
            for (const Step& step : program_.steps())
                run_step(step, context->arena(thread), context->scratch(thread), {inputs, outputs, number}, 0, 1);
    };
    SpinBarrier barrier(threads);
    const auto own_parts = [&](int thread) {
        for (int64_t number = 0; number < images; ++number)
            for (const Step& step : program_.steps()) {
                run_step(step, context->arena(0), context->scratch(thread), {inputs, outputs, number}, thread, threads);
                barrier.arrive_and_wait();
            }
    };
    // By reference: a std::function would copy them to the heap.
    if (threads == 1)
        own_images(0);
    else if (by_image)
        pool->run(std::ref(own_images));
    else
        pool->run(std::ref(own_parts));
    give_back(std::move(context));
}

std::vector<std::vector<double>> Engine::profile(const void* const* inputs, int repeats) const {
    if (repeats < 1) fail("repeats: must be 1 or more, found " + std::to_string(repeats));
    std::vector<Memory<char>> memory;
    std::vector<void*> outputs;
    for (const Tensor& output : program_.outputs()) {
        memory.emplace_back(static_cast<size_t>(output.bytes()));
        outputs.push_back(memory.back().data());
    }
    ThreadPool* const pool = pool_here();
    const auto taken = pool ? pool->try_take() : ThreadPool::Lock();
    const int threads = taken ? threads_ : 1;
    auto context = take_context();
    context->prepare(program_, 1, threads);
    const Image at{inputs, outputs.data(), 0};
    const size_t steps = program_.steps().size();
    std::vector<std::vector<double>> seconds(static_cast<size_t>(repeats), std::vector<double>(steps));
    SpinBarrier barrier(threads);
    for (auto& repeat : seconds) {
        const auto walk = [&](int thread) {
            double before = now();
            for (size_t i = 0; i < steps; ++i) {
                run_step(program_.steps()[i], context->arena(0), context->scratch(thread), at, thread, threads);
                if (threads > 1) barrier.arrive_and_wait();
                const double after = now();
                if (thread == 0) repeat[i] = after - before;
                before = after;
            }
        };
        threads > 1 ? pool->run(std::ref(walk)) : walk(0);
    }
    give_back(std::move(context));
    return seconds;
}

}  // namespace shufflekit
