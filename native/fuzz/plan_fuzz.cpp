// Hostile plan files: each is parsed, and run where it is accepted. A libFuzzer target with a mutator of its own, and, linked with
// main.cpp, a program of its own.
//
// The mutator changes one field of a valid file (now and then two or three) and keeps the rest valid: a size, an offset, a stride, a
// kernel, a word, a buffer, a plane's place in a table, the order of steps. One input in four is changed byte by byte instead.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <regex>
#include <stdexcept>
#include <string>
#include <utility>

#include "cpu.h"
#include "engine.h"

#undef SHUFFLEKIT_HEADER
#define SHUFFLEKIT_HEADER(kernel) SHUFFLEKIT_TEXT(kernels/kernel/twin.h)
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets)
#include "kernels/kernels.inc"
#undef SHUFFLEKIT_KERNEL

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);

namespace shufflekit::fuzz {
namespace {

using Random = std::mt19937;

int64_t below(Random& random, int64_t count) { return static_cast<int64_t>(random() % static_cast<uint64_t>(std::max<int64_t>(count, 1))); }
bool once_in(Random& random, int count) { return below(random, count) == 0; }

// A plan file, taken apart.
struct File {
    Json header, plan;
    std::string data;  // what follows the header
};

Json* member(Json& json, std::string_view name) {
    auto* object = std::get_if<Json::Object>(&json.value);
    if (!object) return nullptr;
    const auto found = object->find(name);
    return found == object->end() ? nullptr : &found->second;
}

std::optional<File> take_apart(const uint8_t* content, size_t size) {
    uint64_t header_bytes = 0;
    if (size < sizeof(header_bytes)) return {};
    std::memcpy(&header_bytes, content, sizeof(header_bytes));
    if (header_bytes > size - sizeof(header_bytes)) return {};
    const char* text = reinterpret_cast<const char*>(content) + sizeof(header_bytes);
    try {
        File file{parse_json({text, header_bytes}), {}, {text + header_bytes, size - sizeof(header_bytes) - header_bytes}};
        Json* metadata = member(file.header, "__metadata__");
        Json* plan = metadata ? member(*metadata, "plan") : nullptr;
        if (!plan || !plan->as<std::string>()) return {};
        file.plan = parse_json(*plan->as<std::string>());
        return file;
    } catch (const std::invalid_argument&) {
        return {};
    }
}

// Without a checksum, which the file may be without.
std::string put_together(File& file) {
    Json& metadata = *member(file.header, "__metadata__");
    std::get<Json::Object>(metadata.value).erase("checksum");
    member(metadata, "plan")->value = to_text(file.plan);
    std::string header = to_text(file.header);
    header.resize((header.size() + 8 + 63) / 64 * 64 - 8, ' ');
    const uint64_t header_bytes = header.size();
    std::string content(reinterpret_cast<const char*>(&header_bytes), sizeof(header_bytes));
    return content + header + file.data;
}

// The elements of a tensor of the file, or nothing where its entry is damaged.
std::pair<char*, int64_t> tensor(File& file, std::string_view name) {
    Json* entry = member(file.header, name);
    Json* offsets = entry ? member(*entry, "data_offsets") : nullptr;
    const auto* list = offsets ? offsets->as<Json::Array>() : nullptr;
    if (!list || list->size() != 2 || !(*list)[0].as<int64_t>() || !(*list)[1].as<int64_t>()) return {nullptr, 0};
    const int64_t begin = *(*list)[0].as<int64_t>(), end = *(*list)[1].as<int64_t>();
    if (begin < 0 || begin > end || end > static_cast<int64_t>(file.data.size())) return {nullptr, 0};
    return {file.data.data() + begin, (end - begin) / 4};
}

int64_t other_number(Random& random, int64_t number) {
    constexpr int64_t steps[] = {1, 2, 3, 4, 8, 15, 16, 17, 48, 64};
    constexpr int64_t edges[] = {-1, 0, 1, 2, 16, 1024, 1 << 16, (1 << 16) + 1, 1 << 24, 1 << 30, (1 << 30) + 1, INT32_MAX, INT64_MAX, INT64_MIN};
    switch (below(random, 6)) {
        case 0: return edges[below(random, std::size(edges))];
        case 1: return number / 2;
        case 2: return std::abs(number / 2) < (1 << 30) ? number * 2 : number / 3;
        case 3: return below(random, once_in(random, 2) ? 4 : 40);
        default: {
            const int64_t step = steps[below(random, std::size(steps))];
            return once_in(random, 2) ? std::max(number, INT64_MIN + step) - step : std::min(number, INT64_MAX - step) + step;
        }
    }
}

// Of kernels and variants.
constexpr const char* names[] = {
#define SHUFFLEKIT_KERNEL(kernel, variant, Arguments, function, sets) #kernel, #variant,
#include "kernels/kernels.inc"
#undef SHUFFLEKIT_KERNEL
};

std::vector<std::string> all_words() {
    std::vector<std::string> words = {"", "no such word", "N"};
    const auto add = [&](const auto& list) { words.insert(words.end(), std::begin(list), std::end(list)); };
    add(activation_words), add(pooling_words), add(operation_words), add(resizing_words), add(type_words);
    return words;
}

void change(Random& random, Json& json) {
    if (once_in(random, 25)) {  // another type
        const Json others[] = {{}, {true}, {int64_t{7}}, {0.5}, {"7"}, {Json::Array{}}, {Json::Object{}}};
        json = others[below(random, std::size(others))];
    } else if (auto* whole = std::get_if<int64_t>(&json.value)) {
        *whole = other_number(random, *whole);
    } else if (auto* real = std::get_if<double>(&json.value)) {
        constexpr double edges[] = {-1, 0, 0.5, 1, 3, 1e-30, 65536, 65537, 1e30, -1e30};
        *real = edges[below(random, std::size(edges))];
    } else if (auto* truth = std::get_if<bool>(&json.value)) {
        *truth = !*truth;
    } else if (auto* text = std::get_if<std::string>(&json.value)) {
        static const std::vector<std::string> words = all_words();
        *text = once_in(random, 3) ? names[below(random, std::size(names))] : words[static_cast<size_t>(below(random, static_cast<int64_t>(words.size())))];
    } else if (auto* list = std::get_if<Json::Array>(&json.value); list && !list->empty()) {
        if (once_in(random, 12))
            list->push_back(list->front());
        else if (once_in(random, 12))
            list->pop_back();
        else
            change(random, (*list)[below(random, static_cast<int64_t>(list->size()))]);
    }
}

Json* any_member(Random& random, Json& json) {
    auto* object = std::get_if<Json::Object>(&json.value);
    if (!object || object->empty()) return nullptr;
    auto found = object->begin();
    std::advance(found, below(random, static_cast<int64_t>(object->size())));
    return &found->second;
}

void change_step(Random& random, Json::Array& steps) {
    const auto any = [&] { return below(random, static_cast<int64_t>(steps.size())); };
    Json& step = steps[any()];
    switch (below(random, 14)) {
        case 0: return std::swap(step, steps[any()]);
        case 1: return steps.push_back(Json(step));
        case 2: return void(steps.erase(steps.begin() + any()));
        case 3:  // the same field of another step
            if (const auto* object = step.as<Json::Object>(); object && !object->empty()) {
                auto field = object->begin();
                std::advance(field, below(random, static_cast<int64_t>(object->size())));
                if (Json* other = member(steps[any()], field->first)) *other = Json(field->second);
            }
            return;
        case 4:
            if (auto* object = std::get_if<Json::Object>(&step.value); object && !object->empty()) {
                auto field = object->begin();
                std::advance(field, below(random, static_cast<int64_t>(object->size())));
                object->erase(field);
            }
            return;
        case 5:
        case 6:
            if (Json* window = member(step, once_in(random, 4) ? "pool_window" : "window"))
                if (Json* number = any_member(random, *window)) return change(random, *number);
            break;
        default: break;
    }
    if (Json* field = any_member(random, step)) change(random, *field);
}

// A plane moves: next to where it was, onto another plane, or to the arena's edges.
void change_table(Random& random, File& file) {
    const auto [start, count] = tensor(file, "tables");
    if (count < 1) return;
    const auto at = [&, from = start](int64_t i) { return from + 4 * i; };
    const int64_t place = below(random, count);
    int32_t value, other;
    std::memcpy(&value, at(place), 4);
    std::memcpy(&other, at(below(random, count)), 4);
    const Json* arena = file.plan.find("arena");
    const int64_t size = arena && arena->as<int64_t>() ? *arena->as<int64_t>() : 0;
    switch (below(random, 4)) {
        case 0: value = other; break;
        case 1: {
            const int64_t back = once_in(random, 2) ? below(random, 200) : plane_alignment * below(random, 64);
            value = static_cast<int32_t>(std::clamp<int64_t>(size, 0, INT32_MAX) - back);
            break;
        }
        default: value = static_cast<int32_t>(other_number(random, value)); break;
    }
    std::memcpy(at(place), &value, 4);
}

void change_weight(Random& random, File& file) {
    const auto [start, count] = tensor(file, "weights");
    if (count < 1) return;
    constexpr uint32_t values[] = {0, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f7fffff, 1, 0x80000000, 0x42c80000};
    std::memcpy(start + 4 * below(random, count), &values[below(random, std::size(values))], 4);
}

void change_file(Random& random, File& file) {
    Json* steps = member(file.plan, "steps");
    auto* list = steps ? std::get_if<Json::Array>(&steps->value) : nullptr;
    const int64_t choice = below(random, 20);
    if (choice < 11 && list && !list->empty()) return change_step(random, *list);
    if (choice < 15) return change_table(random, file);
    if (choice == 15) return change_weight(random, file);
    if (choice == 16) {
        if (Json* arena = member(file.plan, "arena")) change(random, *arena);
        return;
    }
    if (choice == 17) {
        Json* entry = member(file.header, once_in(random, 2) ? "tables" : "weights");
        if (Json* field = entry ? any_member(random, *entry) : nullptr) change(random, *field);
        return;
    }
    if (choice == 18) {
        Json* inputs = member(file.plan, "inputs");
        auto* all = inputs ? std::get_if<Json::Array>(&inputs->value) : nullptr;
        if (all && !all->empty())
            if (Json* shape = member((*all)[below(random, static_cast<int64_t>(all->size()))], "shape")) return change(random, *shape);
    }
    if (Json* field = any_member(random, file.plan); field && field != steps) {
        if (auto* tensors = std::get_if<Json::Array>(&field->value); tensors && !tensors->empty() && !once_in(random, 4))
            if (Json* inside = any_member(random, (*tensors)[below(random, static_cast<int64_t>(tensors->size()))])) return change(random, *inside);
        change(random, *field);
    }
}

// What happened to all inputs of this process; told at its end.
struct Counts {
    int64_t inputs = 0, by_field = 0, json = 0, step_checks = 0, by_field_step_checks = 0, accepted = 0, run = 0, too_large = 0;
    std::map<std::string, int64_t> refusals;

