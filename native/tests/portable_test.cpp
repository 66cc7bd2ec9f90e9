// portable_test PLAN: the engine built without exceptions, threads and files of its own, as for WebAssembly. Prints the sum of each
// output of a run on noise, then what is said of half a plan.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "engine.h"

namespace shufflekit {

// The one place that would throw.
void fail(const std::string& problem) {
    std::printf("%s\n", problem.c_str());
    std::exit(0);
}

void fail_out_of_memory() { std::abort(); }

}  // namespace shufflekit

int main(int count, char** arguments) {
    using namespace shufflekit;
    std::FILE* const file = count == 2 ? std::fopen(arguments[1], "rb") : nullptr;
    if (!file) return 2;
    std::vector<char> content(1 << 24);
    content.resize(std::fread(content.data(), 1, content.size(), file));
    const Engine engine(Program({content.data(), content.size()}), 1, "");
    std::vector<std::vector<float>> memory;
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    for (const Tensor& input : engine.program().inputs()) {
        auto& values = memory.emplace_back(static_cast<size_t>(input.elements));
        for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 17) / 17 - 0.5f;
        inputs.push_back(values.data());
    }
    for (const Tensor& output : engine.program().outputs()) outputs.push_back(memory.emplace_back(static_cast<size_t>(output.elements)).data());
    engine.run(inputs.data(), 1, outputs.data());
    for (size_t i = inputs.size(); i < memory.size(); ++i) {
        double sum = 0;
        for (const float value : memory[i]) sum += value;
        std::printf("%.9g\n", sum);
    }
    const Program half({content.data(), content.size() / 2});
    return 1;  // it was taken
}
