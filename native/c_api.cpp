// The C interface: the engine, with exceptions turned into a line of text.
#include <algorithm>
#include <new>
#include <stdexcept>
#include <string>

#include "engine.h"
#include "plan_file.h"
#include "recognition.h"
#include "shufflekit.h"
#include "step_reader.h"

static_assert(SHUFFLEKIT_FLOAT32 == static_cast<int>(shufflekit::Type::float32));
static_assert(SHUFFLEKIT_UINT8 == static_cast<int>(shufflekit::Type::uint8));

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

shufflekit_tensor described(const shufflekit::Tensor& tensor) {
    shufflekit_tensor result{tensor.name.c_str(), static_cast<shufflekit_type>(tensor.type), static_cast<int>(tensor.shape.size() + tensor.batched), {},
                             static_cast<size_t>(tensor.bytes())};
    if (tensor.batched) result.shape[0] = SHUFFLEKIT_ANY;
    std::ranges::copy(tensor.shape, result.shape + tensor.batched);
    return result;
}

shufflekit::Picture picture_of(const shufflekit_photo& photo) {
    const auto is_side = [](int64_t side) { return side >= 1 && side <= shufflekit::most_side; };
    if (!is_side(photo.width) || !is_side(photo.height)) throw std::invalid_argument("photo: width and height must be 1 to 65536");
    if (photo.pixel_bytes != 3 && photo.pixel_bytes != 4) throw std::invalid_argument("photo: pixel_bytes must be 3 or 4");
    return {photo.height, photo.width, photo.pixel_bytes, photo.pixels};
}

void refuse(const shufflekit_engine* engine, const std::string& problem) {
    if (!problem.empty()) throw std::invalid_argument(engine->engine.program().name() + ": " + problem);
}

// How many are written.
template <class From, class To, class Write>
int put_found(const shufflekit_engine* engine, const shufflekit::Seen<From>& seen, int most, To* to, Write write) {
    refuse(engine, seen.problem);
    const int count = std::min(most, static_cast<int>(seen.found.size()));
    std::transform(seen.found.begin(), seen.found.begin() + count, to, write);
    return count;
}

}  // namespace

shufflekit_engine* shufflekit_load(const char* path, int threads, const char* instruction_set) {
    return guarded<shufflekit_engine*>(nullptr, [&] { return make(shufflekit::load_program(path), threads, instruction_set); });
}

shufflekit_engine* shufflekit_load_memory(const void* content, size_t bytes, int threads, const char* instruction_set) {
    return guarded<shufflekit_engine*>(nullptr, [&] { return make(shufflekit::Program({static_cast<const char*>(content), bytes}), threads, instruction_set); });
}

void shufflekit_free(shufflekit_engine* engine) { delete engine; }

const char* shufflekit_error() { return last_error.c_str(); }

const char* shufflekit_name(const shufflekit_engine* engine) { return engine->engine.program().name().c_str(); }

const char* shufflekit_instruction_set(const shufflekit_engine* engine) { return engine->engine.instruction_set().data(); }

const char* shufflekit_info(const shufflekit_engine* engine) { return engine->info.c_str(); }

int shufflekit_inputs(const shufflekit_engine* engine) { return static_cast<int>(engine->engine.program().inputs().size()); }

shufflekit_tensor shufflekit_input_at(const shufflekit_engine* engine, int input) { return described(engine->engine.program().inputs()[input]); }

int shufflekit_outputs(const shufflekit_engine* engine) { return static_cast<int>(engine->engine.program().outputs().size()); }

shufflekit_tensor shufflekit_output_at(const shufflekit_engine* engine, int output) {
    return described(engine->engine.program().outputs()[output]);
}

int shufflekit_run(const shufflekit_engine* engine, const void* const* inputs, int64_t count, void* const* outputs) {
    return guarded(-1, [&] { return engine->engine.run(inputs, count, outputs), 0; });
}

int shufflekit_prepare(const shufflekit_engine* engine, const shufflekit_photo* photo, void* input) {
    return guarded(-1, [&] {
        refuse(engine, put_in(engine->engine, picture_of(*photo), static_cast<char*>(input)));
        return 0;
    });
}

int shufflekit_classify(const shufflekit_engine* engine, const shufflekit_photo* photo, int most, shufflekit_class* found) {
    return guarded(-1, [&] {
        if (most < 1) throw std::invalid_argument("most: must be 1 or more");
        return put_found(engine, classify(engine->engine, picture_of(*photo), most), most, found,
                         [](const shufflekit::Likely& each) { return shufflekit_class{each.index, static_cast<float>(each.score)}; });
    });
}

int shufflekit_detect(const shufflekit_engine* engine, const shufflekit_photo* photo, double least, int most, shufflekit_box* found) {
    return guarded(-1, [&] {
        if (!(least > 0 && least < 1)) throw std::invalid_argument("least: must be above 0 and below 1");
        if (most < 1) throw std::invalid_argument("most: must be 1 or more");
        return put_found(engine, detect(engine->engine, picture_of(*photo), least), most, found, [](const shufflekit::Box& box) {
            const auto [left, top, right, bottom] = box.sides;
            return shufflekit_box{box.index, box.score, left, top, right, bottom};
        });
    });
}

const char* shufflekit_label(const shufflekit_engine* engine, int64_t index) {
    const shufflekit::Json* classes = engine->engine.program().info().find("classes");
    const auto* names = classes ? classes->as<shufflekit::Json::Array>() : nullptr;
    const bool has = names && index >= 0 && index < static_cast<int64_t>(names->size());
    const auto* name = has ? (*names)[static_cast<size_t>(index)].as<std::string>() : nullptr;
    return name ? name->c_str() : nullptr;
}

int shufflekit_steps(const shufflekit_engine* engine) { return static_cast<int>(engine->engine.program().steps().size()); }

shufflekit_step shufflekit_step_at(const shufflekit_engine* engine, int step) {
    const shufflekit::Step& found = engine->engine.program().steps()[step];
    return {found.name.c_str(), found.kernel.c_str(), found.variant.c_str(), found.flops, found.bytes};
}

int shufflekit_profile(const shufflekit_engine* engine, const void* const* inputs, int repeats, double* seconds) {
    return guarded(-1, [&] {
        for (const auto& repeat : engine->engine.profile(inputs, repeats)) seconds = std::ranges::copy(repeat, seconds).out;
        return 0;
    });
}