    ~Counts() {
        std::printf("inputs %lld, of them with a changed field %lld\n", static_cast<long long>(inputs), static_cast<long long>(by_field));
        std::printf("sound JSON %lld, reached the checks of steps %lld, of them with a changed field %lld\n", static_cast<long long>(json),
                    static_cast<long long>(step_checks), static_cast<long long>(by_field_step_checks));
        std::printf("accepted %lld, run %lld, too large to run here %lld\n", static_cast<long long>(accepted), static_cast<long long>(run),
                    static_cast<long long>(too_large));
        std::printf("distinct refusals %zu\n", refusals.size());
        for (const auto& [text, times] : refusals) std::printf("%8lld  %s\n", static_cast<long long>(times), text.c_str());
    }
} counts;

bool field_changed = false;  // in the input that comes next

// The refusal without what differs from file to file, and with the kernel of the step.
std::string kind(const std::string& message, const uint8_t* content, size_t size) {
    static const std::regex step("^plan: step (\\d+)( \\(.*\\))?: "), found(",? found .*$"), number("-?\\d+");
    std::smatch match;
    std::string rest = message, kernel;
    if (std::regex_search(message, match, step)) {
        rest = message.substr(static_cast<size_t>(match.length()));
        const auto file = take_apart(content, size);
        const Json* steps = file ? file->plan.find("steps") : nullptr;
        const size_t place = std::stoul(match[1]);
        const auto* list = steps ? steps->as<Json::Array>() : nullptr;
        const Json* name = list && place < list->size() ? (*list)[place].find("kernel") : nullptr;
        const auto* text = name ? name->as<std::string>() : nullptr;
        const bool known = text && std::ranges::find(names, *text) != std::end(names);
        kernel = (known ? *text : "step") + ": ";
    }
    rest = std::regex_replace(rest, std::regex(" at byte \\d+$"), "");
    rest = std::regex_replace(rest, found, "");
    const size_t place = rest.find(" must be ");  // numbers in a field's name stay
    if (place != rest.npos) rest = rest.substr(0, place) + std::regex_replace(rest.substr(place), number, "#");
    return kernel + rest.substr(0, 120);
}

// of(arguments), of whatever kernel they are.
double sum_of(const Program& program, const auto& of) {
    double sum = 0;
    for (const Step& step : program.steps())
        std::visit(
            [&]<class T>(const T& arguments) {
                if constexpr (!std::is_same_v<T, std::monostate>) sum += of(arguments);
            },
            step.arguments);
    return sum;
}

// A plan that was accepted asks for 4 MB, or for what is written, rounded up to planes (of 64 bytes at least).
void check_memory(const Program& program) {
    const double elements = sum_of(program, [](const auto& arguments) { return testing::written(arguments); });
    if (static_cast<double>(program.arena()) <= std::max(4194304.0, 2 * plane_border * elements)) return;
    std::fprintf(stderr, "an arena of %lld bytes for %.0f elements that are written\n", static_cast<long long>(program.arena()), elements);
    std::abort();
}

bool too_large(const Program& program) {
    int64_t bytes = program.arena() + 2 * program.scratch();
    for (const auto* tensors : {&program.inputs(), &program.outputs()})
        for (const Tensor& tensor : *tensors) bytes += 3 * tensor.bytes();
    return bytes > 16'000'000 || sum_of(program, [](const auto& arguments) { return testing::work(arguments); }) > 2e7;
}

// The caller's memory is as large as it must be and no larger.
void run(Program program, Random& random) {
    const auto sets = engine_sets();
    const int threads = once_in(random, 50) ? 2 : 1;
    const int64_t images = program.batched() && once_in(random, 4) ? 3 : 1;
    const Engine engine(std::move(program), threads, sets[below(random, static_cast<int64_t>(sets.size()))]);
    std::vector<std::unique_ptr<char[]>> memory;
    const auto take = [&](const Tensor& tensor) {
        const auto bytes = static_cast<size_t>((tensor.batched ? images : 1) * tensor.bytes());
        memory.push_back(std::make_unique<char[]>(bytes));
        char* const start = memory.back().get();
        if (tensor.type == Type::uint8)
            for (size_t i = 0; i < bytes; ++i) start[i] = static_cast<char>(random());
        else
            for (size_t i = 0; i < bytes / sizeof(float); ++i) reinterpret_cast<float*>(start)[i] = static_cast<float>(random()) * 0x1p-31f - 1;
        return start;
    };
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    for (const Tensor& input : engine.program().inputs()) inputs.push_back(take(input));
    for (const Tensor& output : engine.program().outputs()) outputs.push_back(take(output));
    engine.run(inputs.data(), images, outputs.data());
    if (once_in(random, 16)) engine.profile(inputs.data(), 1);
}

}  // namespace
}  // namespace shufflekit::fuzz

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned int seed) {
    using namespace shufflekit::fuzz;
    Random random(seed);
    field_changed = false;
    auto file = once_in(random, 4) ? std::nullopt : take_apart(data, size);
    if (!file) return LLVMFuzzerMutate(data, size, most);
    for (int64_t i = once_in(random, 5) ? 2 + below(random, 2) : 1; i > 0; --i) change_file(random, *file);
    const std::string content = put_together(*file);
    if (content.size() > most) return LLVMFuzzerMutate(data, size, most);
    std::memcpy(data, content.data(), content.size());
    field_changed = true;
    return content.size();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace shufflekit;
    using namespace shufflekit::fuzz;
    const bool by_field = std::exchange(field_changed, false);
    ++counts.inputs, counts.by_field += by_field;
    const auto reached_step_checks = [&] { ++counts.json, ++counts.step_checks, counts.by_field_step_checks += by_field; };
    try {
        Program program(Memory<char>(reinterpret_cast<const char*>(data), size));
        ++counts.accepted;
        check_memory(program);
        reached_step_checks();
        if (too_large(program)) return ++counts.too_large, 0;
        ++counts.run;
        Random random(static_cast<uint32_t>(size) + (size > 100 ? data[size / 2] * 256u : 0));
        run(std::move(program), random);
    } catch (const std::invalid_argument& refusal) {
        const std::string message = refusal.what();
        if (message.find('\n') != message.npos) std::fprintf(stderr, "more than one line: %s\n", message.c_str()), std::abort();
        if (message.starts_with("plan: step ") || message.ends_with("is not written"))
            reached_step_checks();
        else if (!message.starts_with("JSON: ") && !message.starts_with("plan: the file is"))
            ++counts.json;
        ++counts.refusals[kind(message, data, size)];
    }
    return 0;
}
