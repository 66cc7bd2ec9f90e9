#include "engine.h"

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>

#include "cpu.h"

namespace shufflekit {
namespace {

constexpr int most_threads = 256;

const Kernels& kernels_for(std::string_view isa) {
    for (const Kernels& kernels : every_kernels)
        if ((isa.empty() || kernels.isa == isa) && runs_here(kernels.isa)) return kernels;
    throw std::invalid_argument("instruction_set: must be one that runs here, found " + std::string(isa));
}

struct Range {
    int32_t first, last;
};

// One of `parts` even shares of [0, count); borders are multiples of `unit`.
Range share(int64_t count, int64_t unit, int part, int parts) {
    const int64_t units = (count + unit - 1) / unit;
    const auto border = [&](int64_t i) { return static_cast<int32_t>(std::min(count, units * i / parts * unit)); };
    return {border(part), border(part + 1)};
}

// How much longer the largest of even shares is than their mean.
double unevenness(int64_t units, int parts) { return static_cast<double>((units + parts - 1) / parts * parts) / static_cast<double>(units); }

struct GemmShare {
    Range pixels, panels;
};

// Pixels or panels, whichever divides better. Pixels where both do, since then each thread reads its own operands; but not for small
// planes, whose shares would be odd ends of tiles (7x7 on two threads: 1.6 times as fast by pixels, 1.95 by panels).
GemmShare share_gemm(int64_t pixels, int64_t panels, int64_t unit, int part, int parts) {
    const Range all_pixels{0, static_cast<int32_t>(pixels)}, all_panels{0, static_cast<int32_t>(panels)};
    if (parts == 1) return {all_pixels, all_panels};
    const int64_t units = (pixels + unit - 1) / unit;
    if (units >= 4 * parts && unevenness(units, parts) <= unevenness(panels, parts) + 0.03) return {share(pixels, unit, part, parts), all_panels};
    return {all_pixels, share(panels, 1, part, parts)};
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

// An arena for each image under way and scratch for each thread at work, made when they are first needed.
struct Engine::Context {
    std::vector<Memory<float>> arenas, scratches;

    explicit Context(int threads) : arenas(static_cast<size_t>(threads)), scratches(static_cast<size_t>(threads)) {}

    void prepare(const Program& program, int images, int threads) {
        for (int i = 0; i < images; ++i)
            if (!arenas[i].data()) arenas[i] = Memory<float>(static_cast<size_t>(program.arena() + 2 * window_slack));
        for (int i = 0; i < threads; ++i)
            if (!scratches[i].data()) scratches[i] = Memory<float>(static_cast<size_t>(program.scratch()));
    }

    float* arena(int image) { return arenas[image].data() + window_slack; }
    float* scratch(int thread) { return scratches[thread].data(); }
};

Engine::Engine(Program program, int threads, std::string_view instruction_set)
    : program_(std::move(program)), kernels_(kernels_for(instruction_set)), threads_(threads) {
    if (threads < 1 || threads > most_threads)
        throw std::invalid_argument("threads: must be 1 to " + std::to_string(most_threads) + ", found " + std::to_string(threads));
    if (threads > 1) pool_ = new ThreadPool(threads);
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
    try {
        auto own = std::make_unique<ThreadPool>(threads_);
        return pool_.compare_exchange_strong(pool, own.get()) ? own.release() : pool;  // another thread's may be first
    } catch (const std::invalid_argument&) {
        return nullptr;
    }
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

Engine::Image Engine::image(const float* input, int64_t number, float* const* outputs) const {
    return {input + number * program_.input().floats, outputs, number};
}

void Engine::run_step(const Step& step, float* arena, float* scratch, const Image& image, int part, int parts) const {
    const float* in = step.in_buffer == 1 ? image.input : arena;
    float* out = arena;
    if (const int32_t output = step.out_buffer - 1; output >= 0) out = image.outputs[output] + image.number * program_.outputs()[output].floats;
    const auto by_channel = [&](auto kernel, const auto& arguments, auto... scratch_or_none) {
        const Range channels = share(arguments.channels, 1, part, parts);
        if (channels.first < channels.last) kernel(arguments, scratch_or_none..., channels.first, channels.last);
    };
    std::visit(
        [&]<class T>(T arguments) {  // a copy, whose bases are this run's
            if constexpr (std::is_same_v<T, ConvolutionPool>)
                arguments.convolution.in.base = in, arguments.convolution.out.base = out;
            else if constexpr (std::is_same_v<T, PointwiseDepthwise>)
                arguments.pointwise.in.base = in, arguments.depthwise.out.base = out;
            else if constexpr (std::is_same_v<T, Binary>)
                arguments.a.base = arguments.b.base = in, arguments.out.base = out;
            else
                arguments.in.base = in, arguments.out.base = out;
            if constexpr (requires { arguments.residual; })
                if (arguments.residual.offsets) arguments.residual.base = arena;

            if constexpr (std::is_same_v<T, Gemm>) {
                const int64_t panels = int64_t{arguments.groups} * gemm_panels(arguments.rows);
                const auto [pixels, own] = share_gemm(arguments.pixels, panels, plane_alignment, part, parts);
                if (pixels.first < pixels.last && own.first < own.last)
                    kernels_.gemm(arguments, pixels.first, pixels.last, own.first, own.last);
            } else if constexpr (std::is_same_v<T, Convolution>) {
                const int64_t panels = int64_t{arguments.groups} * gemm_panels(arguments.rows);
                const int64_t all_pixels = int64_t{arguments.window.out_height} * arguments.window.out_width;
                const auto [pixels, own] = share_gemm(all_pixels, panels, convolution_unit(arguments), part, parts);
                if (pixels.first < pixels.last && own.first < own.last)
                    kernels_.convolution(arguments, scratch, pixels.first, pixels.last, own.first, own.last);
            } else if constexpr (std::is_same_v<T, ConvolutionPool>) {
                const Range rows = share(arguments.pool.out_height, 1, part, parts);
                if (rows.first < rows.last) kernels_.convolution_pool(arguments, scratch, rows.first, rows.last);
            } else if constexpr (std::is_same_v<T, PointwiseDepthwise>) {
                const Range rows = share(arguments.depthwise.window.out_height, 1, part, parts);
                if (rows.first < rows.last) kernels_.pointwise_depthwise(arguments, scratch, rows.first, rows.last);
            } else if constexpr (std::is_same_v<T, Depthwise>) {
                by_channel(kernels_.depthwise, arguments, scratch);
            } else if constexpr (std::is_same_v<T, Pool>) {
                by_channel(kernels_.pool, arguments);
            } else if constexpr (std::is_same_v<T, Affine>) {
                by_channel(kernels_.affine, arguments);
            } else if constexpr (std::is_same_v<T, Binary>) {
                by_channel(kernels_.binary, arguments);
            } else if constexpr (std::is_same_v<T, Softmax>) {
                const Range pixels = share(arguments.pixels, plane_alignment, part, parts);
                if (pixels.first < pixels.last) kernels_.softmax(arguments, pixels.first, pixels.last);
            } else if constexpr (std::is_same_v<T, Resize>) {
                by_channel(kernels_.resize, arguments);
            } else if constexpr (std::is_same_v<T, LocalResponseNorm>) {
                by_channel(kernels_.local_response_norm, arguments);
            } else {
                by_channel(kernels_.gather, arguments);
            }
        },
        step.arguments);
}

void Engine::run(const float* input, int64_t images, float* const* outputs) const {
    ThreadPool* const pool = pool_here();
    const auto taken = pool ? pool->try_take() : std::unique_lock<std::mutex>();
    const int threads = taken ? threads_ : 1;
    const bool by_image = images >= threads;
    auto context = take_context();
    context->prepare(program_, by_image ? threads : 1, threads);
    const auto own_images = [&](int thread) {
        const Range own = share(images, 1, thread, threads);
        for (int64_t number = own.first; number < own.last; ++number)
            for (const Step& step : program_.steps())
                run_step(step, context->arena(thread), context->scratch(thread), image(input, number, outputs), 0, 1);
    };
    SpinBarrier barrier(threads);
    const auto own_parts = [&](int thread) {
        for (int64_t number = 0; number < images; ++number)
            for (const Step& step : program_.steps()) {
                run_step(step, context->arena(0), context->scratch(thread), image(input, number, outputs), thread, threads);
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

std::vector<std::vector<double>> Engine::profile(const float* input, int repeats) const {
    std::vector<Memory<float>> memory;
    std::vector<float*> outputs;
    for (const Tensor& output : program_.outputs()) {
        memory.emplace_back(static_cast<size_t>(output.floats));
        outputs.push_back(memory.back().data());
    }
    ThreadPool* const pool = pool_here();
    const auto taken = pool ? pool->try_take() : std::unique_lock<std::mutex>();
    const int threads = taken ? threads_ : 1;
    auto context = take_context();
    context->prepare(program_, 1, threads);
    const Image at = image(input, 0, outputs.data());
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
