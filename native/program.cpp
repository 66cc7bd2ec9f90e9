#include "program.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <span>

#include "step_reader.h"

namespace shufflekit {
namespace {

constexpr size_t most_inputs = 64, most_outputs = 1024, most_input_rank = 5, most_output_rank = 9, most_steps = 1 << 16;

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
    if (found != needed) refuse_plan("the file is damaged: its checksum must be " + needed + ", found " + found);
#endif
    return true;
}

// The shape opens with "N" where the tensor has the images one after another.
Tensor tensor(const Json& json, const char* where, size_t most_rank) {
    const Fields fields(&json, where);
    Tensor result;
    result.name = fields.text("name");
    result.type = static_cast<Type>(fields.word("type", type_words));
    const auto& shape = fields.list("shape", 0, most_rank);
    const auto* first = shape.empty() ? nullptr : shape[0].as<std::string>();
    result.batched = first && *first == "N";
    result.elements = 1;
    for (const Json& size : std::span(shape).subspan(result.batched)) {
        result.shape.push_back(fields.whole("shape", size, 1, most_channels));
        result.elements *= result.shape.back();
        if (result.elements > most_elements) fields.refuse("shape", "smaller");
    }
    fields.no_others();
    return result;
}

// The bytes of one tensor of a safetensors file; `data` is what follows its header.
std::span<const char> bytes_of(const Json& header, const char* name, const char* dtype, size_t alignment, std::span<const char> data) {
    const Fields fields(header.find(name), std::string(name) + ": ");
    if (fields.text("dtype") != dtype) fields.refuse("dtype", dtype);
    const auto& offsets = fields.list("data_offsets", 2, 2);
    const int64_t begin = fields.whole("data_offsets", offsets[0], 0, static_cast<int64_t>(data.size()));
    const int64_t end = fields.whole("data_offsets", offsets[1], begin, static_cast<int64_t>(data.size()));
    const auto found = data.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    if (reinterpret_cast<uintptr_t>(found.data()) % alignment || found.size() % sizeof(int32_t))
        fields.refuse("data_offsets", "multiples of " + std::to_string(alignment) + " bytes");
    return found;
}

}  // namespace

Program::Program(Memory<char> content) : content_(std::move(content)) {
    const bool has_checksum = check_sums(content_);
    uint64_t header_bytes = 0;
    if (content_.size() < sizeof(header_bytes)) refuse_plan("the file is too short");
    std::memcpy(&header_bytes, content_.data(), sizeof(header_bytes));
    if (header_bytes > content_.size() - sizeof(header_bytes)) refuse_plan("the file is no safetensors file, or cut off");
    const Json header = parse_json({content_.data() + sizeof(header_bytes), static_cast<size_t>(header_bytes)});
    const std::span<const char> data(content_.data() + sizeof(header_bytes) + header_bytes,
                                     static_cast<size_t>(content_.size() - sizeof(header_bytes) - header_bytes));
    const Fields metadata(header.find("__metadata__"), "__metadata__: ");
    const Json plan_json = parse_json(metadata.text("plan"));
    if (metadata.has("checksum")) metadata.get("checksum");
    metadata.no_others();  // a bit that flips in a name must not hide the checksum
    if (!has_checksum && metadata.has("checksum")) refuse_plan("checksum must come first in the file");
    const Fields plan(&plan_json, "");
    const Json& format = plan.get("format");
    if (const auto* found = format.as<int64_t>(); found && *found != plan_format)
        plan.refuse("format", std::to_string(plan_format) + ", found " + std::to_string(*found) + "; compile the network again");
    plan.whole("format", format, plan_format, plan_format);
    name_ = plan.text("name");
    info_ = plan.get("info");
    for (const Json& input : plan.list("inputs", 1, most_inputs)) inputs_.push_back(tensor(input, "inputs: ", most_input_rank));
    for (const Json& output : plan.list("outputs", 1, most_outputs)) outputs_.push_back(tensor(output, "outputs: ", most_output_rank));
    batched_ = std::ranges::any_of(inputs_, &Tensor::batched);
    if (!std::ranges::all_of(outputs_, [&](const Tensor& output) { return output.batched == batched_; }))
        plan.refuse("outputs", "for each image where an input is, and only there");
    const auto tables = bytes_of(header, "tables", "I32", alignof(int32_t), data);
    const auto weights = bytes_of(header, "weights", "U8", plane_border, data);
    weights_ = weights.data();
    constexpr int64_t most_arena = most_elements * 4;
    StepReader reader({reinterpret_cast<const int32_t*>(tables.data()), tables.size() / sizeof(int32_t)},
                      weights, plan.whole("arena", 0, most_arena), inputs_, outputs_);
    for (const Json& step : plan.list("steps", 1, most_steps)) {
        steps_.push_back(reader.read_step(step, steps_.size()));
        scratch_ = std::max(scratch_, steps_.back().scratch);
    }
    plan.no_others();
    reader.all_outputs_written();
    arena_ = reader.arena();
}

}  // namespace shufflekit
