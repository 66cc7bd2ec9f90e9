// The engine as a WebAssembly module, for web/src: one plan for each instance, whose memory is that plan's alone. What is refused
// leaves by the import `fail`, which throws; the instance is dropped then, whatever state it is in.
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "engine.h"
#include "fail.h"

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
std::vector<Memory<char>> inputs, outputs;

const std::vector<Tensor>& tensors(bool are_inputs) { return are_inputs ? engine->program().inputs() : engine->program().outputs(); }

void check_memory(const Program& program, int64_t count) {
    double bytes = static_cast<double>(program.arena()) + static_cast<double>(program.scratch());
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

// What the plan is, as JSON.
SHUFFLEKIT_EXPORT(load) const char* load() {
    Program program(std::move(content));
    check_memory(program, 1);
    engine.emplace(std::move(program), 1, "");
    about = to_text({Json::Object{{"name", {engine->program().name()}},
                                  {"instruction_set", {std::string(engine->instruction_set())}},
                                  {"batched", {engine->program().batched()}},
                                  {"inputs", described(tensors(true))},
                                  {"outputs", described(tensors(false))},
                                  {"info", engine->program().info()}}});
    return about.c_str();
}

// Room for so many images; `address` then says where.
SHUFFLEKIT_EXPORT(prepare) void prepare(int count) {
    if (count == images) return;
    if (count < 1 || (count > 1 && !engine->program().batched())) fail("count: must be 1" + std::string(engine->program().batched() ? " or more" : ""));
    check_memory(engine->program(), count);
    images = count;
    make_room(inputs, tensors(true)), make_room(outputs, tensors(false));
}

SHUFFLEKIT_EXPORT(address) char* address(bool of_input, int number) { return (of_input ? inputs : outputs)[static_cast<size_t>(number)].data(); }

SHUFFLEKIT_EXPORT(run) void run() {
    std::vector<const void*> from;
    std::vector<void*> to;
    for (auto& each : inputs) from.push_back(each.data());
    for (auto& each : outputs) to.push_back(each.data());
    engine->run(from.data(), images, to.data());
}

}  // namespace shufflekit
