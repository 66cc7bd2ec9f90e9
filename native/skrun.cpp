// skrun: runs a plan where there is no Python, and says how long it takes. Made on the C interface alone.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#ifdef _WIN32
#include <windows.h>
#include <shellapi.h>
#endif

#include "file_path.h"
#include "json.h"
#include "photo.h"
#include "shufflekit.h"

namespace {

constexpr const char* usage =
    R"(usage: skrun PLAN [options]

Runs a plan of `shufflekit compile` and prints the milliseconds of one image.

  --image FILE     a photo (binary PPM) in, the five likeliest classes or a detector's boxes out
  --input FILE     raw float32, or bytes, in, as the plan takes it, several inputs one after another; without --image and --input, noise
  --output FILE    raw float32 out, all outputs one after another
  --classes FILE   names of the classes, one a line; by default those kept in the plan
  --least X        score of a box (0.3)
  --repeat N       timed runs, after one that is not timed (20); 0 for none
  --threads N      threads of a run (1)
  --isa NAME       instruction set: avx512, avxvnni, avx2, neoni8mm, neondot, neon or scalar (the best)
  --profile        milliseconds of each step, too
  --json           all of it as JSON
)";

struct Wrong : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Options {
    std::string plan, image, input, output, classes, isa;
    double least = 0.3;
    int repeat = 20, threads = 1;
    bool profile = false, json = false;
};

int whole(const std::string& name, const std::string& value, int least) {
    char* end = nullptr;
    const long number = std::strtol(value.c_str(), &end, 10);
    if (value.empty() || *end || number < least || number > 1000000)
        throw Wrong(name + ": must be " + std::to_string(least) + " to 1000000, found " + value);
    return static_cast<int>(number);
}

double share(const std::string& name, const std::string& value) {
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (value.empty() || *end || !(number > 0 && number < 1)) throw Wrong(name + ": must be above 0 and below 1, found " + value);
    return number;
}

// What follows the program's name, in UTF-8.
#ifdef _WIN32
std::vector<std::string> words_of(int, char**) {  // which are in the system's old code page
    std::vector<std::string> words;
    int count = 0;
    const std::unique_ptr<wchar_t*, decltype(&LocalFree)> all(CommandLineToArgvW(GetCommandLineW(), &count), &LocalFree);
    for (int i = 1; i < count; ++i) {
        const auto word = std::filesystem::path(all.get()[i]).u8string();
        words.emplace_back(word.begin(), word.end());
    }
    SetConsoleOutputCP(CP_UTF8);
    return words;
}
#else
std::vector<std::string> words_of(int count, char** arguments) { return {arguments + 1, arguments + count}; }
#endif

Options options_of(const std::vector<std::string>& words) {
    Options options;
    for (size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        const auto value = [&]() -> std::string {
            if (++i == words.size()) throw Wrong(word + ": needs a value");
            return words[i];
        };
        if (word == "--image")
            options.image = value();
        else if (word == "--input")
            options.input = value();
        else if (word == "--output")
            options.output = value();
        else if (word == "--classes")
            options.classes = value();
        else if (word == "--isa")
            options.isa = value();
        else if (word == "--least")
            options.least = share(word, value());
        else if (word == "--repeat")
            options.repeat = whole(word, value(), 0);
        else if (word == "--threads")
            options.threads = whole(word, value(), 1);
        else if (word == "--profile")
            options.profile = true;
        else if (word == "--json")
            options.json = true;
        else if (word.starts_with("-"))
            throw Wrong(word + ": no such option");
        else if (options.plan.empty())
            options.plan = word;
        else
            throw Wrong(word + ": one plan is enough");
    }
    if (options.plan.empty()) throw Wrong("PLAN is missing");
    if (!options.image.empty() && !options.input.empty()) throw Wrong("--image, --input: one of them is enough");
    return options;
}

// Of each input.
using Inputs = std::vector<std::vector<char>>;

std::vector<shufflekit_tensor> inputs_of(const shufflekit_engine* engine) {
    std::vector<shufflekit_tensor> inputs;
    for (int i = 0; i < shufflekit_inputs(engine); ++i) inputs.push_back(shufflekit_input_at(engine, i));
    return inputs;
}

