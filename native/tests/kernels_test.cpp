// Every kernel of every instruction set that runs here against its twin of reference.h, at sizes around the edges of all tiles,
// and with planes in memory that shows what else was touched.
#include <cstdio>
#include <functional>
#include <initializer_list>

#include "cpu.h"
#include "kernels/copy/copy.h"
#include "kernels/multiply_add/multiply_add.h"
#include "memory_under_test.h"
#include "reference.h"

namespace shufflekit::testing {
namespace {

// Of one kernel of one instruction set. A case is told its number and its choices, and returns what is wrong or "".
class Report {
  public:
    Report(std::string_view isa, const char* kernel) : isa_(isa), kernel_(kernel) {}
    ~Report() {
        std::printf("%-7s %-16s %6d cases, %d failed\n", isa_.c_str(), kernel_, cases_, failed_);
        all_failed += failed_;
    }

    template <class Case>
    void run(const Case& test) {
        Random random(static_cast<uint32_t>(++cases_));
        std::string about;
        const std::string problem = test(random, about);
        if (!problem.empty() && ++failed_ <= 5)
            std::printf("%s %s, case %d, %s: %s\n", isa_.c_str(), kernel_, cases_, about.c_str(), problem.c_str());
    }

    static inline int all_failed = 0;

  private:
    const std::string isa_;
    const char* kernel_;
    int cases_ = 0, failed_ = 0;
};

std::string text(const char* format, auto... values) {
    char buffer[240];
    std::snprintf(buffer, sizeof(buffer), format, values...);
    return buffer;
}

// Around multiples of 4, 8, 16, their threes, and what fills a plane's cache lines.
constexpr int32_t pixel_edges[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  11, 12, 13, 15, 16, 17, 19, 20, 21, 23, 24,  25,  27,  28,
                                   29, 31, 32, 33, 35, 36, 37, 40, 44, 45, 47, 48, 49, 51, 52, 53, 63, 64, 65, 80,  95,  96,  97,
                                   99, 100, 101, 112, 113, 127, 128, 129, 143, 144, 145, 196, 511, 512, 513};
constexpr int32_t side_edges[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 18, 19, 31, 32, 33, 34, 35, 47, 48, 49, 63, 64, 65, 66, 67};

Epilogue any_epilogue(Random& random) { return {static_cast<Activation>(random.below(activations)), random.number()}; }

// Float32 sums of `count` products of numbers up to 1, and the activations' own error.
double tolerance(int64_t count) { return 1e-6 * (4 + 0.25 * static_cast<double>(count)); }

struct Share {
    int32_t first, last;
};

// All of [0, count), or a part whose borders are multiples of `unit`.
Share any_share(Random& random, int32_t count, int32_t unit) {
    if (!random.once_in(3)) return {0, count};
    const int32_t units = (count + unit - 1) / unit, first = random.below(units), last = random.between(first + 1, units);
    return {first * unit, std::min(count, last * unit)};
}

Guarded<float> numbers(Random& random, int64_t count) {
    Guarded<float> result(static_cast<size_t>(count), random.once_in(2));
    for (int64_t i = 0; i < count; ++i) result[i] = random.number();
    return result;
}

// Offsets that end where their memory does, or this many entries before it, whose values mean nothing.
Guarded<int32_t> table(const std::vector<int32_t>& offsets, int32_t behind = 0) {
    Guarded<int32_t> result(offsets.size() + behind, true);
    std::fill(std::copy(offsets.begin(), offsets.end(), result.data()), result.data() + result.size(), INT32_MIN);
    return result;
}

// Packed as gemm.h says; half of them end where their memory does, the others start at an odd float.
struct Packed {
    int shift;
    Guarded<float> all_weights, all_bias;
    float *weights, *bias;

