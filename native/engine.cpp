#include "engine.h"

#include <chrono>
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

struct Engine::Context {
    Memory<float> memory;
    float* arena;
    std::vector<Memory<float>> scratch;  // of each thread

    Context(const Program& program, int threads) : memory(static_cast<size_t>(program.arena() + 2 * window_slack)), arena(memory.data() + window_slack) {
        for (int thread = 0; thread < threads; ++thread) scratch.emplace_back(static_cast<size_t>(program.scratch()));
    }
};

Engine::Engine(Program program, int threads, std::string_view instruction_set)
    : program_(std::move(program)), kernels_(kernels_for(instruction_set)), threads_(threads) {
    if (threads < 1 || threads > most_threads)
        throw std::invalid_argument("threads: must be 1 to " + std::to_string(most_threads) + ", found " + std::to_string(threads));
    pool_ = std::make_unique<ThreadPool>(threads);
}

Engine::~Engine() = default;

std::unique_ptr<Engine::Context> Engine::take_context() const {
    {
        const std::lock_guard lock(contexts_mutex_);
        if (!contexts_.empty()) {
            auto context = std::move(contexts_.back());
            contexts_.pop_back();
            return context;
        }
    }
    return std::make_unique<Context>(program_, threads_);
}

void Engine::give_back(std::unique_ptr<Context> context) const {
    const std::lock_guard lock(contexts_mutex_);
    contexts_.push_back(std::move(context));
}

Engine::Image Engine::image(const float* input, int64_t number, float* const* outputs) const {
    Image image{input + number * program_.input().floats, {}};
    for (size_t i = 0; i < program_.outputs().size(); ++i) image.outputs.push_back(outputs[i] + number * program_.outputs()[i].floats);
    return image;
}

void Engine::run_step(const Step& step, Context& context, const Image& image, int part, int parts) const {
    float* arena = context.arena;
    const float* in = step.in_buffer == 1 ? image.input : arena;
    float* out = step.out_buffer == 0 ? arena : image.outputs[step.out_buffer - 1];
    float* scratch = context.scratch[part].data();
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
    if (threads_ > 1 && images >= threads_) {
        std::vector<std::unique_ptr<Context>> contexts;
        for (int thread = 0; thread < threads_; ++thread) contexts.push_back(take_context());
        const bool done = pool_->try_run([&](int thread) {
            const Range own = share(images, 1, thread, threads_);
            for (int64_t number = own.first; number < own.last; ++number)
                for (const Step& step : program_.steps()) run_step(step, *contexts[thread], image(input, number, outputs), 0, 1);
        });
        for (auto& context : contexts) give_back(std::move(context));
        if (done) return;
    }
    auto context = take_context();
    SpinBarrier barrier(threads_);
    for (int64_t number = 0; number < images; ++number) {
        const Image at = image(input, number, outputs);
        const bool done = threads_ > 1 && pool_->try_run([&](int thread) {
            for (const Step& step : program_.steps()) {
                run_step(step, *context, at, thread, threads_);
                barrier.arrive_and_wait();
            }
        });
        if (!done)
            for (const Step& step : program_.steps()) run_step(step, *context, at, 0, 1);
    }
    give_back(std::move(context));
}

std::vector<std::vector<double>> Engine::profile(const float* input, int repeats) const {
    std::vector<Memory<float>> memory;
    std::vector<float*> outputs;
    for (const Tensor& output : program_.outputs()) {
        memory.emplace_back(static_cast<size_t>(output.floats));
        outputs.push_back(memory.back().data());
    }
    auto context = take_context();
    const Image at = image(input, 0, outputs.data());
    const size_t steps = program_.steps().size();
    std::vector<std::vector<double>> seconds(static_cast<size_t>(repeats), std::vector<double>(steps));
    SpinBarrier barrier(threads_);
    for (auto& repeat : seconds) {
        const auto walk = [&](int thread, int parts) {
            double before = now();
            for (size_t i = 0; i < steps; ++i) {
                run_step(program_.steps()[i], *context, at, thread, parts);
                if (parts > 1) barrier.arrive_and_wait();
                const double after = now();
                if (thread == 0) repeat[i] = after - before;
                before = after;
            }
        };
        if (threads_ == 1 || !pool_->try_run([&](int thread) { walk(thread, threads_); })) walk(0, 1);
    }
    give_back(std::move(context));
    return seconds;
}

}  // namespace shufflekit
