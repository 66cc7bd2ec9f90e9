#include "recognition.h"

#include <memory>

namespace shufflekit {
namespace {

using Room = std::unique_ptr<char[]>;

Room room_for(const Tensor& tensor) { return std::make_unique_for_overwrite<char[]>(static_cast<size_t>(tensor.bytes())); }

// How the picture goes into the network, which takes nothing else.
class Way {
  public:
    explicit Way(const Engine& engine) : program_(engine.program()), preparation_(program_.inputs()[0], program_.info()) {}

    std::string problem() const { return program_.inputs().size() == 1 ? preparation_.problem() : "the network takes no photos: it must have one input"; }
    const Preparation& preparation() const { return preparation_; }

  private:
    const Program& program_;
    const Preparation preparation_;
};

// What came out for one picture: numbers, else `problem`.
struct Outputs {
    std::vector<Room> rooms;
    std::vector<const float*> maps;
    Placing placing;
    std::string problem;
};

Outputs run(const Engine& engine, const Preparation& how, const Picture& picture, Fit fit) {
    Outputs result;
    const Room input = room_for(engine.program().inputs()[0]);
    result.placing = how.place(picture, fit, input.get());
    std::vector<void*> to;
    for (const Tensor& output : engine.program().outputs()) {
        to.push_back(result.rooms.emplace_back(room_for(output)).get());
        result.maps.push_back(static_cast<const float*>(to.back()));
    }
    const void* from = input.get();
    engine.run(&from, 1, to.data());
    for (size_t i = 0; i < to.size(); ++i)
        for (int64_t at = 0; at < engine.program().outputs()[i].elements; ++at)
            if (result.maps[i][at] - result.maps[i][at] != 0) result.problem = "the outputs must be finite numbers";
    return result;
}

std::string placed(const Way& way, const Picture& picture, Fit fit, char* input) {
    if (!way.problem().empty()) return way.problem();
    const Preparation& how = way.preparation();
    const auto size = [](int64_t width, int64_t height) { return std::to_string(width) + "x" + std::to_string(height); };
    if (fit == Fit::as_is && (picture.height != how.height() || picture.width != how.width()))
        return "image: must be " + size(how.width(), how.height()) + ", found " + size(picture.width, picture.height) + "; classify and detect take any size";
    how.place(picture, fit, input);
    return {};
}

}  // namespace

std::string put_in(const Engine& engine, const Picture& picture, Fit fit, char* input) { return placed(Way(engine), picture, fit, input); }

std::string put_in(const Engine& engine, const Picture& picture, char* input) {
    const Way way(engine);
    return placed(way, picture, way.preparation().fit(), input);
}

Seen<Likely> classify(const Engine& engine, const Picture& picture, int64_t count) {
    const Way way(engine);
    if (!way.problem().empty()) return {way.problem(), {}};
    const auto& scores = engine.program().outputs();
    const bool is_vector = scores.size() == 1 && scores[0].type == Type::float32 && !scores[0].shape.empty() && scores[0].shape[0] == scores[0].elements;
    if (!is_vector || scores[0].elements < 2) return {"the network must give a vector of 2 scores or more", {}};
    const Outputs outputs = run(engine, way.preparation(), picture, Fit::crop);
    if (!outputs.problem.empty()) return {outputs.problem, {}};
    return {{}, likeliest({outputs.maps[0], static_cast<size_t>(scores[0].elements)}, count)};
}

Seen<Box> detect(const Engine& engine, const Picture& picture, double least) {
    const Way way(engine);
    if (!way.problem().empty()) return {way.problem(), {}};
    const Preparation& how = way.preparation();
    const Detection detection(engine.program().info().find("detection"), engine.program().outputs(), how.height(), how.width());
    if (!detection.problem().empty()) return {detection.problem(), {}};
    const Outputs outputs = run(engine, how, picture, how.fit());
    if (!outputs.problem.empty()) return {outputs.problem, {}};
    return {{}, detection.boxes(outputs.maps, least, outputs.placing, picture)};
}

}  // namespace shufflekit