    Packed(Random& random, int32_t groups, int32_t rows, int64_t depth)
        : shift(random.below(2)),
          all_weights(static_cast<size_t>(groups * gemm_panels(rows) * depth * gemm_panel + shift), shift == 0),
          all_bias(static_cast<size_t>(groups * gemm_panels(rows) * gemm_panel + shift), shift == 0),
          weights(all_weights.data() + shift),
          bias(all_bias.data() + shift) {
        for (int32_t panel = 0; panel < groups * gemm_panels(rows); ++panel)
            for (int32_t row = 0; row < gemm_panel_rows(rows, panel % gemm_panels(rows)); ++row) {
                bias[panel * gemm_panel + row] = random.number();
                for (int64_t k = 0; k < depth; ++k) weights[(panel * depth + k) * gemm_panel + row] = random.number();
            }
    }
};

// Some inputs read a plane twice.
void repeat_some(Random& random, Tensor& in) {
    for (int32_t& offset : in.offsets)
        if (random.once_in(10)) offset = in.offsets[random.below(static_cast<int32_t>(in.offsets.size()))];
}

enum class Residual { none, elsewhere, in_place };
constexpr Residual residuals[] = {Residual::none, Residual::elsewhere, Residual::in_place};
constexpr const char* residual_words[] = {"no residual", "residual elsewhere", "residual in place"};

// Runs the kernel on the arena, its twin on a copy, and compares all of it. `point_at(bases)` sets the planes that lie in the arena.
template <class Arguments, class Kernel, class Twin>
std::string compare(Arena& arena, Arguments arguments, const Tensor& out, double tolerance, const std::function<void(Arguments&, float*)>& point_at,
                    Kernel kernel, Twin twin) {
    auto copy = arena.copy();
    Arguments on_copy = arguments;
    point_at(arguments, arena.base());
    point_at(on_copy, arena.base_of(copy));
    kernel(arguments);
    twin(on_copy);
    return arena.difference(copy, out, tolerance);
}

void test_gemm(const Kernels& kernels) {
    Report report(kernels.isa, "gemm");
    constexpr int32_t more_rows[] = {24, 25, 58, 61};
    for (const int32_t pixels : pixel_edges)
        for (int32_t variant = 0; variant < 2 * 21; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t number = variant % 21, rows = number < 17 ? number + 1 : more_rows[number - 17];
                const int32_t groups = random.of({1, 1, 2, 3}), depth = random.of({1, 2, 3, 7, 8, 9, 24, 30, 161});
                const Residual residual = random.of(residuals);
                Arena arena(random);
                Tensor in = arena.add(groups * depth, pixels);
                const Tensor out = arena.add(groups * rows, pixels);
                const Tensor added = residual == Residual::in_place ? out : arena.add(groups * rows, pixels);
                arena.make();
                arena.fill(in);
                if (residual != Residual::none) arena.fill(added);
                repeat_some(random, in);
                const auto ins = table(in.offsets, gemm_operands_ahead), outs = table(out.offsets), addeds = table(added.offsets);
                const Packed packed(random, groups, rows, depth);
                const Gemm gemm{{nullptr, ins.data()}, {nullptr, outs.data()}, {nullptr, addeds.data()}, packed.weights, packed.bias,
                                groups, rows, depth, pixels, any_epilogue(random)};
                const Share p = any_share(random, pixels, 16), n = any_share(random, groups * gemm_panels(rows), 1);
                about = text("%d pixels [%d, %d), %d groups x %d rows, panels [%d, %d), depth %d, %s, activation %d", pixels, p.first, p.last, groups, rows,
                             n.first, n.last, depth, residual_words[static_cast<int>(residual)], static_cast<int>(gemm.epilogue.activation));
                return compare<Gemm>(
                    arena, gemm, out, tolerance(depth),
                    [&](Gemm& g, float* base) { g.in.base = g.out.base = base, g.residual.base = residual == Residual::none ? nullptr : base; },
                    [&](const Gemm& g) { kernels.gemm(g, p.first, p.last, n.first, n.last); },
                    [&](const Gemm& g) { reference::gemm(g, p.first, p.last, n.first, n.last); });
            });
}

// A window with an output of at most 70 pixels a side. Padding on the right and below may be more or less than on the left and above.
Window any_window(Random& random, int32_t in_height, int32_t in_width, bool common) {
    Window w{};
    w.in_height = in_height, w.in_width = in_width;
    if (common) {
        w.kernel_y = w.kernel_x = 3, w.dilation_y = w.dilation_x = 1;
        w.stride_y = w.stride_x = random.between(1, 2);
        w.pad_y = random.below(2), w.pad_x = random.once_in(4) ? random.below(2) : w.pad_y;
    } else {
        w.kernel_y = random.between(1, 7), w.kernel_x = random.once_in(2) ? w.kernel_y : random.between(1, 7);
        w.stride_y = random.between(1, 4), w.stride_x = random.once_in(2) ? w.stride_y : random.between(1, 4);
        w.dilation_y = random.of({1, 1, 1, 2, 3}), w.dilation_x = random.of({1, 1, 1, 2, 3});
        w.pad_y = random.below(w.kernel_y * w.dilation_y + 1), w.pad_x = random.below(w.kernel_x * w.dilation_x + 1);
    }
    const auto out = [&](int32_t in, int32_t kernel, int32_t stride, int32_t pad, int32_t dilation) {
        const int32_t right = random.once_in(4) ? random.below(kernel + 1) : pad, room = in + pad + right - (kernel - 1) * dilation - 1;
        return room < 0 ? 1 : std::min(room / stride + 1, 70);
    };
    w.out_height = out(in_height, w.kernel_y, w.stride_y, w.pad_y, w.dilation_y);
    w.out_width = out(in_width, w.kernel_x, w.stride_x, w.pad_x, w.dilation_x);
    return w;
}

std::string text(const Window& w) {
    return text("%dx%d -> %dx%d, kernel %dx%d, stride %dx%d, pad %dx%d, dilation %dx%d", w.in_height, w.in_width, w.out_height, w.out_width, w.kernel_y,
                w.kernel_x, w.stride_y, w.stride_x, w.pad_y, w.pad_x, w.dilation_y, w.dilation_x);
}

void test_convolution(const Kernels& kernels) {
    Report report(kernels.isa, "convolution");
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 32; ++variant)
            report.run([&](Random& random, std::string& about) {
                const Window w = any_window(random, random.between(1, 9), width, variant < 12);
                const int32_t groups = random.of({1, 1, 1, 2, 3}), rows = random.between(1, 17), in_channels = random.of({1, 2, 3, 5, 8, 20});
                const int32_t pixels = w.out_height * w.out_width;
                const bool tight = random.once_in(3);
                const Residual residual = tight || random.once_in(3) ? Residual::none : random.of(residuals);
                Arena arena(random), input(random, tight);
                Arena& source = tight ? input : arena;
                Tensor in = source.add(groups * in_channels, w.in_height * w.in_width);
                const Tensor out = arena.add(groups * rows, pixels);
                const Tensor added = residual == Residual::in_place ? out : arena.add(groups * rows, pixels);
                arena.make(), input.make();
                source.fill(in);
                if (residual != Residual::none) arena.fill(added);
                repeat_some(random, in);
                const int64_t depth = int64_t{in_channels} * w.kernel_y * w.kernel_x;
                const auto ins = table(in.offsets), outs = table(out.offsets), addeds = table(added.offsets);
                const Packed packed(random, groups, rows, depth);
                const Convolution c{{nullptr, ins.data()},
                                    {nullptr, outs.data()},
                                    {nullptr, residual == Residual::none ? nullptr : addeds.data()},
                                    packed.weights, packed.bias, groups, rows, in_channels, w, any_epilogue(random)};
                const Guarded<float> scratch(static_cast<size_t>(convolution_scratch(c)), true, 64);
                for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = canary(i);
                const Share p = any_share(random, pixels, static_cast<int32_t>(convolution_unit(c)));
                const Share n = any_share(random, groups * gemm_panels(rows), 1);
                about = text(w) + text(", pixels [%d, %d), %d groups x %d rows, panels [%d, %d), %d channels%s, %s, activation %d", p.first, p.last, groups,
                                       rows, n.first, n.last, in_channels, tight ? ", tight" : "", residual_words[static_cast<int>(residual)],
                                       static_cast<int>(c.epilogue.activation));
                const auto point_at = [&](Convolution& c, float* base) {
                    c.in.base = tight ? input.base() : base;
                    c.out.base = base;
                    if (residual != Residual::none) c.residual.base = base;
                };
                return compare<Convolution>(
                    arena, c, out, tolerance(depth), point_at,
                    [&](const Convolution& c) { kernels.convolution(c, scratch.data(), p.first, p.last, n.first, n.last); },
                    [&](const Convolution& c) { reference::convolution(c, p.first, p.last, n.first, n.last); });
            });
}

