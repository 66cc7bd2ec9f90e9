// The engine as a WebAssembly module, for web/src: one plan for each instance, whose memory is that plan's alone. What is refused
// leaves by the import `fail`, which throws; the instance is dropped then, whatever state it is in, and another one takes the plan.
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "engine.h"
#include "fail.h"
#include "recognition.h"

#define SHUFFLEKIT_EXPORT(name) extern "C" [[clang::export_name(#name)]]

extern "C" [[noreturn, clang::import_module("shufflekit"), clang::import_name("fail")]] void shufflekit_fail(const char* problem, size_t bytes);

namespace shufflekit {
namespace {

// Addresses have 32 bits; what a plan takes besides itself must leave room for it.
constexpr int64_t most_memory = int64_t{3} << 30;

Memory<char> content;
std::optional<Engine> engine;
std::string about;
int64_t images = 0;  // that there is room for
std::vector<Memory<char>> inputs, outputs, stacks;

const std::vector<Tensor>& tensors(bool are_inputs) { return are_inputs ? engine->program().inputs() : engine->program().outputs(); }

void check_memory(const Program& program, int64_t count, int threads) {
    double bytes = (static_cast<double>(program.arena()) + static_cast<double>(program.scratch())) * threads;
    for (const auto* all : {&program.inputs(), &program.outputs()})
        for (const Tensor& each : *all) bytes += static_cast<double>(each.bytes()) * static_cast<double>(each.batched ? count : 1);
    if (bytes > static_cast<double>(most_memory))
        fail("memory: a run must take at most " + std::to_string(most_memory) + " bytes in WebAssembly, found " + std::to_string(static_cast<int64_t>(bytes)));
}

Json described(const std::vector<Tensor>& all) {
    Json::Array list;
    for (const Tensor& each : all) {
        Json::Array shape;
        for (const int64_t size : each.shape) shape.push_back({size});
        list.push_back({Json::Object{{"name", {each.name}},
                                     {"type", {std::string(type_words[static_cast<int>(each.type)])}},
                                     {"batched", {each.batched}},
                                     {"shape", {std::move(shape)}}}});
    }
    return {std::move(list)};
}

// The picture that JavaScript fills: RGBA.
Picture picture;
Memory<uint8_t> pixels;

// What JavaScript reads of something that it may go on after.
const char* said(Json json) {
    static std::string text;
    text = to_text(json);
    return text.c_str();
}
const char* refused(const std::string& problem) { return said({Json::Object{{"problem", {problem}}}}); }

void make_room(std::vector<Memory<char>>& rooms, const std::vector<Tensor>& all) {
    rooms.clear();
    for (const Tensor& each : all) rooms.emplace_back(static_cast<size_t>(each.bytes() * (each.batched ? images : 1)));
}

}  // namespace

void fail(const std::string& problem) { shufflekit_fail(problem.data(), problem.size()); }

void fail_out_of_memory() { fail("out of memory"); }

// Room for a plan of so many bytes, which the caller fills before `load`.
SHUFFLEKIT_EXPORT(room) char* room(size_t bytes) {
    std::set_new_handler(fail_out_of_memory);
    content = Memory<char>(bytes);
    return content.data();
}

// What the plan is, as JSON. So many threads run it: all but the caller are workers that call `work`.
SHUFFLEKIT_EXPORT(load) const char* load(int threads) {
    Program program(std::move(content));
    check_memory(program, 1, threads);
    engine.emplace(std::move(program), threads, "");
    about = to_text({Json::Object{{"name", {engine->program().name()}},
                                  {"instruction_set", {std::string(engine->instruction_set())}},
                                  {"batched", {engine->program().batched()}},
                                  {"inputs", described(tensors(true))},
                                  {"outputs", described(tensors(false))},
                                  {"info", engine->program().info()}}});
    return about.c_str();
}

#ifndef SHUFFLEKIT_ONE_THREAD
// Where the stack of one more worker begins, which is its end.
SHUFFLEKIT_EXPORT(stack) char* stack() {
    constexpr size_t bytes = 1 << 18;
    stacks.emplace_back(bytes);
    return stacks.back().data() + bytes;
}

SHUFFLEKIT_EXPORT(work) void work(int number) { ThreadPool::only->work(number); }

// How many workers have come.
SHUFFLEKIT_EXPORT(come) int come() { return ThreadPool::only->come(); }
#endif

// Room for so many images; `address` then says where.
SHUFFLEKIT_EXPORT(prepare) void prepare(int count) {
    if (count == images) return;
    if (count < 1 || (count > 1 && !engine->program().batched())) fail("count: must be 1" + std::string(engine->program().batched() ? " or more" : ""));
    check_memory(engine->program(), count, engine->threads());
    images = count;
    make_room(inputs, tensors(true)), make_room(outputs, tensors(false));
}

SHUFFLEKIT_EXPORT(run) void run() {
    std::vector<const void*> from;
    std::vector<void*> to;
    for (auto& each : inputs) from.push_back(each.data());
    for (auto& each : outputs) to.push_back(each.data());
    engine->run(from.data(), images, to.data());
}

// Room for a picture of four bytes a pixel, which the caller fills before what follows.
SHUFFLEKIT_EXPORT(picture) uint8_t* picture_room(int width, int height) {
    if (picture.width != width || picture.height != height) {
        pixels = Memory<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(height) * 4);
        picture = {height, width, 4, pixels.data()};
    }
    return pixels.data();
}

// The picture, of the input's size, as the input; or what is wrong.
SHUFFLEKIT_EXPORT(take) const char* take() {
    prepare(1);
    const std::string problem = put_in(*engine, picture, Fit::as_is, inputs[0].data());
    return problem.empty() ? said({Json::Object{}}) : refused(problem);
}

// The `count` likeliest classes of the picture.
SHUFFLEKIT_EXPORT(classify) const char* classify(int count) {
    const auto [problem, all] = classify(*engine, picture, count);
    if (!problem.empty()) return refused(problem);
    Json::Array found;
    for (const auto& [index, score] : all) found.push_back({Json::Object{{"index", {index}}, {"score", {score}}}});
    return said({Json::Object{{"found", {std::move(found)}}}});
}

// The boxes on the picture, of at least that score.
SHUFFLEKIT_EXPORT(detect) const char* detect(double least) {
    const auto [problem, all] = detect(*engine, picture, least);
    if (!problem.empty()) return refused(problem);
    Json::Array found;
    for (const Box& box : all) {
        Json::Array sides;
        for (const float side : box.sides) sides.push_back({static_cast<double>(side)});
        found.push_back({Json::Object{{"index", {box.index}}, {"score", {static_cast<double>(box.score)}}, {"box", {std::move(sides)}}}});
    }
    return said({Json::Object{{"found", {std::move(found)}}}});
}

SHUFFLEKIT_EXPORT(address) char* address(bool of_input, int number) { return (of_input ? inputs : outputs)[static_cast<size_t>(number)].data(); }

}  // namespace shufflekit