Inputs read_inputs(const std::string& path, const std::vector<shufflekit_tensor>& inputs) {
    std::ifstream file(shufflekit::file_path(path), std::ios::binary | std::ios::ate);
    if (!file) throw std::invalid_argument(path + ": cannot be read");
    size_t needed = 0;
    for (const auto& input : inputs) needed += input.bytes;
    const auto found = static_cast<size_t>(file.tellg());
    if (found != needed) throw std::invalid_argument(path + ": must have " + std::to_string(needed) + " bytes, found " + std::to_string(found));
    file.seekg(0);
    Inputs values;
    for (const auto& input : inputs) file.read(values.emplace_back(input.bytes).data(), static_cast<std::streamsize>(input.bytes));
    return values;
}

// The same on every machine.
Inputs noise(const std::vector<shufflekit_tensor>& inputs) {
    Inputs values;
    uint32_t state = 1;
    const auto next = [&] { return state = state * 1664525 + 1013904223; };
    for (const auto& input : inputs) {
        auto& bytes = values.emplace_back(input.bytes);
        if (input.type == SHUFFLEKIT_UINT8) {
            for (char& byte : bytes) byte = static_cast<char>(next() >> 24);
            continue;
        }
        for (size_t at = 0; at < bytes.size(); at += sizeof(float)) {
            const float value = static_cast<float>(static_cast<int32_t>(next())) * 0x1p-30f;
            std::memcpy(bytes.data() + at, &value, sizeof(value));
        }
    }
    return values;
}

// Names of classes: of a file, one a line, else those kept in the plan.
class Names {
  public:
    Names(const shufflekit_engine* engine, const std::string& path) : engine_(engine) {
        if (path.empty()) return;
        std::ifstream file(shufflekit::file_path(path));
        if (!file) throw std::invalid_argument(path + ": cannot be read");
        for (std::string line; std::getline(file, line);) lines_.push_back(line);
    }
    std::string operator[](int64_t index) const {
        if (index < static_cast<int64_t>(lines_.size())) return lines_[static_cast<size_t>(index)];
        const char* kept = lines_.empty() ? shufflekit_label(engine_, index) : nullptr;
        return kept ? kept : "class " + std::to_string(index);
    }

  private:
    const shufflekit_engine* engine_;
    std::vector<std::string> lines_;
};

// What is on a photo: classes, or boxes; of a network that gives neither nothing.
struct Found {
    bool are_boxes = false;
    std::vector<shufflekit_box> all;
};