void test_convolution_pool(const Kernels& kernels) {
    Report report(kernels.isa, "convolution_pool");
    for (int32_t width = 16; width <= 67; ++width)
        for (int32_t variant = 0; variant < 4; ++variant)
            report.run([&](Random& random, std::string& about) {
                Window w = any_window(random, random.between(1, 17), width * random.between(1, 2), variant < 2);
                w.out_width = width;  // the padding on the right fills it up
                const int32_t height = (w.out_height + 1) / 2, rows = random.between(1, 17), in_channels = random.of({1, 2, 3, 5});
                const Window pool{w.out_height, width, height, (width + 1) / 2, 3, 3, 2, 2, 1, 1, 1, 1};
                const bool tight = random.once_in(2);
                Arena arena(random), input(random, tight);
                Arena& source = tight ? input : arena;
                Tensor in = source.add(in_channels, w.in_height * w.in_width);
                const Tensor out = arena.add(rows, height * pool.out_width);
                arena.make(), input.make();
                source.fill(in);
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const int64_t depth = int64_t{in_channels} * w.kernel_y * w.kernel_x;
                const Packed packed(random, 1, rows, depth);
                const ConvolutionPool c{{{nullptr, ins.data()}, {nullptr, outs.data()}, {}, packed.weights, packed.bias, 1, rows,
                                         in_channels, w, any_epilogue(random)}, pool};
                const Guarded<float> scratch(static_cast<size_t>(convolution_pool_scratch(c)), true, 64);
                for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = canary(i);
                const Share y = any_share(random, height, 1);
                about = text(w) + text(", rows [%d, %d) of the pooled %d, %d of %d channels%s, activation %d", y.first, y.last, height, rows, in_channels,
                                       tight ? ", tight" : "", static_cast<int>(c.convolution.epilogue.activation));
                return compare<ConvolutionPool>(
                    arena, c, out, tolerance(depth),
                    [&](ConvolutionPool& c, float* base) { c.convolution.in.base = tight ? input.base() : base, c.convolution.out.base = base; },
                    [&](const ConvolutionPool& c) { kernels.convolution_pool(c, scratch.data(), y.first, y.last); },
                    [&](const ConvolutionPool& c) { reference::convolution_pool(c, y.first, y.last); });
            });
}

