#include "training/layer.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "cpu.h"
#include "memory.h"
#include "thread_pool.h"

namespace shufflekit {
namespace {

constexpr int64_t most_floats = int64_t{1} << 31;  // of a plane, whose offsets are 32 bits wide

void require(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
}

// Scratch of the calling thread; it grows to what the largest layer needs and stays.
float* work_of_thread(int64_t floats) {
    thread_local Memory<float> memory;
    if (memory.size() < static_cast<size_t>(floats)) memory = Memory<float>(static_cast<size_t>(floats));
    return memory.data();
}

// Calls task(0), ..., task(threads - 1) at the same time. Threads stay for the next call of as many; a forked child starts its own,
// and whoever comes while they are at work does it all alone.
void on_threads(int threads, const std::function<void(int)>& task) {
    static std::mutex starting;
    static std::shared_ptr<ThreadPool> kept;
    static int kept_threads = 0;
    const auto alone = [&] {
        for (int i = 0; i < threads; ++i) task(i);
    };
    if (threads == 1) return task(0);
    std::shared_ptr<ThreadPool> pool;
    {
        const std::lock_guard lock(starting);
        if (kept && !kept->is_here()) new std::shared_ptr(std::move(kept));  // its threads are the parent's: never joined here
        if (!kept || kept_threads != threads) kept = std::make_shared<ThreadPool>(threads), kept_threads = threads;
        pool = kept;
    }
    const auto taken = pool->try_take();
    taken.owns_lock() ? pool->run(task) : alone();
}

int64_t border(int64_t count, int part, int parts) { return count * part / parts; }

// Shares the groups among threads; `task` gets a group and scratch.
template <class Task>
void each_group(const ConvNorm& layer, int threads, int64_t floats, Task task) {
    const int shares = static_cast<int>(std::min<int64_t>(threads, layer.groups));
    on_threads(shares, [&](int thread) {
        float* work = work_of_thread(floats);
        for (int64_t g = border(layer.groups, thread, shares); g < border(layer.groups, thread + 1, shares); ++g) task(static_cast<int32_t>(g), work);
    });
}

}  // namespace

#define SHUFFLEKIT_ENTRY(isa) {#isa, &isa::conv_norm_forward, &isa::conv_norm_sums, &isa::conv_norm_backward, &isa::conv_norm_lean_forward, &isa::conv_norm_lean_backward, &isa::window_sum},
const TrainingLayer::Kernels TrainingLayer::every_kernels[] = {SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_ENTRY)};
#undef SHUFFLEKIT_ENTRY

TrainingLayer::TrainingLayer(const LayerShape& s, const std::vector<int32_t>& order, std::string_view isa) : kernels_(nullptr), order_(order) {
    for (const Kernels& kernels : every_kernels)
        if (!kernels_ && (isa.empty() || kernels.isa == isa) && runs_here(kernels.isa)) kernels_ = &kernels;
    require(kernels_, "instruction_set: must be one that runs here");
    require(s.images > 0 && s.images % 16 == 0, "images: must be a multiple of 16");
    for (const int64_t value : {s.in_channels, s.out_channels, s.groups, s.height, s.width, s.kernel_height, s.kernel_width, s.stride_y,
                                s.stride_x, s.dilation_y, s.dilation_x})
        require(value > 0 && value < (1 << 20), "shape: must be positive and below 2^20");
    require(s.padding_y >= 0 && s.padding_x >= 0 && s.padding_y < (1 << 20) && s.padding_x < (1 << 20), "padding: must not be negative");
    require(s.in_channels % s.groups == 0 && s.out_channels % s.groups == 0, "groups: must divide the channels");
    std::vector<int32_t> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    require(static_cast<int64_t>(sorted.size()) == s.in_channels, "order: must name each channel of the input");
    for (int64_t c = 0; c < s.in_channels; ++c) require(sorted[c] == c, "order: must name each channel of the input once");
    out_height_ = (s.height + 2 * s.padding_y - s.dilation_y * (s.kernel_height - 1) - 1) / s.stride_y + 1;
    out_width_ = (s.width + 2 * s.padding_x - s.dilation_x * (s.kernel_width - 1) - 1) / s.stride_x + 1;
    require(s.height + 2 * s.padding_y > s.dilation_y * (s.kernel_height - 1) && s.width + 2 * s.padding_x > s.dilation_x * (s.kernel_width - 1),
            "kernel: must fit into the padded map");
    require(s.height * s.width < most_floats / s.images && out_height_ * out_width_ < most_floats / s.images, "plane: too large");
    layer_.images = s.images;
    layer_.in_pixels = s.height * s.width;
    layer_.out_pixels = out_height_ * out_width_;
    require(s.in_plane >= layer_.in_pixels * s.images && s.out_plane >= layer_.out_pixels * s.images, "plane: must hold its pixels");
    layer_.in_plane = s.in_plane;
    layer_.out_plane = s.out_plane;
    layer_.groups = static_cast<int32_t>(s.groups);
    layer_.depth = static_cast<int32_t>(s.in_channels / s.groups);
    layer_.rows = static_cast<int32_t>(s.out_channels / s.groups);
    layer_.taps = static_cast<int32_t>(s.kernel_height * s.kernel_width);
    layer_.is_pointwise = layer_.taps == 1 && s.stride_y == 1 && s.stride_x == 1 && s.padding_y == 0 && s.padding_x == 0;
    if (!layer_.is_pointwise) list_taps(s);
}

