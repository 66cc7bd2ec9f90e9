// The Python module shufflekit._native: thin, and the only file that includes nanobind.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "cpu.h"
#include "engine.h"
#include "microbenchmark.h"
#include "plan_file.h"
#include "training/layer.h"

namespace nb = nanobind;
using namespace nb::literals;  // "name"_a

namespace {

using shufflekit::Engine;
using shufflekit::Tensor;
using Input = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;  // of any type
using Result = nb::ndarray<nb::numpy, float>;

// Other Python threads go on meanwhile. A daemon thread that comes back while Python exits is unwound by Python up to 3.13, which C++
// takes for an error and ends the process; it waits for the exit here, as from Python 3.14 on.
class WithoutLock {
  public:
    WithoutLock() : state_(PyEval_SaveThread()) {}
    ~WithoutLock() {
        try {
            PyEval_RestoreThread(state_);
        } catch (...) {
            for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
        }
    }
    WithoutLock(const WithoutLock&) = delete;
    WithoutLock& operator=(const WithoutLock&) = delete;

  private:
    PyThreadState* const state_;
};

bool has_type(const Input& array, shufflekit::Type type) {
    return array.dtype() == (type == shufflekit::Type::uint8 ? nb::dtype<uint8_t>() : nb::dtype<float>());
}

// Where each input lies; all have the same number of images, which is set.
std::vector<const void*> starts_of(const Engine& engine, const std::vector<Input>& arrays, int64_t& images) {
    const auto& inputs = engine.program().inputs();
    if (arrays.size() != inputs.size()) throw std::invalid_argument("inputs: must be as many as the plan has");
    std::vector<const void*> starts;
    images = 0;
    for (size_t i = 0; i < inputs.size(); ++i) {
        const Input& array = arrays[i];
        const Tensor& input = inputs[i];
        bool fits = has_type(array, input.type) && array.ndim() == input.shape.size() + input.batched;
        for (size_t d = 0; fits && d < input.shape.size(); ++d) fits = static_cast<int64_t>(array.shape(d + input.batched)) == input.shape[d];
        if (fits && input.batched) {
            const auto count = static_cast<int64_t>(array.shape(0));
            fits = images == 0 || images == count;
            images = count;
        }
        if (!fits) throw std::invalid_argument(input.name + ": must have the type and shape of the plan's input, and as many images as the others");
        starts.push_back(array.data());
    }
    if (!engine.program().batched()) images = 1;
    return starts;
}

std::vector<Result> run(const Engine& engine, const std::vector<Input>& arrays) {
    int64_t images;
    const auto inputs = starts_of(engine, arrays, images);
    std::vector<Result> results;
    std::vector<void*> outputs;
    for (const Tensor& output : engine.program().outputs()) {
        std::vector<size_t> shape(output.shape.begin(), output.shape.end());
        if (output.batched) shape.insert(shape.begin(), static_cast<size_t>(images));
        auto* memory = new float[static_cast<size_t>(images * output.elements)];
        nb::capsule owner(memory, [](void* p) noexcept { delete[] static_cast<float*>(p); });
        results.emplace_back(memory, shape.size(), shape.data(), owner);
        outputs.push_back(memory);
    }
    const WithoutLock without_lock;
    engine.run(inputs.data(), images, outputs.data());
    return results;
}

std::vector<std::vector<double>> profile(const Engine& engine, const std::vector<Input>& arrays, int repeats) {
    int64_t images;
    const auto inputs = starts_of(engine, arrays, images);
    if (images != 1) throw std::invalid_argument("profile: needs one image");
    const WithoutLock without_lock;
    return engine.profile(inputs.data(), repeats);
}

template <size_t N>
std::vector<std::string> all_of(const char* const (&words)[N]) {
    return {words, words + N};
}

// What src/shufflekit/plan says too; a test compares them.

std::map<std::string, std::vector<std::string>> words() {
    using namespace shufflekit;
    return {{"activation", all_of(activation_words)}, {"pooling", all_of(pooling_words)}, {"operation", all_of(operation_words)},
            {"reduction", all_of(reduction_words)},   {"resizing", all_of(resizing_words)}, {"type", all_of(type_words)},
            {"cell", all_of(cell_words)}};
}

std::map<std::string, int64_t> limits() {
    using namespace shufflekit;
    return {{"format", plan_format}, {"border", plane_border}, {"panel", gemm_panel}, {"threads", most_threads}};
}

std::vector<std::tuple<std::string, std::string, std::vector<std::string>>> kernels() {
#define SHUFFLEKIT_NAME(isa) #isa,
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets) {#kernel, #variant, {sets(SHUFFLEKIT_NAME)}},
    return {
#include "kernels/kernels.inc"
    };
#undef SHUFFLEKIT_KERNEL
#undef SHUFFLEKIT_NAME
}

using Address = uintptr_t;  // of a tensor's floats; 0 where there is none

float* at(Address address) { return reinterpret_cast<float*>(address); }

void copy_planes(const std::vector<Address>& to, const std::vector<Address>& from, size_t floats) {
    if (to.size() != from.size()) throw std::invalid_argument("copy_planes: needs as many planes to write as to read");
    const WithoutLock without_lock;
    for (size_t i = 0; i < to.size(); ++i) std::memcpy(at(to[i]), at(from[i]), floats * sizeof(float));
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "The compiled part of shufflekit.";
    nb::set_leak_warnings(false);  // what a traceback still holds when Python exits is no leak
    m.def("instruction_sets", &shufflekit::instruction_sets,
          "Instruction sets that all kernels are compiled for and that run here, best first; the last is 'scalar'.");
    m.def("engine_sets", &shufflekit::engine_sets, "Those that an engine may be asked for: with them those that only some kernels have code for.");
    m.def("vector_features", &shufflekit::vector_features, "Vector instructions that the processor offers, used or not.");
    m.def("multiply_add_rates", &shufflekit::multiply_add_rates, "instruction_set"_a, "threads"_a, "window_ms"_a, "repeats"_a,
          nb::call_guard<WithoutLock>(),
          "float32 multiply-adds a second of all threads together, one number a repeat.");
    m.def("int8_sets", &shufflekit::int8_sets, "Instruction sets with code for bytes that run here, best first; the last is 'scalar'.");
    m.def("multiply_add_int8_rates", &shufflekit::multiply_add_int8_rates, "instruction_set"_a, "threads"_a, "window_ms"_a, "repeats"_a,
          nb::call_guard<WithoutLock>(), "Likewise of bytes, for one of int8_sets.");
    m.def("copy_rates", &shufflekit::copy_rates, "instruction_set"_a, "threads"_a, "working_set_bytes"_a, "window_ms"_a,
          "repeats"_a, nb::call_guard<WithoutLock>(),
          "Bytes read plus bytes written a second of all threads together, each copying half of its own working set.");

    m.def("words", &words, "The words of a plan, by what they say.");
    m.def("limits", &limits, "The format of plans, the border of planes in bytes, rows of a panel, the most threads.");
    m.def("plane_bytes", &shufflekit::plane_bytes, "pixels"_a, "element"_a, "Bytes that a plane of the arena owns.");
    m.def("kernels", &kernels, "Kernel, variant and the instruction sets that have code for it, best first.");

    nb::class_<Tensor>(m, "Tensor", "An input or output of a plan.")
        .def_ro("name", &Tensor::name)
        .def_prop_ro("type", [](const Tensor& t) { return std::string(shufflekit::type_words[static_cast<int32_t>(t.type)]); })
        .def_ro("batched", &Tensor::batched, "By image: its first dimension is the number of images.")
        .def_ro("shape", &Tensor::shape, "Without the batch.");

    nb::class_<Engine>(m, "Engine", "Runs a plan; several threads may use one at the same time.")
        .def_static("load", [](const std::string& path, int threads, std::string_view isa) {
            const WithoutLock without_lock;
            return new Engine(shufflekit::load_program(path), threads, isa);
        }, "path"_a, "threads"_a, "instruction_set"_a, "From a file; ValueError where it is no sound plan. No instruction set: the best.")
        .def_static("parse", [](nb::bytes content, int threads, std::string_view isa) {
            return new Engine(shufflekit::Program({content.c_str(), content.size()}), threads, isa);
        }, "content"_a, "threads"_a, "instruction_set"_a, "From a file's content.")
        .def("run", &run, "inputs"_a, "Each input with its N images in, each output with its N out.")
        .def("profile", &profile, "inputs"_a, "repeats"_a, "Seconds of each step, for each repeat, of one image.")
        .def_prop_ro("content", [](const Engine& e) { return nb::bytes(e.program().content().data(), e.program().content().size()); },
                     "The plan's file.")
        .def_prop_ro("inputs", [](const Engine& e) { return e.program().inputs(); })
        .def_prop_ro("threads", &Engine::threads)
        .def_prop_ro("instruction_set", [](const Engine& e) { return std::string(e.instruction_set()); });

    m.def("copy_planes", &copy_planes, "to"_a, "from_"_a, "floats"_a, "Copies planes of so many floats from address to address.");
    using shufflekit::TrainingLayer;
    nb::class_<TrainingLayer>(m, "TrainingLayer",
                              "The training step of a convolution and its batch norm on maps with the images innermost, "
                              "native/training/conv_norm.h; it is given addresses, which it does not check.")
        .def("__init__", [](TrainingLayer* self, const std::vector<int64_t>& shape, const std::vector<int32_t>& order, std::string_view isa) {
            if (shape.size() != 16) throw std::invalid_argument("shape: must have 16 numbers");
            const auto& s = shape;
            new (self) TrainingLayer({s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10], s[11], s[12], s[13], s[14], s[15]}, order, isa);
        }, "shape"_a, "order"_a, "instruction_set"_a,
             "shape: images, channels in and out, groups, then height and width of the map and the kernel, stride, padding, dilation of each, then floats from a channel to the next in and out. "
             "order: a permutation of the input's channels. No instruction set: the best.")
        .def("mean", [](const TrainingLayer& l, Address in, Address out, bool is_back, int threads) {
            const WithoutLock without_lock;
            l.mean(at(in), at(out), is_back, threads);
        }, "in_"_a, "out"_a, "is_back"_a, "threads"_a, "Average pooling of a depthwise layer's window, zeros beyond the border included; or back.")
        .def_prop_ro("out_size", [](const TrainingLayer& l) { return std::vector<int64_t>{l.out_height(), l.out_width()}; }, "(H, W)")
        .def("forward", [](const TrainingLayer& l, Address x, Address weights, Address gamma, Address beta, Address residual, Address z, Address moments, Address y,
                           Address mean, Address inverse, Address running_mean, Address running_var, double epsilon, double momentum, float low,
                           float high, int threads) {
            const WithoutLock without_lock;
            l.forward({at(x), at(weights), at(gamma), at(beta), at(residual), at(z), at(moments), at(y), at(mean), at(inverse), at(running_mean),
                       at(running_var), epsilon, momentum, low, high}, threads);
        }, "x"_a, "weights"_a, "gamma"_a, "beta"_a, "residual"_a, "z"_a, "moments"_a, "y"_a, "mean"_a, "inverse"_a, "running_mean"_a, "running_var"_a,
             "epsilon"_a, "momentum"_a, "low"_a, "high"_a, "threads"_a, "0: residual, one of z and moments, or the running statistics are not there.")
        .def("backward", [](const TrainingLayer& l, Address x, Address weights, Address gamma, Address beta, Address mean, Address inverse, Address z,
                            Address moments, Address y, Address dy, Address added, Address dx, Address dweights, Address dgamma, Address dbeta, Address dresidual,
                            float low, float high, float x_low, float x_high, bool is_masked, bool masks_x, int threads) {
            const WithoutLock without_lock;
            l.backward({at(x), at(weights), at(gamma), at(beta), at(mean), at(inverse), at(z), at(moments), at(y), at(dy), at(added), at(dx), at(dweights),
                        at(dgamma), at(dbeta), at(dresidual), low, high, x_low, x_high, is_masked, masks_x}, threads);
        }, "x"_a, "weights"_a, "gamma"_a, "beta"_a, "mean"_a, "inverse"_a, "z"_a, "moments"_a, "y"_a, "dy"_a, "added"_a, "dx"_a, "dweights"_a, "dgamma"_a,
             "dbeta"_a, "dresidual"_a, "low"_a, "high"_a, "x_low"_a, "x_high"_a, "is_masked"_a, "masks_x"_a, "threads"_a,
             "0: one of z and moments, y, added, dx, dweights or dresidual are not there.");
}
