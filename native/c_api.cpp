// The C interface: the engine, with exceptions turned into a line of text.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "engine.h"
#include "shufflekit.h"

struct shufflekit_engine {
    shufflekit::Engine engine;
    std::string info;
};

namespace {

thread_local std::string last_error;

template <class Result, class Task>
Result guarded(Result failed, Task task) {
    try {
        return task();
    } catch (const std::bad_alloc&) {
        last_error = "out of memory";
    } catch (const std::exception& error) {
        last_error = error.what();
    }
    return failed;
}

shufflekit_engine* make(shufflekit::Program program, int threads, const char* instruction_set) {
    std::string info = to_text(program.info());
    return new shufflekit_engine{{std::move(program), threads, instruction_set ? instruction_set : ""}, std::move(info)};
}

const shufflekit::Tensor& output_of(const shufflekit_engine* engine, int output) { return engine->engine.program().outputs()[output]; }

}  // namespace

shufflekit_engine* shufflekit_load(const char* path, int threads, const char* instruction_set) {
    return guarded<shufflekit_engine*>(nullptr, [&] { return make(shufflekit::Program::load(path), threads, instruction_set); });
}

shufflekit_engine* shufflekit_load_memory(const void* content, size_t bytes, int threads, const char* instruction_set) {
    return guarded<shufflekit_engine*>(nullptr, [&] { return make(shufflekit::Program::parse(content, bytes), threads, instruction_set); });
}

void shufflekit_free(shufflekit_engine* engine) { delete engine; }

const char* shufflekit_error() { return last_error.c_str(); }

const char* shufflekit_name(const shufflekit_engine* engine) { return engine->engine.program().name().c_str(); }

const char* shufflekit_instruction_set(const shufflekit_engine* engine) { return engine->engine.instruction_set().data(); }

const char* shufflekit_info(const shufflekit_engine* engine) { return engine->info.c_str(); }

void shufflekit_input_shape(const shufflekit_engine* engine, int64_t shape[3]) {
    std::ranges::copy(engine->engine.program().input().shape, shape);
}

int shufflekit_outputs(const shufflekit_engine* engine) { return static_cast<int>(engine->engine.program().outputs().size()); }

const char* shufflekit_output_name(const shufflekit_engine* engine, int output) { return output_of(engine, output).name.c_str(); }

int shufflekit_output_shape(const shufflekit_engine* engine, int output, int64_t shape[8]) {
    std::ranges::copy(output_of(engine, output).shape, shape);
    return static_cast<int>(output_of(engine, output).shape.size());
}

size_t shufflekit_output_floats(const shufflekit_engine* engine, int output) { return static_cast<size_t>(output_of(engine, output).floats); }

int shufflekit_run(const shufflekit_engine* engine, const float* images, int64_t count, float* const* outputs) {
    return guarded(-1, [&] {
        if (count < 1) throw std::invalid_argument("count: must be 1 or more, found " + std::to_string(count));
        return engine->engine.run(images, count, outputs), 0;
    });
}

int shufflekit_steps(const shufflekit_engine* engine) { return static_cast<int>(engine->engine.program().steps().size()); }

shufflekit_step shufflekit_step_at(const shufflekit_engine* engine, int step) {
    const shufflekit::Step& found = engine->engine.program().steps()[step];
    return {found.name.c_str(), found.kernel.c_str(), found.flops, found.bytes};
}

int shufflekit_profile(const shufflekit_engine* engine, const float* image, int repeats, double* seconds) {
    return guarded(-1, [&] {
        if (repeats < 1) throw std::invalid_argument("repeats: must be 1 or more, found " + std::to_string(repeats));
        for (const auto& repeat : engine->engine.profile(image, repeats)) seconds = std::ranges::copy(repeat, seconds).out;
        return 0;
    });
}