void test_pointwise_depthwise(const Kernels& kernels) {
    Report report(kernels.isa, "pointwise_depthwise");
    for (int32_t width = 16; width <= 67; ++width)
        for (int32_t variant = 0; variant < 4; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t stride = random.between(1, 2), height = random.between(1, 40);
                const int32_t in_width = stride == 1 ? width : 2 * width - random.below(2), out_height = (height - 1) / stride + 1;
                const Window w{height, in_width, out_height, width, 3, 3, stride, stride, 1, 1, 1, 1};
                const int32_t rows = random.between(1, 17), depth = random.between(1, 17);
                Arena arena(random);
                Tensor in = arena.add(depth, height * in_width);
                const Tensor out = arena.add(rows, out_height * width);
                arena.make();
                arena.fill(in);
                repeat_some(random, in);
                const auto ins = table(in.offsets, gemm_operands_ahead), outs = table(out.offsets);
                const Packed packed(random, 1, rows, depth);
                const auto weights = numbers(random, rows * 9), bias = numbers(random, rows);
                const auto bounds = [&] { return Epilogue{static_cast<Activation>(random.below(3)), 0}; };
                const PointwiseDepthwise f{
                    {{nullptr, ins.data()}, {}, {}, packed.weights, packed.bias, 1, rows, depth, height * in_width, bounds()},
                    {{}, {nullptr, outs.data()}, {}, weights.data(), bias.data(), rows, w, bounds()}};
                const Guarded<float> scratch(static_cast<size_t>(pointwise_depthwise_scratch(f)), true, 64);
                for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = canary(i);
                const Share y = any_share(random, out_height, 1);
                about = text(w) + text(", rows [%d, %d), %d to %d channels", y.first, y.last, depth, rows);
                return compare<PointwiseDepthwise>(
                    arena, f, out, tolerance(depth * 9),
                    [&](PointwiseDepthwise& f, float* base) { f.pointwise.in.base = f.depthwise.out.base = base; },
                    [&](const PointwiseDepthwise& f) { kernels.pointwise_depthwise(f, scratch.data(), y.first, y.last); },
                    [&](const PointwiseDepthwise& f) { reference::pointwise_depthwise(f, y.first, y.last); });
            });
}

