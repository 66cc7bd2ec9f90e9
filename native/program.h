// A compiled network, read from a plan file (src/shufflekit/plan/program.py writes it) and checked: whatever the file says, no
// kernel is led outside of its memory, no step writes what it still reads, and memory is in proportion to what the steps write.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "json.h"
#include "kernels/kernels.h"
#include "memory.h"

namespace shufflekit {

using Arguments = std::variant<Gemm, Convolution, ConvolutionPool, Depthwise, PointwiseDepthwise, Pool, Affine, Binary, Softmax, Resize, Gather, LocalResponseNorm>;

// One run of a kernel. Tables and weights in `arguments` point into the program; the bases of its planes are set by whoever runs
// it: buffer 0 is the arena; as input, 1 is the network's input; as output, 1 + i is output i.
struct Step {
    std::string kernel, name;
    int32_t in_buffer = 0, out_buffer = 0;
    int64_t flops = 0, bytes = 0;  // of one image
    int64_t scratch = 0;           // floats for each thread
    Arguments arguments;
};

struct Tensor {
    std::string name;
    std::vector<int64_t> shape;  // without the batch
    int64_t floats = 0;
};

class Program {
  public:
    // Both throw std::invalid_argument, one line that names what is wrong; `load` also std::system_error.
    static Program load(const std::string& path);
    static Program parse(const void* content, size_t bytes);

    const std::string& name() const { return name_; }
    const Tensor& input() const { return input_; }  // (C, H, W)
    const std::vector<Tensor>& outputs() const { return outputs_; }
    const std::vector<Step>& steps() const { return steps_; }
    const Json& info() const { return info_; }
    int64_t arena() const { return arena_; }      // floats for one image, up to the last that a step reads or writes
    int64_t scratch() const { return scratch_; }  // floats for each thread

    const Memory<char>& content() const { return content_; }  // the file

  private:
    explicit Program(Memory<char> content);

    Memory<char> content_;
    std::string name_;
    Tensor input_;
    std::vector<Tensor> outputs_;
    std::vector<Step> steps_;
    Json info_;
    int64_t arena_ = 0, scratch_ = 0;
};

}  // namespace shufflekit
