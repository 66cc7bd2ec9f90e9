#include "program.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <system_error>

namespace shufflekit {
namespace {

constexpr int64_t format = 1;
constexpr int64_t most_channels = 1 << 24, most_side = 1 << 16, most_floats = 1 << 30;
// Memory that is had for the asking: 4 MB. More must be written to, or so many times less must.
constexpr int64_t free_floats = 1 << 20, most_scratch_share = 64;

// One line, whatever the names in the file are.
[[noreturn]] void fail(std::string problem) {
    std::ranges::replace_if(problem, [](unsigned char c) { return c < ' '; }, ' ');
    throw std::invalid_argument("plan: " + problem);
}

// A file with a checksum opens so; its digits follow.
constexpr std::string_view checksum_opens = "{\"__metadata__\":{\"checksum\":\"";
constexpr size_t checksum_digits = 32;

// Fletcher's, over 32-bit words, the file's size before them: the sum of all, and the sum of the sums up to each, modulo 2^64.
std::string checksum(const Memory<char>& content) {
    uint64_t sum = content.size(), sums = 0;
    for (size_t at = 0; at < content.size(); at += sizeof(uint32_t)) {  // zeros are behind the last byte
        uint32_t word;
        std::memcpy(&word, content.data() + at, sizeof(word));
        sums += sum += word;
    }
    char digits[checksum_digits + 1];
    std::snprintf(digits, sizeof(digits), "%016" PRIx64 "%016" PRIx64, sum, sums);
    return digits;
}

// Refuses a file that is not as it was written; its checksum is that of the file with zeros for its digits. Returns whether it has one.
bool check_sums(Memory<char>& content) {
    constexpr size_t digits_at = sizeof(uint64_t) + checksum_opens.size();
    if (content.size() < digits_at + checksum_digits) return false;
    char* const digits = content.data() + digits_at;
    if (std::string_view(digits - checksum_opens.size(), checksum_opens.size()) != checksum_opens) return false;
    const std::string needed(digits, checksum_digits);
    std::memset(digits, '0', checksum_digits);
    const std::string found = checksum(content);
    std::memcpy(digits, needed.data(), checksum_digits);
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION  // changed plans must come to the checks behind this one
    if (found != needed) fail("the file is damaged: its checksum must be " + needed + ", found " + found);
#endif
    return true;
}

// The fields of one JSON object; `where` opens every complaint about them.
class Fields {
  public:
    Fields(const Json* json, std::string where) : json_(json), where_(std::move(where)) {
        if (!json_ || !json_->as<Json::Object>()) fail(where_ + "must be an object");
    }

    [[noreturn]] void refuse(std::string_view name, const std::string& needed) const { fail(where_ + std::string(name) + " must be " + needed); }

    const Json& get(std::string_view name) const {
        const Json* found = json_->find(name);
        if (!found) fail(where_ + std::string(name) + " is missing");
        return *found;
    }

    int64_t whole(std::string_view name, int64_t least, int64_t most) const { return whole(name, get(name), least, most); }

    int64_t whole(std::string_view name, const Json& value, int64_t least, int64_t most) const {
        const auto* number = value.as<int64_t>();
        if (number && *number >= least && *number <= most) return *number;
        refuse(name, std::to_string(least) + " to " + std::to_string(most) + (number ? ", found " + std::to_string(*number) : ""));
    }

    float real(std::string_view name) const {
        const Json& value = get(name);
        const auto* integer = value.as<int64_t>();
        const auto* real = value.as<double>();
        const double number = integer ? static_cast<double>(*integer) : real ? *real : NAN;
        if (!(std::fabs(number) <= most_side)) refuse(name, "a number between -65536 and 65536");
        return static_cast<float>(number);
    }

    bool truth(std::string_view name) const {
        if (const auto* value = get(name).as<bool>()) return *value;
        refuse(name, "true or false");
    }

    const std::string& text(std::string_view name) const {
        if (const auto* value = get(name).as<std::string>()) return *value;
        refuse(name, "text");
    }

    const Json::Array& list(std::string_view name, size_t least, size_t most) const {
        const auto* value = get(name).as<Json::Array>();
        if (value && value->size() >= least && value->size() <= most) return *value;
        refuse(name, "a list of " + std::to_string(least) + " to " + std::to_string(most));
    }