void test_local_response_norm(const Kernels& kernels) {
    Report report(kernels.isa, "local_response_norm");
    for (const int32_t pixels : pixel_edges)
        for (int32_t quarters = 1; quarters <= 8; ++quarters)
            report.run([&](Random& random, std::string& about) {
                const int32_t channels = random.between(1, 9), size = random.between(1, 6);
                Arena arena(random);
                const Tensor in = arena.add(channels, pixels), out = arena.add(channels, pixels);
                arena.make();
                arena.fill(in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const LocalResponseNorm n{{nullptr, ins.data()}, {nullptr, outs.data()}, channels, pixels, size, quarters, 0.1f, 1.5f};
                const Share c = any_share(random, channels, 1);
                about = text("%d pixels, channels [%d, %d) of %d, size %d, power %d / 4", pixels, c.first, c.last, channels, size, quarters);
                return compare<LocalResponseNorm>(
                    arena, n, out, 1e-5, [&](LocalResponseNorm& n, float* base) { n.in.base = n.out.base = base; },
                    [&](const LocalResponseNorm& n) { kernels.local_response_norm(n, c.first, c.last); },
                    [&](const LocalResponseNorm& n) { reference::local_response_norm(n, c.first, c.last); });
            });
}

void test_depthwise(const Kernels& kernels) {
    Report report(kernels.isa, "depthwise");
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 40; ++variant)
            report.run([&](Random& random, std::string& about) {
                const Window w = any_window(random, random.between(1, 9), width, variant < 24);
                const int32_t channels = random.between(1, 5);
                const Residual residual = random.once_in(2) ? Residual::none : random.of(residuals);
                Arena arena(random);
                Tensor in = arena.add(channels, w.in_height * w.in_width);
                const Tensor out = arena.add(channels, w.out_height * w.out_width);
                const Tensor added = residual == Residual::in_place ? out : arena.add(channels, out.pixels);
                arena.make();
                arena.fill(in);
                if (residual != Residual::none) arena.fill(added);
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets), addeds = table(added.offsets);
                const auto weights = numbers(random, channels * w.kernel_y * w.kernel_x), bias = numbers(random, channels);
                const Depthwise d{{nullptr, ins.data()}, {nullptr, outs.data()}, {nullptr, addeds.data()}, weights.data(), bias.data(), channels, w,
                                  any_epilogue(random)};
                const Guarded<float> scratch(static_cast<size_t>(depthwise_scratch(w)), true, 64);
                for (size_t i = 0; i < scratch.size(); ++i) scratch[i] = canary(i);
                const Share c = any_share(random, channels, 1);
                about = text(w) + text(", channels [%d, %d) of %d, %s, activation %d", c.first, c.last, channels,
                                       residual_words[static_cast<int>(residual)], static_cast<int>(d.epilogue.activation));
                return compare<Depthwise>(
                    arena, d, out, tolerance(w.kernel_y * w.kernel_x),
                    [&](Depthwise& d, float* base) { d.in.base = d.out.base = base, d.residual.base = residual == Residual::none ? nullptr : base; },
                    [&](const Depthwise& d) { kernels.depthwise(d, scratch.data(), c.first, c.last); },
                    [&](const Depthwise& d) { reference::depthwise(d, c.first, c.last); });
            });
}

// Whether each output position of a window sees a pixel of the input, as pool.h asks.
bool sees(int32_t out, int32_t in, int32_t kernel, int32_t stride, int32_t pad, int32_t dilation) {
    for (int32_t at = 0; at < out; ++at) {
        bool any = false;
        for (int32_t i = 0; i < kernel; ++i) any |= at * stride - pad + i * dilation >= 0 && at * stride - pad + i * dilation < in;
        if (!any) return false;
    }
    return true;
}

