// kernels_test [NAME...]: every kernel of kernels.inc, for every instruction set that has code for it and runs here, against its twin; and
// those that measure. With names only what is called so, as `gemm` or `activations`: under an emulator all of them take an hour.
#include <algorithm>
#include <cmath>

#include "cpu.h"
#include "kernels/copy/copy.h"
#include "kernels/kernels.h"
#include "kernels/multiply_add/multiply_add.h"
#include "kernels/multiply_add_int8/multiply_add_int8.h"
#include "tests/cases.h"
#include "tests/reference.h"

#undef SHUFFLEKIT_HEADER
#define SHUFFLEKIT_HEADER(kernel) SHUFFLEKIT_TEXT(kernels/kernel/twin.h)
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets)
#include "kernels/kernels.inc"
#undef SHUFFLEKIT_KERNEL

namespace shufflekit::testing {
namespace {

std::vector<std::string_view> names;

bool is_named(std::string_view name) { return names.empty() || std::find(names.begin(), names.end(), name) != names.end(); }

template <class Function>
void test_one(std::string_view isa, const char* name, Function* kernel, void (*test)(Report&, Function*)) {
    if (!is_named(name)) return;
    if (!runs_here(isa)) return void(std::printf("%.*s does not run here\n", static_cast<int>(isa.size()), isa.data()));
    Report report(isa, name);
    test(report, kernel);
}

void test_kernels() {
#define SHUFFLEKIT_TEST(isa, function) test_one(#isa, #function, &isa::function, &test_##function);
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets) sets(SHUFFLEKIT_TEST, function)
#include "kernels/kernels.inc"
#undef SHUFFLEKIT_KERNEL
#undef SHUFFLEKIT_TEST
}

// A set need not have code for every kernel: then the next one's runs, but none that is better than what was asked for.
void test_choice() {
    Report report("every", "choice");
    report.run([&](Random&, std::string& about) -> std::string {
        constexpr const char *first = "of the first set", *last = "of scalar";
        const Code<const char> two[] = {{every_set[0], first}, {"scalar", last}}, one[] = {{"scalar", last}};
        about = "sets with code";
        if (best_code(one, every_set[0]) != last || best_code(two, "scalar") != last) return "needed the code of scalar";
        return best_code(two, every_set[0]) == (runs_here(every_set[0]) ? first : last) ? "" : "needed the code of the best that runs here";
    });
}

// What an activation may be off by, in millionths: of the result, of x where a result near zero has few digits, of the exponent's too.
double allowed(float x, double needed, const Epilogue& epilogue) {
    const Activation a = epilogue.activation;
    const bool is_of_x = a == Activation::gelu || a == Activation::gelu_tanh;
    const double more = a == Activation::power && x != 0 ? 1 + std::fabs(epilogue.alpha * std::log(std::fabs(x))) : 1;
    return 1e-6 * more * std::max(std::fabs(is_of_x ? x : needed), 1e-29);
}

const std::vector<Epilogue> activations_to_test = [] {
    std::vector<Epilogue> all;
    for (int32_t a = 0; a < activations; ++a) all.push_back({static_cast<Activation>(a), 0.125f, 0.5f});
    for (const float exponent : {3.0f, -2.0f, 2.5f, -1.0f, 0.0f}) all.push_back({Activation::power, exponent, 0});
    all.push_back({Activation::elu, 1, 1}), all.push_back({Activation::softplus, 1, 20});
    all.push_back({Activation::clamp, -INFINITY, 1}), all.push_back({Activation::clamp, -1, INFINITY});
    return all;
}();

// -100, -99.99, ... 100 through each activation, and what PyTorch does with the ends of float32 and what is beyond them.
void test_activations(std::string_view isa, Affine::Function* affine) {
    Report report(isa, "activations");
    for (const Epilogue& epilogue : activations_to_test)
        report.run([&](Random&, std::string& about) -> std::string {
            constexpr int32_t count = 20001;
            about = text("%s of %g and %g", activation_words[static_cast<int32_t>(epilogue.activation)], epilogue.alpha, epilogue.beta);
            std::vector<float> in(plane_floats(count)), out(in.size());
            for (int32_t i = 0; i < count; ++i) in[i] = static_cast<float>(i - count / 2) / 100;
            constexpr float ends[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, -88.5f, 88.5f, 1e-40f, -0.0f, -4194304.5f, 8388607.5f, 3.9999f, -3.99f};
            for (size_t i = 0; i < std::size(ends); ++i) in[i] = in[count - 1 - i] = ends[i];  // in a vector, and behind the last one
            const int32_t offset = 0;
            const float one = 1, zero = 0;
            const Affine a{{in.data(), &offset}, {out.data(), &offset}, &one, &zero, 1, count, epilogue};
            affine(a, 0, 1);
            for (int32_t i = 0; i < count; ++i) {
                const auto needed = static_cast<float>(reference::activate(in[i], a.epilogue));
                const bool equal = std::isnan(needed) ? std::isnan(out[i]) : out[i] == needed;
                if (!equal && !(std::fabs(double{out[i]} - needed) <= allowed(in[i], needed, epilogue)))
                    return text("of %.9g: found %.9g, needed %.9g", in[i], out[i], needed);
            }
            return "";
        });
}

#define SHUFFLEKIT_ENTRY(isa) {#isa, &isa::copy},
constexpr CopyKernel copies[] = {SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_ENTRY)};
#undef SHUFFLEKIT_ENTRY