void TrainingLayer::list_taps(const LayerShape& s) {
    std::vector<std::vector<Tap>> back(static_cast<size_t>(layer_.in_pixels));
    first_tap_.push_back(0);
    for (int64_t y = 0; y < out_height_; ++y)
        for (int64_t x = 0; x < out_width_; ++x) {
            for (int64_t ky = 0; ky < s.kernel_height; ++ky)
                for (int64_t kx = 0; kx < s.kernel_width; ++kx) {
                    const int64_t row = y * s.stride_y - s.padding_y + ky * s.dilation_y, column = x * s.stride_x - s.padding_x + kx * s.dilation_x;
                    if (row < 0 || row >= s.height || column < 0 || column >= s.width) continue;
                    const int64_t from = row * s.width + column, to = y * out_width_ + x;
                    const auto weight = static_cast<int32_t>(ky * s.kernel_width + kx);
                    forward_taps_.push_back({static_cast<int32_t>(from * s.images), weight});
                    back[static_cast<size_t>(from)].push_back({static_cast<int32_t>(to * s.images), weight});
                }
            first_tap_.push_back(static_cast<int32_t>(forward_taps_.size()));
        }
    first_back_.push_back(0);
    for (const auto& taps : back) {
        back_taps_.insert(back_taps_.end(), taps.begin(), taps.end());
        first_back_.push_back(static_cast<int32_t>(back_taps_.size()));
    }
}

ConvNorm TrainingLayer::layer() const {
    ConvNorm layer = layer_;
    layer.first_tap = first_tap_.data(), layer.forward_taps = forward_taps_.data();
    layer.first_back = first_back_.data(), layer.back_taps = back_taps_.data();
    layer.order = order_.data();
    return layer;
}

void TrainingLayer::mean(const float* in, float* out, bool is_back, int threads) const {
    const ConvNorm layer = this->layer();
    require(layer.depth == 1 && layer.rows == 1 && !layer.is_pointwise, "mean: is of a depthwise layer");
    const std::vector<float> weights(static_cast<size_t>(layer.taps), 1.0f / static_cast<float>(layer.taps));
    on_threads(threads, [&](int thread) {
        kernels_->window_sum(layer, in, out, weights.data(), is_back, static_cast<int32_t>(border(layer.groups, thread, threads)),
                            static_cast<int32_t>(border(layer.groups, thread + 1, threads)));
    });
}

// Threads share the groups, and the rows of each where there are fewer groups than threads.
void TrainingLayer::forward(const ConvNormForward& pass, int threads) const {
    const ConvNorm layer = this->layer();
    if (pass.moments) {
        require(layer.is_pointwise, "moments: are of a pointwise layer");
        each_group(layer, threads, conv_norm_lean_work(layer), [&](int32_t g, float* work) { kernels_->lean_forward(layer, pass, g, work); });
        return;
    }
    const int64_t floats = conv_norm_forward_work(layer);
    const int parts = layer.groups >= threads ? 1 : threads;
    on_threads(threads, [&](int thread) {
        float* work = work_of_thread(floats);
        if (parts == 1)
            for (int64_t g = border(layer.groups, thread, threads); g < border(layer.groups, thread + 1, threads); ++g)
                kernels_->forward(layer, pass, static_cast<int32_t>(g), 0, layer.rows, work);
        else
            for (int32_t g = 0; g < layer.groups; ++g)
                kernels_->forward(layer, pass, g, static_cast<int32_t>(border(layer.rows, thread, threads)),
                                  static_cast<int32_t>(border(layer.rows, thread + 1, threads)), work);
    });
}

// Threads share the groups; of fewer groups than threads, the rows while summing and then the columns, with weight gradients of their own.
void TrainingLayer::backward(const ConvNormBackward& pass, int threads) const {
    const ConvNorm layer = this->layer();
    if (pass.moments) {
        require(layer.is_pointwise, "moments: are of a pointwise layer");
        each_group(layer, threads, conv_norm_lean_work(layer), [&](int32_t g, float* work) { kernels_->lean_backward(layer, pass, g, work); });
        return;
    }
    const int64_t floats = conv_norm_backward_work(layer), columns = layer.out_pixels * layer.images;
    const int64_t weights = int64_t{layer.groups} * layer.rows * layer.depth * layer.taps;
    if (pass.dweights) std::fill_n(pass.dweights, weights, 0.0f);
    if (layer.groups >= threads || !layer.is_pointwise) {
        each_group(layer, threads, floats, [&](int32_t g, float* work) {
            kernels_->sums(layer, pass, g, 0, layer.rows);
            kernels_->backward(layer, pass, g, 0, columns, work);
        });
        return;
    }
    on_threads(threads, [&](int thread) {
        for (int32_t g = 0; g < layer.groups; ++g)
            kernels_->sums(layer, pass, g, static_cast<int32_t>(border(layer.rows, thread, threads)),
                           static_cast<int32_t>(border(layer.rows, thread + 1, threads)));
    });
    std::vector<std::vector<float>> own(static_cast<size_t>(threads));
    on_threads(threads, [&](int thread) {
        float* work = work_of_thread(floats);
        ConvNormBackward mine = pass;
        if (pass.dweights) own[static_cast<size_t>(thread)].assign(static_cast<size_t>(weights), 0.0f), mine.dweights = own[static_cast<size_t>(thread)].data();
        const int64_t unit = 64, units = (columns + unit - 1) / unit;
        const int64_t first = border(units, thread, threads) * unit, last = std::min(columns, border(units, thread + 1, threads) * unit);
        for (int32_t g = 0; g < layer.groups; ++g) kernels_->backward(layer, mine, g, first, last, work);
    });
    if (pass.dweights)
        for (const auto& part : own)
            for (int64_t i = 0; i < weights; ++i) pass.dweights[i] += part[static_cast<size_t>(i)];
}

}  // namespace shufflekit