void test_pool(const Kernels& kernels) {
    Report report(kernels.isa, "pool");
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 40; ++variant)
            report.run([&](Random& random, std::string& about) {
                const auto pooling = static_cast<Pooling>(variant % poolings);
                const bool slides = pooling == Pooling::maximum || pooling == Pooling::average;
                Window w = any_window(random, random.between(1, 9), width, variant < 24);
                if (pooling == Pooling::average) w.dilation_y = w.dilation_x = 1;  // there is no other average pooling
                if (!slides) {
                    w.out_height = random.once_in(3) ? 1 : random.between(1, 2 * w.in_height);
                    w.out_width = w.out_height == 1 && random.once_in(2) ? 1 : random.between(1, 2 * w.in_width);
                }
                while (slides && !(sees(w.out_height, w.in_height, w.kernel_y, w.stride_y, w.pad_y, w.dilation_y) &&
                                   sees(w.out_width, w.in_width, w.kernel_x, w.stride_x, w.pad_x, w.dilation_x)))
                    w = any_window(random, w.in_height, w.in_width, true);
                const int32_t channels = random.between(1, 5);
                const bool tight = random.once_in(3);
                Arena arena(random), input(random, tight);
                Arena& source = tight ? input : arena;
                Tensor in = source.add(channels, w.in_height * w.in_width);
                const Tensor out = arena.add(channels, w.out_height * w.out_width);
                arena.make(), input.make();
                source.fill(in);
                repeat_some(random, in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const Pool p{{nullptr, ins.data()}, {nullptr, outs.data()}, channels, w, pooling, slides && random.once_in(2), tight, any_epilogue(random)};
                const Share c = any_share(random, channels, 1);
                about = text(w) + text(", channels [%d, %d) of %d, pooling %d, %s%s, activation %d", c.first, c.last, channels,
                                       static_cast<int>(pooling), p.count_padding ? "padding counted" : "padding not counted", tight ? ", tight" : "",
                                       static_cast<int>(p.epilogue.activation));
                return compare<Pool>(
                    arena, p, out, tolerance(w.in_height * w.in_width),
                    [&](Pool& p, float* base) { p.in.base = tight ? input.base() : base, p.out.base = base; },
                    [&](const Pool& p) { kernels.pool(p, c.first, c.last); }, [&](const Pool& p) { reference::pool(p, c.first, c.last); });
            });
}

void test_affine(const Kernels& kernels) {
    Report report(kernels.isa, "affine");
    for (const int32_t pixels : pixel_edges)
        for (int32_t activation = 0; activation < activations; ++activation)
            report.run([&](Random& random, std::string& about) {
                const int32_t channels = random.between(1, 5);
                const bool in_place = random.once_in(2);
                Arena arena(random);
                const Tensor in = arena.add(channels, pixels), out = in_place ? in : arena.add(channels, pixels);
                arena.make();
                arena.fill(in, 100);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const auto scale = numbers(random, channels), shift = numbers(random, channels);
                const Affine a{{nullptr, ins.data()}, {nullptr, outs.data()}, scale.data(), shift.data(), channels, pixels,
                               {static_cast<Activation>(activation), random.number()}};
                const Share c = any_share(random, channels, 1);
                about = text("%d pixels, channels [%d, %d) of %d%s, activation %d", pixels, c.first, c.last, channels, in_place ? ", in place" : "", activation);
                return compare<Affine>(
                    arena, a, out, 1e-5, [&](Affine& a, float* base) { a.in.base = a.out.base = base; },
                    [&](const Affine& a) { kernels.affine(a, c.first, c.last); }, [&](const Affine& a) { reference::affine(a, c.first, c.last); });
            });
}

// -100, -99.99, ... 100 through each activation, and what PyTorch does with the ends of float32 and what is beyond them.
void test_activations(const Kernels& kernels) {
    Report report(kernels.isa, "activations");
    for (int32_t activation = 0; activation < activations; ++activation)
        report.run([&](Random&, std::string& about) -> std::string {
            constexpr int32_t count = 20001;
            about = text("activation %d", activation);
            std::vector<float> in(plane_floats(count)), out(in.size());
            for (int32_t i = 0; i < count; ++i) in[i] = static_cast<float>(i - count / 2) / 100;
            constexpr float ends[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, -88.5f, 88.5f};
            for (size_t i = 0; i < std::size(ends); ++i) in[i] = in[count - 1 - i] = ends[i];  // in a vector, and behind the last one
            const int32_t offset = 0;
            const float one = 1, zero = 0;
            const Affine a{{in.data(), &offset}, {out.data(), &offset}, &one, &zero, 1, count, {static_cast<Activation>(activation), 0.125f}};
            kernels.affine(a, 0, 1);
            for (int32_t i = 0; i < count; ++i) {
                const auto needed = static_cast<float>(reference::activate(in[i], a.epilogue));
                const bool equal = std::isnan(needed) ? std::isnan(out[i]) : out[i] == needed;
                if (!equal && !(std::fabs(out[i] - needed) <= 1e-6 * std::max(std::fabs(needed), 1e-30f)))
                    return text("of %.9g: found %.9g, needed %.9g", in[i], out[i], needed);
            }
            return "";
        });
}

