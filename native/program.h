// A compiled network, read from a plan (src/shufflekit/plan/program.py writes it) and checked: whatever it says, no kernel is led
// outside of its memory, no step writes what it still reads, and memory is in proportion to what the steps write.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "json.h"
#include "kernels/kernels.h"
#include "memory.h"

namespace shufflekit {

inline constexpr int64_t plan_format = 2;

// What a tensor is made of. A plan has the words.
enum class Type : int32_t { float32 = 0, uint8 };
inline constexpr const char* type_words[] = {"float32", "uint8"};
inline constexpr int64_t type_bytes[] = {4, 1};

template <class T>
constexpr Type type_of();
template <>
constexpr Type type_of<float>() {
    return Type::float32;
}
template <>
constexpr Type type_of<uint8_t>() {
    return Type::uint8;
}

// An input or output.
struct Tensor {
    std::string name;
    Type type = Type::float32;
    bool batched = true;         // by image: its first dimension is the number of images
    std::vector<int64_t> shape;  // without the batch
    int64_t elements = 0;        // of one image

    int64_t bytes() const { return elements * type_bytes[static_cast<int32_t>(type)]; }
};

// The arguments of every variant of every kernel, after nothing.
using Arguments = std::variant<std::monostate
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets) , Arguments
#include "kernels/kernels.inc"
#undef SHUFFLEKIT_KERNEL
                               >;

// One run of a kernel. Tables and weights in `arguments` point into the program; the bases of its planes are set by whoever runs
// it: buffer 0 is the arena; as input, 1 + i is input i, and behind the inputs are the weights; as output, 1 + i is output i.
struct Step {
    std::string kernel, variant, name;
    int32_t in_buffer = 0, out_buffer = 0;
    int64_t flops = 0, bytes = 0;  // of one image
    int64_t scratch = 0;           // bytes for each thread
    Arguments arguments;
};

class Program {
  public:
    // Throws std::invalid_argument, one line that names what is wrong.
    explicit Program(Memory<char> content);

    const std::string& name() const { return name_; }
    const std::vector<Tensor>& inputs() const { return inputs_; }
    const std::vector<Tensor>& outputs() const { return outputs_; }
    const std::vector<Step>& steps() const { return steps_; }
    const Json& info() const { return info_; }
    bool batched() const { return batched_; }     // takes any number of images; else the shapes are of all there is
    int64_t arena() const { return arena_; }      // bytes for one image, up to the last that a step reads or writes
    int64_t scratch() const { return scratch_; }  // bytes for each thread

    const char* weights() const { return weights_; }
    const Memory<char>& content() const { return content_; }  // the file

  private:
    Memory<char> content_;
    std::string name_;
    std::vector<Tensor> inputs_, outputs_;
    std::vector<Step> steps_;
    Json info_;
    const char* weights_ = nullptr;
    bool batched_ = true;
    int64_t arena_ = 0, scratch_ = 0;
};

}  // namespace shufflekit
