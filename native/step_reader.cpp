#include "step_reader.h"

#include <algorithm>

namespace shufflekit {
namespace {

// Memory that is had for the asking. More must be written to, or so many times less must be read or written.
constexpr int64_t free_bytes = 1 << 22, most_scratch_share = 64;

using Read = Arguments (*)(StepReader&);

struct Entry {
    std::string_view kernel, variant;
    Read read;
};

template <class T>
Arguments read_arguments(StepReader& step) {
    T arguments{};
    arguments.read(step);
    return arguments;
}

constexpr Entry entries[] = {
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets) {#kernel, #variant, &read_arguments<Arguments>},
#include "kernels/kernels.inc"
#undef SHUFFLEKIT_KERNEL
};

const Entry& entry_of(const Fields& fields, const std::string& kernel, const std::string& variant) {
    bool known = false;
    for (const Entry& entry : entries) {
        if (entry.kernel == kernel && entry.variant == variant) return entry;
        known |= entry.kernel == kernel;
    }
    fields.refuse(known ? "variant" : "kernel", "one that the engine has, found " + (known ? variant : kernel).substr(0, 40));
}

}  // namespace

StepReader::StepReader(std::span<const int32_t> tables, std::span<const char> weights, int64_t arena, const std::vector<Tensor>& inputs,
                       const std::vector<Tensor>& outputs)
    : tables_(tables), weights_(weights), arena_(arena), inputs_(inputs), outputs_(outputs), done_(outputs.size(), false) {}

Step StepReader::read_step(const Json& json, size_t number) {
    const Fields unnamed(&json, "step " + std::to_string(number) + ": ");
    const Fields fields(&json, "step " + std::to_string(number) + " (" + unnamed.text("name").substr(0, 80) + "): ");
    fields_ = &fields;
    step_ = {};
    touched_ = 0;
    out_planes_.clear();
    step_.kernel = fields.text("kernel"), step_.variant = fields.text("variant"), step_.name = fields.text("name");
    whole("in_buffer", step_.in_buffer, 0, static_cast<int64_t>(inputs_.size()) + 1);
    whole("out_buffer", step_.out_buffer, 0, static_cast<int64_t>(outputs_.size()));
    step_.flops = fields.whole("flops", 0, INT64_MAX), step_.bytes = fields.whole("bytes", 0, INT64_MAX);
    step_.arguments = entry_of(fields, step_.kernel, step_.variant).read(*this);
    if (step_.scratch > free_bytes + most_scratch_share * touched_)
        fields.refuse("window", "smaller: it needs " + std::to_string(step_.scratch) + " bytes for " + std::to_string(touched_) + " read and written");
    fields.no_others();
    return std::move(step_);
}

int64_t StepReader::arena() const {
    if (used_ > std::max(free_bytes, room_))
        refuse_plan("arena must be laid out without gaps: its planes reach up to byte " + std::to_string(used_) + ", and what is written takes " +
                    std::to_string(room_));
    return used_;
}

void StepReader::all_outputs_written() const {
    for (size_t i = 0; i < outputs_.size(); ++i)
        if (!done_[i]) refuse_plan("output " + outputs_[i].name + " is not written");
}

void StepReader::window(const char* name, Window& to) {
    const Fields numbers(&fields_->get(name), "");
    const auto number = [&](const char* part, int32_t& at, int64_t least, int64_t most) {
        if (!numbers.has(part)) fields_->refuse(name, std::string("an object with ") + part);
        at = static_cast<int32_t>(fields_->whole(std::string(name) + "." + part, numbers.get(part), least, most));
    };
    number("in_height", to.in_height, 1, most_side), number("in_width", to.in_width, 1, most_side);
    number("out_height", to.out_height, 1, most_side), number("out_width", to.out_width, 1, most_side);
    number("kernel_y", to.kernel_y, 1, most_kernel), number("kernel_x", to.kernel_x, 1, most_kernel);
    number("stride_y", to.stride_y, 1, most_kernel), number("stride_x", to.stride_x, 1, most_kernel);
    number("pad_y", to.pad_y, 0, most_side), number("pad_x", to.pad_x, 0, most_side);
    number("dilation_y", to.dilation_y, 1, most_side), number("dilation_x", to.dilation_x, 1, most_side);
    numbers.no_others();
}

int64_t StepReader::product(const char* name, int64_t a, int64_t b) const {
    if (a > most_elements / b) fields_->refuse(name, "smaller: together with the step's other sizes it needs too much memory");
    return a * b;
}

const char* StepReader::weight_bytes(const char* name, int64_t size, int64_t alignment) {
    const int64_t most = static_cast<int64_t>(weights_.size()) - size;
    if (most < 0) fields_->refuse(name, "inside of the plan's weights; the step needs " + std::to_string(size) + " bytes");
    touched_ += size;
    const int64_t place = fields_->whole(name, 0, most);
    if (place % alignment) fields_->refuse(name, "a multiple of " + std::to_string(alignment) + ", found " + std::to_string(place));
    return weights_.data() + place;
}

const int32_t* StepReader::table(const char* name, int64_t size) const {
    const int64_t most = static_cast<int64_t>(tables_.size()) - size;
    if (most < 0) fields_->refuse(name, "inside of the plan's tables; the step needs " + std::to_string(size));
    return tables_.data() + fields_->whole(name, 0, most);
}

// Returns where the last of the planes ends, in bytes.
int64_t StepReader::inside(const char* name, const int32_t* offsets, int64_t channels, int64_t element, int64_t plane, int64_t buffer) {
    int64_t last = 0;
    for (int64_t c = 0; c < channels; ++c) {
        const int64_t begin = offsets[c] * element;
        if (begin < 0 || begin > buffer - plane)
            fields_->refuse(name, "planes inside of their buffer of " + std::to_string(buffer) + " bytes, found " + std::to_string(plane) +
                                      " bytes at " + std::to_string(begin));
        last = std::max(last, begin);
    }
    touched_ += channels * plane;
    return last + plane;
}

const int32_t* StepReader::written_planes(int64_t channels, int64_t pixels, int64_t element, Type type, Reach reach) {
    const bool to_output = step_.out_buffer > 0;
    if (to_output && reach != Reach::pixels) fields_->refuse("out_buffer", "0 for this kernel, found " + std::to_string(step_.out_buffer));
    const Tensor* output = to_output ? &outputs_[step_.out_buffer - 1] : nullptr;
    if (output && output->type != type) fields_->refuse("out_buffer", "an output of what the kernel writes");
    const int32_t* offsets = table("out", channels);
    const int64_t plane = to_output ? pixels * element : plane_bytes(pixels, element);
    const int64_t end = inside("out", offsets, channels, element, plane, to_output ? output->bytes() : arena_);
    if (!to_output) used_ = std::max(used_, end), room_ += channels * std::max(plane, plane_border);
    out_plane_ = plane;
    for (int64_t c = 0; c < channels; ++c) out_planes_.push_back({offsets[c] * element, c});
    std::sort(out_planes_.begin(), out_planes_.end());
    for (size_t i = 1; i < out_planes_.size(); ++i)
        if (out_planes_[i].begin - out_planes_[i - 1].begin < plane) fields_->refuse("out", "planes that do not overlap");
    if (to_output) {
        if (channels * pixels != output->elements || done_[step_.out_buffer - 1]) fields_->refuse("out", "the whole of an output, once");
        done_[step_.out_buffer - 1] = true;
    }
    return offsets;
}

const int32_t* StepReader::read_planes(const char* name, int64_t channels, int64_t pixels, int64_t element, Type type, Overlap overlap,
                                       Reach reach) {
    const bool from_input = reads_input();
    if (from_input && reach != Reach::pixels) fields_->refuse("in_buffer", "0 for this kernel, found " + std::to_string(step_.in_buffer));
    const bool from_weights = step_.in_buffer > static_cast<int64_t>(inputs_.size());
    const Tensor* input = from_input && !from_weights ? &inputs_[step_.in_buffer - 1] : nullptr;
    if (input && input->type != type) fields_->refuse("in_buffer", "an input of what the kernel reads");
    const int32_t* offsets = table(name, channels);
    const int64_t plane = reach == Reach::pixels ? pixels * element : plane_bytes(pixels, element);
    const int64_t end = inside(name, offsets, channels, element, plane,
                               from_weights ? static_cast<int64_t>(weights_.size()) : input ? input->bytes() : arena_);
    if (!from_input) used_ = std::max(used_, end);
    if (from_input || step_.out_buffer > 0) return offsets;
    for (int64_t c = 0; c < channels; ++c) {
        const int64_t begin = offsets[c] * element, end = begin + plane;
        const auto hit = std::lower_bound(out_planes_.begin(), out_planes_.end(), Plane{begin - out_plane_ + 1, -1});
        if (hit == out_planes_.end() || hit->begin >= end) continue;
        if (overlap == Overlap::same_channel && hit->begin == begin && hit->channel == c && plane == out_plane_) continue;
        fields_->refuse(name, "planes that the step does not write");
    }
    return offsets;
}

}  // namespace shufflekit