void test_binary(const Kernels& kernels) {
    Report report(kernels.isa, "binary");
    for (const int32_t pixels : pixel_edges)
        for (int32_t variant = 0; variant < 8; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t channels = random.between(1, 5), place = random.below(3);
                const bool scalar = random.once_in(3);
                Arena arena(random);
                const Tensor a = arena.add(channels, pixels), b = arena.add(channels, scalar ? 1 : pixels);
                const Tensor out = place == 0 ? a : place == 1 && !scalar ? b : arena.add(channels, pixels);
                arena.make();
                arena.fill(a), arena.fill(b);
                const auto as = table(a.offsets), bs = table(b.offsets), outs = table(out.offsets);
                const Binary o{{nullptr, as.data()}, {nullptr, bs.data()}, {nullptr, outs.data()}, static_cast<Operation>(variant % operations), scalar,
                               channels, pixels, any_epilogue(random)};
                const Share c = any_share(random, channels, 1);
                about = text("%d pixels, channels [%d, %d) of %d, operation %d%s, out %s, activation %d", pixels, c.first, c.last, channels,
                             variant % operations, scalar ? " with a scalar" : "", place == 0 ? "over a" : place == 1 ? "over b" : "elsewhere",
                             static_cast<int>(o.epilogue.activation));
                return compare<Binary>(
                    arena, o, out, tolerance(1), [&](Binary& o, float* base) { o.a.base = o.b.base = o.out.base = base; },
                    [&](const Binary& o) { kernels.binary(o, c.first, c.last); }, [&](const Binary& o) { reference::binary(o, c.first, c.last); });
            });
}

void test_softmax(const Kernels& kernels) {
    Report report(kernels.isa, "softmax");
    for (const int32_t pixels : pixel_edges)
        for (const int32_t channels : {1, 2, 9, 33})
            report.run([&](Random& random, std::string& about) {
                const bool in_place = random.once_in(2);
                Arena arena(random);
                const Tensor in = arena.add(channels, pixels), out = in_place ? in : arena.add(channels, pixels);
                arena.make();
                arena.fill(in, random.of({1.0f, 30.0f, 1000.0f}));
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const Softmax s{{nullptr, ins.data()}, {nullptr, outs.data()}, channels, pixels};
                const Share p = any_share(random, pixels, 16);
                about = text("%d channels, pixels [%d, %d) of %d%s", channels, p.first, p.last, pixels, in_place ? ", in place" : "");
                return compare<Softmax>(
                    arena, s, out, 1e-6, [&](Softmax& s, float* base) { s.in.base = s.out.base = base; },
                    [&](const Softmax& s) { kernels.softmax(s, p.first, p.last); }, [&](const Softmax& s) { reference::softmax(s, p.first, p.last); });
            });
}

void test_resize(const Kernels& kernels) {
    Report report(kernels.isa, "resize");
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 9; ++variant)
            report.run([&](Random& random, std::string& about) {
                const auto resizing = static_cast<Resizing>(variant % resizings);
                const int32_t channels = random.between(1, 4), in_height = random.between(1, 9), in_width = width;
                const int32_t out_height = random.between(1, 3 * in_height), out_width = random.between(1, 70);
                const auto scale = [&](int32_t in, int32_t out) {
                    if (resizing != Resizing::bilinear_corners) return static_cast<float>(in) / static_cast<float>(out);
                    return out == 1 ? 0 : static_cast<float>(in - 1) / static_cast<float>(out - 1);
                };
                Arena arena(random);
                const Tensor in = arena.add(channels, in_height * in_width), out = arena.add(channels, out_height * out_width);
                arena.make();
                arena.fill(in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const Resize r{{nullptr, ins.data()}, {nullptr, outs.data()}, channels, in_height, in_width, out_height, out_width, resizing,
                               scale(in_height, out_height), scale(in_width, out_width)};
                const Share c = any_share(random, channels, 1);
                about = text("%dx%d -> %dx%d, channels [%d, %d) of %d, resizing %d", in_height, in_width, out_height, out_width, c.first, c.last, channels,
                             static_cast<int>(resizing));
                return compare<Resize>(
                    arena, r, out, 1e-4, [&](Resize& r, float* base) { r.in.base = r.out.base = base; },  // coordinates up to 70 in float32
                    [&](const Resize& r) { kernels.resize(r, c.first, c.last); }, [&](const Resize& r) { reference::resize(r, c.first, c.last); });
            });
}