void test_copy(const CopyKernel& kernel) {
    Report report(kernel.isa, "copy");
    for (int64_t count = 0; count <= 8 * copy_block; count += copy_block)
        report.run([&](Random& random, std::string& about) -> std::string {
            about = text("%lld floats", static_cast<long long>(count));
            const auto source = numbers(random, count);
            const Guarded<float> target(static_cast<size_t>(count), random.once_in(2));
            kernel.run(source.data(), target.data(), count);
            for (int64_t i = 0; i < count; ++i)
                if (target[i] != source[i]) return text("float %lld differs", static_cast<long long>(i));
            return "";
        });
}

#define SHUFFLEKIT_ENTRY(isa) {#isa, isa::multiply_add_lanes, &isa::multiply_add},
const MultiplyAddKernel multiply_adds[] = {SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_ENTRY)};
#undef SHUFFLEKIT_ENTRY

void test_multiply_add(const MultiplyAddKernel& kernel) {
    Report report(kernel.isa, "multiply_add");
    for (const int64_t rounds : {0, 1, 2, 1000})
        report.run([&](Random&, std::string& about) -> std::string {
            about = text("%lld rounds", static_cast<long long>(rounds));
            const double sum = kernel.run(rounds, 1, 1, 1), needed = static_cast<double>(kernel.sum_of_ones(rounds));
            return sum == needed ? "" : text("found %.17g, needed %.17g", sum, needed);
        });
}

#define SHUFFLEKIT_ENTRY(isa) {#isa, isa::multiply_add_int8_lanes, isa::multiply_add_int8_products, &isa::multiply_add_int8},
const MultiplyAddInt8Kernel multiply_adds_int8[] = {SHUFFLEKIT_DOT_ISA(SHUFFLEKIT_ENTRY)};
#undef SHUFFLEKIT_ENTRY

void test_multiply_add_int8(const MultiplyAddInt8Kernel& kernel) {
    Report report(kernel.isa, "multiply_add_int8");
    for (const int64_t rounds : {0, 1, 2, 1000})
        for (const int b : {1, -3})
            report.run([&](Random&, std::string& about) -> std::string {
                about = text("%lld rounds by %d", static_cast<long long>(rounds), b);
                const int64_t sum = kernel.run(rounds, 5, b), needed = kernel.sum_of_ones(0) + 5 * b * kernel.multiply_adds(rounds);
                return sum == needed ? "" : text("found %lld, needed %lld", static_cast<long long>(sum), static_cast<long long>(needed));
            });
}

}  // namespace
}  // namespace shufflekit::testing

int main(int count, char** arguments) {
    using namespace shufflekit;
    using namespace shufflekit::testing;
    names.assign(arguments + 1, arguments + count);
    test_kernels();
    if (is_named("choice")) test_choice();
#define SHUFFLEKIT_TEST(isa) \
    if (is_named("activations") && runs_here(#isa)) test_activations(#isa, &isa::affine);
    SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_TEST)
#undef SHUFFLEKIT_TEST
    for (const CopyKernel& kernel : copies)
        if (is_named("copy") && runs_here(kernel.isa)) test_copy(kernel);
    for (const MultiplyAddKernel& kernel : multiply_adds)
        if (is_named("multiply_add") && runs_here(kernel.isa)) test_multiply_add(kernel);
    for (const MultiplyAddInt8Kernel& kernel : multiply_adds_int8)
        if (is_named("multiply_add_int8") && runs_here(kernel.isa)) test_multiply_add_int8(kernel);
    if (!Report::all_cases) return std::fprintf(stderr, "kernels_test: nothing has such a name\n"), 2;
    std::printf("%d failed\n", Report::all_failed);
    return Report::all_failed ? 1 : 0;
}
