// The Python module shufflekit._native: thin, and the only file that includes nanobind.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <unistd.h>

#include <cstring>

#include "cpu.h"
#include "engine.h"
#include "microbenchmark.h"
#include "training/layer.h"

namespace nb = nanobind;
using namespace nb::literals;  // "name"_a

namespace {

using shufflekit::Engine;
using Images = nb::ndarray<const float, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
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
            for (;;) pause();
        }
    }
    WithoutLock(const WithoutLock&) = delete;
    WithoutLock& operator=(const WithoutLock&) = delete;

  private:
    PyThreadState* const state_;
};

void check_images(const Engine& engine, const Images& images) {
    for (size_t i = 0; i < 3; ++i)
        if (static_cast<int64_t>(images.shape(i + 1)) != engine.program().input().shape[i])
            throw std::invalid_argument("images: must have the shape of the plan's input");
}

std::vector<Result> run(const Engine& engine, const Images& images) {
    check_images(engine, images);
    std::vector<Result> results;
    std::vector<float*> starts;
    for (const auto& output : engine.program().outputs()) {
        std::vector<size_t> shape{images.shape(0)};
        shape.insert(shape.end(), output.shape.begin(), output.shape.end());
        auto* memory = new float[images.shape(0) * output.floats];
        nb::capsule owner(memory, [](void* p) noexcept { delete[] static_cast<float*>(p); });
        results.emplace_back(memory, shape.size(), shape.data(), owner);
        starts.push_back(memory);
    }
    const WithoutLock without_lock;
    engine.run(images.data(), static_cast<int64_t>(images.shape(0)), starts.data());
    return results;
}

std::vector<std::vector<double>> profile(const Engine& engine, const Images& images, int repeats) {
    check_images(engine, images);
    if (images.shape(0) != 1 || repeats < 1) throw std::invalid_argument("profile: needs one image and at least one repeat");
    const WithoutLock without_lock;
    return engine.profile(images.data(), repeats);
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
          "Instruction sets that kernels are compiled for and that run here, best first; the last is 'scalar'.");
    m.def("vector_features", &shufflekit::vector_features, "Vector instructions that the processor offers, used or not.");
    m.def("multiply_add_rates", &shufflekit::multiply_add_rates, "instruction_set"_a, "threads"_a, "window_ms"_a, "repeats"_a,
          nb::call_guard<WithoutLock>(),
          "float32 multiply-adds a second of all threads together, one number a repeat.");
    m.def("copy_rates", &shufflekit::copy_rates, "instruction_set"_a, "threads"_a, "working_set_bytes"_a, "window_ms"_a,
          "repeats"_a, nb::call_guard<WithoutLock>(),
          "Bytes read plus bytes written a second of all threads together, each copying half of its own working set.");

    nb::class_<Engine>(m, "Engine", "Runs a plan; several threads may use one at the same time.")
        .def_static("load", [](const std::string& path, int threads, std::string_view isa) {
            const WithoutLock without_lock;
            return new Engine(shufflekit::Program::load(path), threads, isa);
        }, "path"_a, "threads"_a, "instruction_set"_a, "From a file; ValueError where it is no sound plan. No instruction set: the best.")
        .def_static("parse", [](nb::bytes content, int threads, std::string_view isa) {
            return new Engine(shufflekit::Program::parse(content.c_str(), content.size()), threads, isa);
        }, "content"_a, "threads"_a, "instruction_set"_a, "From a file's content.")
        .def("run", &run, "images"_a, "(N, C, H, W) in, each output with its N out.")
        .def("profile", &profile, "image"_a, "repeats"_a, "Seconds of each step, for each repeat.")
        .def_prop_ro("content", [](const Engine& e) { return nb::bytes(e.program().content().data(), e.program().content().size()); },
                     "The plan's file.")
        .def_prop_ro("input_shape", [](const Engine& e) { return e.program().input().shape; }, "(C, H, W)")
        .def_prop_ro("threads", &Engine::threads)
        .def_prop_ro("instruction_set", [](const Engine& e) { return std::string(e.instruction_set()); });

    m.def("copy_planes", &copy_planes, "to"_a, "from_"_a, "floats"_a, "Copies planes of so many floats from address to address.");
    using shufflekit::TrainingLayer;
    nb::class_<TrainingLayer>(m, "TrainingLayer",
                              "The training step of a convolution and its batch norm on maps with the images innermost, "
                              "native/training/conv_norm.h; it is given addresses, which it does not check.")
        .def("__init__", [](TrainingLayer* self, const std::vector<int64_t>& shape, const std::vector<int32_t>& order, std::string_view isa) {
            if (shape.size() != 14) throw std::invalid_argument("shape: must have 14 numbers");
            const auto& s = shape;
            new (self) TrainingLayer({s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10], s[11], s[12], s[13]}, order, isa);
        }, "shape"_a, "order"_a, "instruction_set"_a,
             "shape: images, channels in and out, groups, then height and width of the map and the kernel, stride, padding, dilation of each. "
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