void test_gather(const Kernels& kernels) {
    Report report(kernels.isa, "gather");
    for (const int32_t width : side_edges)
        for (int32_t variant = 0; variant < 8; ++variant)
            report.run([&](Random& random, std::string& about) {
                const int32_t channels = random.between(1, 5), in_height = random.between(1, 9);
                const int32_t first_y = random.below(in_height), first_x = random.below(width), step_y = random.between(1, 3), step_x = random.between(1, 3);
                const int32_t out_height = random.between(1, (in_height - first_y - 1) / step_y + 1);
                const int32_t out_width = random.between(1, (width - first_x - 1) / step_x + 1);
                Arena input(random, random.once_in(2)), output(random, random.once_in(2));
                const Tensor in = input.add(channels, in_height * width), out = output.add(channels, out_height * out_width);
                input.make(), output.make();
                input.fill(in);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const Gather g{{input.base(), ins.data()}, {nullptr, outs.data()}, channels, width, out_height, out_width, first_y, first_x, step_y, step_x};
                const Share c = any_share(random, channels, 1);
                about = text("%dx%d -> %dx%d, first (%d, %d), step (%d, %d), channels [%d, %d) of %d", in_height, width, out_height, out_width, first_y,
                             first_x, step_y, step_x, c.first, c.last, channels);
                return compare<Gather>(
                    output, g, out, 0, [&](Gather& g, float* base) { g.out.base = base; },
                    [&](const Gather& g) { kernels.gather(g, c.first, c.last); }, [&](const Gather& g) { reference::gather(g, c.first, c.last); });
            });
}

#define SHUFFLEKIT_ENTRY(isa) {#isa, &isa::copy},
constexpr CopyKernel copies[] = {SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_ENTRY)};
#undef SHUFFLEKIT_ENTRY

void test_copy(const CopyKernel& kernel) {
    Report report(kernel.isa, "copy");
    for (int64_t count = 0; count <= 8 * copy_block; count += copy_block)
        report.run([&](Random& random, std::string& about) -> std::string {
            about = text("%lld floats", static_cast<long long>(count));
            const auto source = numbers(random, count);
            const Guarded<float> target(static_cast<size_t>(count), random.once_in(2));
            kernel.run(source.data(), target.data(), count);
            for (int64_t i = 0; i < count; ++i)
                if (target[i] != source[i]) return text("float %lld differs", static_cast<long long>(i));
            return "";
        });
}

#define SHUFFLEKIT_ENTRY(isa) {#isa, isa::multiply_add_lanes, &isa::multiply_add},
const MultiplyAddKernel multiply_adds[] = {SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_ENTRY)};
#undef SHUFFLEKIT_ENTRY

void test_multiply_add(const MultiplyAddKernel& kernel) {
    Report report(kernel.isa, "multiply_add");
    for (const int64_t rounds : {0, 1, 2, 1000})
        report.run([&](Random&, std::string& about) -> std::string {
            about = text("%lld rounds", static_cast<long long>(rounds));
            const double sum = kernel.run(rounds, 1, 1, 1), needed = static_cast<double>(kernel.sum_of_ones(rounds));
            return sum == needed ? "" : text("found %.17g, needed %.17g", sum, needed);
        });
}

}  // namespace
}  // namespace shufflekit::testing

int main() {
    using namespace shufflekit;
    using namespace shufflekit::testing;
    for (const Kernels& kernels : every_kernels) {
        if (!runs_here(kernels.isa)) {
            std::printf("%.*s does not run here\n", static_cast<int>(kernels.isa.size()), kernels.isa.data());
            continue;
        }
        for (const auto test : {test_gemm, test_convolution, test_convolution_pool, test_depthwise, test_pointwise_depthwise, test_local_response_norm, test_pool, test_affine, test_activations,
                                test_binary, test_softmax, test_resize, test_gather})
            test(kernels);
    }
    for (const CopyKernel& kernel : copies)
        if (runs_here(kernel.isa)) test_copy(kernel);
    for (const MultiplyAddKernel& kernel : multiply_adds)
        if (runs_here(kernel.isa)) test_multiply_add(kernel);
    std::printf("%d failed\n", Report::all_failed);
    return Report::all_failed ? 1 : 0;
}