    // The place of a word among those allowed.
    template <class Enum, size_t N>
    Enum word(std::string_view name, const char* const (&words)[N]) const {
        const std::string& found = text(name);
        for (size_t i = 0; i < N; ++i)
            if (found == words[i]) return static_cast<Enum>(i);
        std::string needed = "one of";
        for (const char* each : words) needed += std::string(" ") + each;
        refuse(name, needed + ", found " + found.substr(0, 40));
    }

    // A bit that flips in a name must not hide the field.
    void no_others(std::initializer_list<std::string_view> names) const {
        for (const auto& [name, value] : *json_->as<Json::Object>())
            if (std::ranges::find(names, name) == names.end()) refuse(name.substr(0, 40), "left out: it is no field of a plan");
    }

  private:
    const Json* json_;
    std::string where_;
};

// In the order of the numbers in the kernels' headers.
constexpr const char* activation_words[] = {"none", "relu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "silu", "leaky_relu"};
constexpr const char* pooling_words[] = {"maximum", "average", "adaptive_average", "adaptive_maximum"};
constexpr const char* operation_words[] = {"add", "multiply"};
constexpr const char* resizing_words[] = {"nearest", "bilinear", "bilinear_corners"};
static_assert(std::size(activation_words) == activations && std::size(pooling_words) == poolings);
static_assert(std::size(operation_words) == operations && std::size(resizing_words) == resizings);

Epilogue epilogue(const Fields& fields) {
    return {fields.word<Activation>("activation", activation_words), fields.real("slope")};
}

Window window(const Fields& fields, const std::string& name = "window") {
    const auto& list = fields.list(name, 12, 12);
    const auto at = [&](int i, int64_t least, int64_t most) {
        return static_cast<int32_t>(fields.whole(name + "[" + std::to_string(i) + "]", list[i], least, most));
    };
    return {at(0, 1, most_side), at(1, 1, most_side), at(2, 1, most_side), at(3, 1, most_side), at(4, 1, 1024),      at(5, 1, 1024),
            at(6, 1, 1024),      at(7, 1, 1024),      at(8, 0, most_side), at(9, 0, most_side), at(10, 1, most_side), at(11, 1, most_side)};
}

// Whether each position of a sliding window sees a pixel of the input.
bool sees_input(int64_t out, int64_t in, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
    for (int64_t at = 0; at < out; ++at) {
        const int64_t begin = at * stride - pad, last = begin + (kernel - 1) * dilation;
        const int64_t first = begin >= 0 ? begin : begin + (-begin + dilation - 1) / dilation * dilation;
        if (first > last || first >= in) return false;
    }
    return true;
}

// Checks that what a step names lies inside of the program's tables and weights, and its planes inside of their buffers.
class Checker {
  public:
    Checker(std::span<const int32_t> tables, std::span<const float> weights, int64_t arena, int64_t input, const std::vector<Tensor>& outputs)
        : tables_(tables), weights_(weights), arena_(arena), input_(input), outputs_(outputs), written_(outputs.size(), false) {}

    Step step(const Json& json, size_t number) {
        const Fields unnamed(&json, "step " + std::to_string(number) + ": ");
        const Fields fields(&json, "step " + std::to_string(number) + " (" + unnamed.text("name").substr(0, 80) + "): ");
        Step step;
        step.kernel = fields.text("kernel");
        step.name = fields.text("name");
        step.in_buffer = static_cast<int32_t>(fields.whole("in_buffer", 0, 1));
        step.out_buffer = static_cast<int32_t>(fields.whole("out_buffer", 0, static_cast<int64_t>(outputs_.size())));
        step.flops = fields.whole("flops", 0, INT64_MAX);
        step.bytes = fields.whole("bytes", 0, INT64_MAX);
        fields_ = &fields;
        touched_ = 0;
        in_buffer_ = step.in_buffer, out_buffer_ = step.out_buffer;
        out_planes_.clear();
        const std::string& kernel = step.kernel;
        if (in_buffer_ == 1 && kernel != "convolution" && kernel != "convolution_pool" && kernel != "pool" && kernel != "gather")
            fields.refuse("in_buffer", "0 for this kernel, found 1");
        if (out_buffer_ > 0 && kernel != "gather") fields.refuse("out_buffer", "0 for this kernel, found " + std::to_string(out_buffer_));
        if (kernel == "gemm")
            step.arguments = gemm();
        else if (kernel == "convolution")
            step.arguments = convolution(step.scratch);
        else if (kernel == "convolution_pool")
            step.arguments = convolution_pool(step.scratch);
        else if (kernel == "depthwise")
            step.arguments = depthwise(step.scratch);
        else if (kernel == "pointwise_depthwise")
            step.arguments = pointwise_depthwise(step.scratch);
        else if (kernel == "pool")
            step.arguments = pool();
        else if (kernel == "affine")
            step.arguments = affine();
        else if (kernel == "binary")
            step.arguments = binary();
        else if (kernel == "softmax")
            step.arguments = softmax();
        else if (kernel == "resize")
            step.arguments = resize();
        else if (kernel == "gather")
            step.arguments = gather();
        else if (kernel == "local_response_norm")
            step.arguments = local_response_norm();
        else
            fields.refuse("kernel", "one that the engine has, found " + kernel.substr(0, 40));
        if (step.scratch > free_floats + most_scratch_share * touched_)
            fields.refuse("window", "smaller: it needs " + std::to_string(step.scratch) + " floats for " + std::to_string(touched_) + " read and written");
        return step;
    }

    // Floats of the arena up to the last that a step reads or writes. Planes that are laid out as they are needed have no more room
    // between them than their borders take.
    int64_t arena() const {
        if (used_ > std::max(free_floats, room_))
            fail("arena must be laid out without gaps: its planes reach up to float " + std::to_string(used_) + ", and what is written takes " +
                 std::to_string(room_));
        return used_;
    }

    void all_outputs_written() const {
        for (size_t i = 0; i < outputs_.size(); ++i)
            if (!written_[i]) fail("output " + outputs_[i].name + " is not written");
    }

  private:
    enum class Overlap { never, same_channel };
    enum class Reach { whole_vectors, tight };

    int32_t count(std::string_view name, int64_t most = most_channels) const { return static_cast<int32_t>(fields_->whole(name, 1, most)); }

    int64_t product(std::string_view name, int64_t a, int64_t b) const {
        if (a > most_floats / b) fields_->refuse(name, "smaller: together with the step's other sizes it needs too much memory");
        return a * b;
    }

    const float* floats(std::string_view name, int64_t size) {
        const int64_t most = static_cast<int64_t>(weights_.size()) - size;
        if (most < 0) fields_->refuse(name, "inside of the plan's weights; the step needs " + std::to_string(size));
        touched_ += size;
        return weights_.data() + fields_->whole(name, 0, most);
    }

    const int32_t* table(std::string_view name, int64_t size) const {
        const int64_t most = static_cast<int64_t>(tables_.size()) - size;
        if (most < 0) fields_->refuse(name, "inside of the plan's tables; the step needs " + std::to_string(size));
        return tables_.data() + fields_->whole(name, 0, most);
    }

    // Returns where the last of the planes ends.
    int64_t inside(std::string_view name, const int32_t* offsets, int64_t channels, int64_t plane, int64_t buffer) {
        int64_t last = 0;
        for (int64_t c = 0; c < channels; ++c) {
            if (offsets[c] < 0 || offsets[c] > buffer - plane)
                fields_->refuse(name, "planes inside of their buffer of " + std::to_string(buffer) + " floats, found " +
                                          std::to_string(plane) + " floats at " + std::to_string(offsets[c]));
            last = std::max<int64_t>(last, offsets[c]);
        }
        touched_ += channels * plane;
        return last + plane;
    }

    void use(int64_t end) { used_ = std::max(used_, end); }

    // Output planes come first: those read are then checked against them.
    const int32_t* written(int64_t channels, int64_t pixels) {
        const int32_t* offsets = table("out", channels);
        const bool to_output = out_buffer_ > 0;
        const int64_t plane = to_output ? pixels : plane_floats(pixels);
        const int64_t end = inside("out", offsets, channels, plane, to_output ? outputs_[out_buffer_ - 1].floats : arena_);
        if (!to_output) use(end), room_ += channels * std::max(plane, plane_alignment);
        out_plane_ = plane;
        for (int64_t c = 0; c < channels; ++c) out_planes_.push_back({offsets[c], c});
        std::sort(out_planes_.begin(), out_planes_.end());
        for (size_t i = 1; i < out_planes_.size(); ++i)
            if (out_planes_[i].first - out_planes_[i - 1].first < plane) fields_->refuse("out", "planes that do not overlap");
        if (to_output) {
            if (channels * pixels != outputs_[out_buffer_ - 1].floats || written_[out_buffer_ - 1])
                fields_->refuse("out", "the whole of an output, once");
            written_[out_buffer_ - 1] = true;
        }
        return offsets;
    }

    const int32_t* read(std::string_view name, int64_t channels, int64_t pixels, Overlap overlap, Reach reach) {
        const int32_t* offsets = table(name, channels);
        const bool from_input = in_buffer_ == 1;
        const int64_t plane = from_input || reach == Reach::tight ? pixels : plane_floats(pixels);
        const int64_t end = inside(name, offsets, channels, plane, from_input ? input_ : arena_);
        if (!from_input) use(end);
        if (from_input || out_buffer_ > 0) return offsets;
        for (int64_t c = 0; c < channels; ++c) {
            const int64_t begin = offsets[c], end = begin + plane;
            auto hit = std::lower_bound(out_planes_.begin(), out_planes_.end(), std::pair<int64_t, int64_t>{begin - out_plane_ + 1, -1});
            if (hit == out_planes_.end() || hit->first >= end) continue;
            if (overlap == Overlap::same_channel && hit->first == begin && hit->second == c && plane == out_plane_) continue;
            fields_->refuse(name, "planes that the step does not write");
        }
        return offsets;
    }

    // A residual's plane may be the out plane of its channel, where this reads an element before it is written.
    Planes residual(int64_t channels, int64_t pixels) {
        if (fields_->whole("residual", -1, most_floats) < 0) return {nullptr, nullptr};
        if (in_buffer_ == 1) fields_->refuse("residual", "-1 where the step reads the network's input");
        return {nullptr, read("residual", channels, pixels, Overlap::same_channel, Reach::whole_vectors)};
    }

    Gemm gemm() {
        const int32_t groups = count("groups"), rows = count("rows"), depth = count("depth"), pixels = count("pixels", most_floats);
        const int64_t out = product("rows", groups, rows), in = product("depth", groups, depth);
        const int64_t panels = product("rows", groups, gemm_panels(rows));
        const int32_t* to = written(out, pixels);
        return {{nullptr, read("in", in, pixels, Overlap::never, Reach::whole_vectors)},
                {nullptr, to},
                residual(out, pixels),
                floats("weights", product("depth", panels * gemm_panel, depth)),
                floats("bias", panels * gemm_panel),
                groups,
                rows,
                depth,
                pixels,
                epilogue(*fields_)};
    }

    // All but what is written.
    Convolution convolution(int32_t groups) {
        const int32_t rows = count("rows"), in_channels = count("in_channels");
        const Window w = window(*fields_);
        const int64_t in = product("in_channels", groups, in_channels), panels = product("rows", groups, gemm_panels(rows));
        const int64_t depth = product("window", in_channels, int64_t{w.kernel_y} * w.kernel_x);
        product("window", product("window", depth, w.stride_x), convolution_block + convolution_columns(w));
        product("window", w.out_height, w.out_width);
        return {{nullptr, read("in", in, int64_t{w.in_height} * w.in_width, Overlap::never, Reach::tight)},
                {},
                {},
                floats("weights", product("window", panels * gemm_panel, depth)),
                floats("bias", panels * gemm_panel),
                groups,
                rows,
                in_channels,
                w,
                epilogue(*fields_)};
    }

    Convolution convolution(int64_t& scratch) {
        const int32_t groups = count("groups");
        const int64_t out = product("rows", groups, count("rows"));
        const Window w = window(*fields_);
        const int64_t pixels = product("window", w.out_height, w.out_width);
        const int32_t* to = written(out, pixels);
        Convolution c = convolution(groups);
        c.out.offsets = to;
        c.residual = residual(out, pixels);
        scratch = convolution_scratch(c);
        return c;
    }

    ConvolutionPool convolution_pool(int64_t& scratch) {
        const Window pool = window(*fields_, "pool_window");
        const int32_t* to = written(count("rows"), product("pool_window", pool.out_height, pool.out_width));
        ConvolutionPool c{convolution(static_cast<int32_t>(fields_->whole("groups", 1, 1))), pool};
        c.convolution.out.offsets = to;
        if (!convolution_by_rows(c.convolution)) fields_->refuse("window", "one whose output is at least 16 pixels wide");
        if (!pools_stem(pool) || pool.in_height != c.convolution.window.out_height || pool.in_width != c.convolution.window.out_width)
            fields_->refuse("pool_window", "3x3 with stride 2 and padding 1 on the convolution's output");
        product("rows", c.convolution.rows, 3 * convolution_pool_pitch(c));
        scratch = convolution_pool_scratch(c);
        return c;
    }

    Depthwise depthwise(int64_t& scratch) {
        const int32_t channels = count("channels");
        const Window w = window(*fields_);
        product("window", product("window", depthwise_rows(w), w.stride_x), depthwise_phase_columns(w));
        scratch = depthwise_scratch(w);
        const int64_t pixels = product("window", w.out_height, w.out_width);
        const int32_t* to = written(channels, pixels);
        return {{nullptr, read("in", channels, int64_t{w.in_height} * w.in_width, Overlap::never, Reach::whole_vectors)},
                {nullptr, to},
                residual(channels, pixels),
                floats("weights", product("window", channels, int64_t{w.kernel_y} * w.kernel_x)),
                floats("bias", channels),
                channels,
                w,
                epilogue(*fields_)};
    }

    PointwiseDepthwise pointwise_depthwise(int64_t& scratch) {
        const int32_t rows = count("rows"), depth = count("depth");
        const Window w = window(*fields_);
        const int64_t in_pixels = product("window", w.in_height, w.in_width), panels = gemm_panels(rows);
        const int32_t* to = written(rows, product("window", w.out_height, w.out_width));
        const Planes in{nullptr, read("in", depth, in_pixels, Overlap::never, Reach::whole_vectors)};
        const PointwiseDepthwise f{{in, {}, {}, floats("weights", product("depth", panels * gemm_panel, depth)),
                                    floats("bias", panels * gemm_panel), static_cast<int32_t>(fields_->whole("groups", 1, 1)), rows, depth,
                                    static_cast<int32_t>(in_pixels), epilogue(*fields_)},
                                   {{}, {nullptr, to}, {}, floats("depthwise_weights", product("rows", rows, 9)),
                                    floats("depthwise_bias", rows), rows, w,
                                    {fields_->word<Activation>("depthwise_activation", activation_words), 0}}};
        if (!fuses(f)) fields_->refuse("window", "3x3 with padding 1, at least 16 pixels wide behind it, and activations bounds");
        product("rows", rows, fused_pitch(w) + 1);
        scratch = pointwise_depthwise_scratch(f);
        return f;
    }

    Pool pool() {
        const int32_t channels = count("channels");
        const Window w = window(*fields_);
        const auto pooling = fields_->word<Pooling>("pooling", pooling_words);
        const bool slides = pooling == Pooling::maximum || pooling == Pooling::average;
        if (slides && !(sees_input(w.out_height, w.in_height, w.kernel_y, w.stride_y, w.pad_y, w.dilation_y) &&
                        sees_input(w.out_width, w.in_width, w.kernel_x, w.stride_x, w.pad_x, w.dilation_x)))
            fields_->refuse("window", "one that sees a pixel of the input everywhere");
        const int32_t* to = written(channels, product("window", w.out_height, w.out_width));
        return {{nullptr, read("in", channels, int64_t{w.in_height} * w.in_width, Overlap::never, Reach::tight)},
                {nullptr, to},
                channels,
                w,
                pooling,
                fields_->truth("count_padding"),
                in_buffer_ == 1,
                epilogue(*fields_)};
    }

    Affine affine() {
        const int32_t channels = count("channels"), pixels = count("pixels", most_floats);
        const int32_t* to = written(channels, pixels);
        return {{nullptr, read("in", channels, pixels, Overlap::same_channel, Reach::whole_vectors)},
                {nullptr, to},
                floats("scale", channels),
                floats("shift", channels),
                channels,
                pixels,
                epilogue(*fields_)};
    }

    Binary binary() {
        const int32_t channels = count("channels"), pixels = count("pixels", most_floats);
        const bool scalar = fields_->truth("b_is_scalar");
        const int32_t* to = written(channels, pixels);
        return {{nullptr, read("a", channels, pixels, Overlap::same_channel, Reach::whole_vectors)},
                {nullptr, read("b", channels, scalar ? 1 : pixels, scalar ? Overlap::never : Overlap::same_channel, Reach::whole_vectors)},
                {nullptr, to},
                fields_->word<Operation>("operation", operation_words),
                scalar,
                channels,
                pixels,
                epilogue(*fields_)};
    }

    Softmax softmax() {
        const int32_t channels = count("channels"), pixels = count("pixels", most_floats);
        const int32_t* to = written(channels, pixels);
        return {{nullptr, read("in", channels, pixels, Overlap::same_channel, Reach::whole_vectors)}, {nullptr, to}, channels, pixels};
    }

    Resize resize() {
        const int32_t channels = count("channels"), in_height = count("in_height", most_side), in_width = count("in_width", most_side);
        const int32_t out_height = count("out_height", most_side), out_width = count("out_width", most_side);
        const auto resizing = fields_->word<Resizing>("resizing", resizing_words);
        const float scale_y = fields_->real("scale_y"), scale_x = fields_->real("scale_x");
        if (scale_y < 0 || scale_x < 0) fields_->refuse("scale_y and scale_x", "0 or more");
        const int32_t* to = written(channels, product("out_height", out_height, out_width));
        return {{nullptr, read("in", channels, int64_t{in_height} * in_width, Overlap::never, Reach::tight)},
                {nullptr, to},
                channels,
                in_height,
                in_width,
                out_height,
                out_width,
                resizing,
                scale_y,
                scale_x};
    }

    Gather gather() {
        const int32_t channels = count("channels"), in_height = count("in_height", most_floats), in_width = count("in_width", most_floats);
        const int32_t out_height = count("out_height", in_height), out_width = count("out_width", in_width);
        const auto place = [&](const char* name, int64_t least) { return static_cast<int32_t>(fields_->whole(name, least, most_floats)); };
        const int32_t first_y = place("first_y", 0), first_x = place("first_x", 0), step_y = place("step_y", 1), step_x = place("step_x", 1);
        if (first_y + int64_t{step_y} * (out_height - 1) >= in_height) fields_->refuse("out_height", "small enough for in_height");
        if (first_x + int64_t{step_x} * (out_width - 1) >= in_width) fields_->refuse("out_width", "small enough for in_width");
        const int64_t in_pixels = product("in_height", in_height, in_width);
        const int32_t* to = written(channels, int64_t{out_height} * out_width);
        return {{nullptr, read("in", channels, in_pixels, Overlap::never, Reach::tight)},
                {nullptr, to},
                channels,
                in_width,
                out_height,
                out_width,
                first_y,
                first_x,
                step_y,
                step_x};
    }

    LocalResponseNorm local_response_norm() {
        const int32_t channels = count("channels"), pixels = count("pixels", most_floats);
        const int32_t* to = written(channels, pixels);
        return {{nullptr, read("in", channels, pixels, Overlap::never, Reach::whole_vectors)},
                {nullptr, to},
                channels,
                pixels,
                count("size"),
                count("quarters", 16),
                fields_->real("scale"),
                fields_->real("bias")};
    }

    const std::span<const int32_t> tables_;
    const std::span<const float> weights_;
    const int64_t arena_, input_;
    const std::vector<Tensor>& outputs_;
    std::vector<bool> written_;
    int64_t used_ = 0, room_ = 0;  // of the arena: where the last plane ends, and what all that is written takes at most

    // Of the step at hand.
    const Fields* fields_ = nullptr;
    int32_t in_buffer_ = 0, out_buffer_ = 0;
    int64_t out_plane_ = 0, touched_ = 0;  // floats of one, and of all that are read and written
    std::vector<std::pair<int64_t, int64_t>> out_planes_;  // where each lies, and its channel; rising
};

Tensor tensor(const Fields& fields, size_t least, size_t most) {
    Tensor result;
    result.floats = 1;
    for (const Json& size : fields.list("shape", least, most)) {
        result.shape.push_back(fields.whole("shape", size, 1, most_channels));
        result.floats *= result.shape.back();
        if (result.floats > most_floats) fields.refuse("shape", "smaller");
    }
    return result;
}

// The elements of one tensor of a safetensors file; `data` is what follows its header.
template <class T>
std::span<const T> elements(const Json& header, const char* name, const char* dtype, std::span<const char> data) {
    const Fields fields(header.find(name), std::string(name) + ": ");
    if (fields.text("dtype") != dtype) fields.refuse("dtype", dtype);
    const auto& offsets = fields.list("data_offsets", 2, 2);
    const int64_t begin = fields.whole("data_offsets", offsets[0], 0, static_cast<int64_t>(data.size()));
    const int64_t end = fields.whole("data_offsets", offsets[1], begin, static_cast<int64_t>(data.size()));
    const auto* first = reinterpret_cast<const T*>(data.data() + begin);
    if (reinterpret_cast<uintptr_t>(first) % alignof(T) || (end - begin) % sizeof(T)) fields.refuse("data_offsets", "multiples of 4 bytes");
    return {first, static_cast<size_t>(end - begin) / sizeof(T)};
}

}  // namespace

Program Program::load(const std::string& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
    const auto error = [&] { return std::system_error(errno, std::generic_category(), path); };
    if (!file || std::fseek(file.get(), 0, SEEK_END) != 0) throw error();
    const long size = std::ftell(file.get());
    if (size < 0) throw error();
    Memory<char> content(static_cast<size_t>(size));
    std::rewind(file.get());
    if (std::fread(content.data(), 1, content.size(), file.get()) != content.size()) throw error();
    return Program(std::move(content));
}

Program Program::parse(const void* content, size_t bytes) {
    Memory<char> copy(bytes);
    if (bytes) std::memcpy(copy.data(), content, bytes);
    return Program(std::move(copy));
}

Program::Program(Memory<char> content) : content_(std::move(content)) {
    const bool has_checksum = check_sums(content_);
    uint64_t header_bytes = 0;
    if (content_.size() < sizeof(header_bytes)) fail("the file is too short");
    std::memcpy(&header_bytes, content_.data(), sizeof(header_bytes));
    if (header_bytes > content_.size() - sizeof(header_bytes)) fail("the file is no safetensors file, or cut off");
    const Json header = parse_json({content_.data() + sizeof(header_bytes), header_bytes});
    const std::span<const char> data(content_.data() + sizeof(header_bytes) + header_bytes, content_.size() - sizeof(header_bytes) - header_bytes);
    const Fields metadata(header.find("__metadata__"), "__metadata__: ");
    metadata.no_others({"checksum", "plan"});
    if (!has_checksum && header.find("__metadata__")->find("checksum")) fail("checksum must come first in the file");
    const Json plan_json = parse_json(metadata.text("plan"));
    const Fields plan(&plan_json, "");
    plan.whole("format", format, format);
    name_ = plan.text("name");
    info_ = plan.get("info");
    input_ = tensor(Fields(plan_json.find("input"), "input: "), 3, 3);
    for (const Json& output : plan.list("outputs", 1, 1024)) {
        const Fields fields(&output, "outputs: ");
        outputs_.push_back(tensor(fields, 0, 8));
        outputs_.back().name = fields.text("name");
    }
    const auto tables = elements<int32_t>(header, "tables", "I32", data);
    Checker checker(tables, elements<float>(header, "weights", "F32", data), plan.whole("arena", 0, most_floats), input_.floats, outputs_);
    for (const Json& step : plan.list("steps", 1, 1 << 16)) {
        steps_.push_back(checker.step(step, steps_.size()));
        scratch_ = std::max(scratch_, steps_.back().scratch);
    }
    checker.all_outputs_written();
    arena_ = checker.arena();
}

}  // namespace shufflekit