Found look(const shufflekit_engine* engine, const shufflekit_photo& photo, double least) {
    Found found{shufflekit::parse_json(shufflekit_info(engine)).find("detection") != nullptr, {}};
    const shufflekit_tensor output = shufflekit_output_at(engine, 0);
    int count = 0;
    if (found.are_boxes) {
        found.all.resize(1000);
        count = shufflekit_detect(engine, &photo, least, static_cast<int>(found.all.size()), found.all.data());
    } else if (shufflekit_outputs(engine) == 1 && output.rank > 1 && output.shape[1] > 1 && output.bytes == output.shape[1] * sizeof(float)) {
        shufflekit_class classes[5];
        count = shufflekit_classify(engine, &photo, 5, classes);
        for (int i = 0; i < count; ++i) found.all.push_back({classes[i].index, classes[i].score, 0, 0, 0, 0});
    }
    if (count < 0) throw std::runtime_error(shufflekit_error());
    found.all.resize(static_cast<size_t>(count));
    return found;
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

std::string quoted(const std::string& text) { return shufflekit::to_text({text}); }

struct StepTime {
    shufflekit_step step;
    double ms;
};

std::vector<StepTime> profile(const shufflekit_engine* engine, const void* const* inputs, int repeats) {
    const auto steps = static_cast<size_t>(shufflekit_steps(engine));
    std::vector<double> seconds(steps * static_cast<size_t>(repeats));
    if (shufflekit_profile(engine, inputs, repeats, seconds.data())) throw std::runtime_error(shufflekit_error());
    std::vector<StepTime> times;
    for (size_t step = 0; step < steps; ++step) {
        std::vector<double> own;
        for (size_t at = step; at < seconds.size(); at += steps) own.push_back(seconds[at] * 1e3);
        times.push_back({shufflekit_step_at(engine, static_cast<int>(step)), median(own)});
    }
    return times;
}

struct Results {
    std::vector<std::vector<float>> outputs;
    std::vector<double> ms;  // of each timed run
    Found found;
    std::vector<StepTime> steps;
};

// Of one image.
std::vector<int64_t> shape_of(const shufflekit_tensor& tensor) {
    return {tensor.shape + (tensor.rank > 0 && tensor.shape[0] == SHUFFLEKIT_ANY), tensor.shape + tensor.rank};
}

std::string joined(const std::vector<int64_t>& sizes, const char* between) {
    std::string text;
    for (const int64_t size : sizes) text += (text.empty() ? "" : between) + std::to_string(size);
    return text;
}

void print_json(const shufflekit_engine* engine, const Options& options, const Results& results, const Names& names) {
    std::printf("{\"plan\": %s, \"network\": %s, \"instruction_set\": \"%s\", \"threads\": %d", quoted(options.plan).c_str(),
                quoted(shufflekit_name(engine)).c_str(), shufflekit_instruction_set(engine), options.threads);
    if (!results.ms.empty())
        std::printf(", \"repeat\": %d, \"median_ms\": %.6g, \"min_ms\": %.6g", options.repeat, median(results.ms), *std::ranges::min_element(results.ms));
    std::printf(", \"outputs\": [");
    for (size_t i = 0; i < results.outputs.size(); ++i) {
        const shufflekit_tensor output = shufflekit_output_at(engine, static_cast<int>(i));
        std::printf("%s{\"name\": %s, \"shape\": [%s]}", i ? ", " : "", quoted(output.name).c_str(), joined(shape_of(output), ", ").c_str());
    }
    std::printf("]");
    const auto& [are_boxes, all] = results.found;
    if (are_boxes || !all.empty()) std::printf(", \"%s\": [", are_boxes ? "boxes" : "top");
    for (size_t i = 0; i < all.size(); ++i) {
        std::printf("%s{\"class\": %lld, \"name\": %s, \"score\": %.6g", i ? ", " : "", static_cast<long long>(all[i].index),
                    quoted(names[all[i].index]).c_str(), all[i].score);
        if (are_boxes) std::printf(", \"box\": [%.7g, %.7g, %.7g, %.7g]", all[i].left, all[i].top, all[i].right, all[i].bottom);
        std::printf("}");
    }
    if (are_boxes || !all.empty()) std::printf("]");
    for (size_t i = 0; i < results.steps.size(); ++i) {
        const auto& [step, ms] = results.steps[i];
        std::printf("%s{\"name\": %s, \"kernel\": \"%s\", \"variant\": \"%s\", \"ms\": %.6g, \"flops\": %lld, \"bytes\": %lld}%s", i ? ", " : ", \"steps\": [",
                    quoted(step.name).c_str(), step.kernel, step.variant, ms, static_cast<long long>(step.flops), static_cast<long long>(step.bytes),
                    i + 1 == results.steps.size() ? "]" : "");
    }
    std::printf("}\n");
}

void print_text(const shufflekit_engine* engine, const Options& options, const Results& results, const Names& names) {
    std::string shapes;
    for (int i = 0; i < shufflekit_inputs(engine); ++i) shapes += joined(shape_of(shufflekit_input_at(engine, i)), "x") + ", ";
    std::printf("%s, %s%s, %d thread%s\n", shufflekit_name(engine), shapes.c_str(), shufflekit_instruction_set(engine), options.threads,
                options.threads > 1 ? "s" : "");
    const auto& [are_boxes, all] = results.found;
    if (!are_boxes && all.empty())
        for (size_t i = 0; i < results.outputs.size(); ++i) {
            const shufflekit_tensor output = shufflekit_output_at(engine, static_cast<int>(i));
            std::printf("%s (%s):", output.name, joined(shape_of(output), ", ").c_str());
            for (size_t j = 0; j < std::min<size_t>(5, results.outputs[i].size()); ++j) std::printf(" %.6g", results.outputs[i][j]);
            std::printf(results.outputs[i].size() > 5 ? " ...\n" : "\n");
        }
    for (const auto& each : all) {
        std::printf("%5.1f %%  %s", each.score * 100, names[each.index].c_str());
        are_boxes ? std::printf("  (%.0f, %.0f) to (%.0f, %.0f)\n", each.left, each.top, each.right, each.bottom) : std::printf("\n");
    }
    if (!results.steps.empty()) {
        double all = 0;
        for (const auto& each : results.steps) all += each.ms;
        std::printf("%8s  %5s  %7s  %-12s %s\n", "ms", "share", "Gflop/s", "kernel", "step");
        for (const auto& [step, ms] : results.steps)
            std::printf("%8.4f  %4.1f%%  %7.2f  %-12s %s\n", ms, ms / all * 100, static_cast<double>(step.flops) / ms * 1e-6, step.kernel, step.name);
    }
    if (!results.ms.empty())
        std::printf("%.3f ms median, %.3f ms least of %d runs\n", median(results.ms), *std::ranges::min_element(results.ms), options.repeat);
}

int run(const Options& options) {
    const std::unique_ptr<shufflekit_engine, decltype(&shufflekit_free)> owner(
        shufflekit_load(options.plan.c_str(), options.threads, options.isa.c_str()), &shufflekit_free);
    const shufflekit_engine* engine = owner.get();
    if (!engine) throw std::runtime_error(options.plan + ": " + shufflekit_error());
    const auto tensors = inputs_of(engine);
    Inputs values = options.input.empty() ? noise(tensors) : read_inputs(options.input, tensors);
    const Names names(engine, options.classes);
    Results results;
    if (!options.image.empty()) {
        const auto image = shufflekit::read_ppm(options.image);
        const shufflekit_photo photo{image.pixels.data(), image.width, image.height, 3};
        if (shufflekit_prepare(engine, &photo, values[0].data())) throw std::runtime_error(shufflekit_error());
        results.found = look(engine, photo, options.least);
    }
    std::vector<const void*> inputs;
    for (const auto& value : values) inputs.push_back(value.data());

    std::vector<void*> outputs;
    for (int i = 0; i < shufflekit_outputs(engine); ++i) results.outputs.emplace_back(shufflekit_output_at(engine, i).bytes / sizeof(float));
    for (auto& output : results.outputs) outputs.push_back(output.data());
    for (int i = 0; i <= options.repeat; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        if (shufflekit_run(engine, inputs.data(), 1, outputs.data())) throw std::runtime_error(shufflekit_error());
        const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
        if (i > 0) results.ms.push_back(took.count());
    }
    if (options.profile) results.steps = profile(engine, inputs.data(), std::max(1, options.repeat));
    if (!options.output.empty()) {
        std::ofstream file(shufflekit::file_path(options.output), std::ios::binary);
        for (const auto& output : results.outputs)
            file.write(reinterpret_cast<const char*>(output.data()), static_cast<std::streamsize>(output.size() * sizeof(float)));
        if (!file.flush()) throw std::invalid_argument(options.output + ": cannot be written");
    }
    options.json ? print_json(engine, options, results, names) : print_text(engine, options, results, names);
    return 0;
}

}  // namespace

// 0 fine, 1 a file that cannot be used, 2 wrong usage.
int main(int count, char** arguments) {
    const auto words = words_of(count, arguments);
    if (std::ranges::find(words, "--help") != words.end()) return std::fputs(usage, stdout), 0;
    try {
        return run(options_of(words));
    } catch (const Wrong& wrong) {
        std::fprintf(stderr, "skrun: %s\n%s", wrong.what(), usage);
        return 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "skrun: %s\n", error.what());
        return 1;
    }
}
