#include "detections.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "step_reader.h"

namespace shufflekit {
namespace {

constexpr size_t most_candidates = 1000;  // of the best, for suppression compares all with all

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

float area(const Box& box) { return (box.sides[2] - box.sides[0]) * (box.sides[3] - box.sides[1]); }

float intersection_over_union(const Box& a, const Box& b) {
    const float wide = std::max(0.0f, std::min(a.sides[2], b.sides[2]) - std::max(a.sides[0], b.sides[0]));
    const float high = std::max(0.0f, std::min(a.sides[3], b.sides[3]) - std::max(a.sides[1], b.sides[1]));
    const float shared = wide * high;
    return shared / std::max(area(a) + area(b) - shared, 1.17549435e-38f);
}

// A box goes where a better one of its class overlaps it by more than `iou`.
std::vector<Box> suppressed(std::vector<Box> found, double iou, int64_t most) {
    std::ranges::stable_sort(found, std::greater(), &Box::score);
    if (found.size() > most_candidates) found.resize(most_candidates);
    std::vector<Box> kept;
    for (const Box& box : found) {
        if (static_cast<int64_t>(kept.size()) == most) break;
        const auto hides = [&](const Box& better) { return better.index == box.index && intersection_over_union(better, box) > static_cast<float>(iou); };
        if (std::ranges::none_of(kept, hides)) kept.push_back(box);
    }
    return kept;
}

}  // namespace

std::vector<Likely> likeliest(std::span<const float> logits, int64_t count) {
    const float largest = *std::ranges::max_element(logits);
    std::vector<Likely> all;
    double sum = 0;
    for (size_t i = 0; i < logits.size(); ++i) sum += all.emplace_back(static_cast<int64_t>(i), std::exp(logits[i] - largest)).score;
    for (Likely& each : all) each.score /= sum;
    std::ranges::stable_sort(all, std::greater(), &Likely::score);
    if (static_cast<int64_t>(all.size()) > count) all.resize(static_cast<size_t>(count));
    return all;
}

Detection::Detection(const Json* detection, const std::vector<Tensor>& outputs, int64_t height, int64_t width) : height_(height), width_(width) {
    read(detection, outputs);
}

void Detection::read(const Json* detection, const std::vector<Tensor>& outputs) {
    const auto refuse = [&](const std::string& problem) { problem_ = problem_.empty() ? problem : problem_; };
    if (!detection) return refuse("must be the plan of a detector, found that of another network");
    const auto* form = detection->find("form") ? detection->find("form")->as<std::string>() : nullptr;
    if (!form || (*form != "focal" && *form != "grid")) return refuse("form must be one of focal, grid, found " + (form ? *form : "none"));
    is_focal_ = *form == "focal";
    const auto whole = [&](const char* name, const Json* found) -> int64_t {
        const auto* value = found ? found->as<int64_t>() : nullptr;
        if (!value || *value < 1 || *value > most_channels) return refuse(std::string(name) + " must be above 0"), 1;
        return *value;
    };
    classes_ = whole("classes", detection->find("classes")), most_ = whole("most", detection->find("most"));
    if (is_focal_) bins_ = whole("bins", detection->find("bins"));
    const Json* iou = detection->find("iou");
    iou_ = iou && iou->as<double>() ? *iou->as<double>() : iou && iou->as<int64_t>() ? static_cast<double>(*iou->as<int64_t>()) : 0;
    if (!(iou_ > 0)) refuse("iou must be above 0");
    const auto* strides = detection->find("strides") ? detection->find("strides")->as<Json::Array>() : nullptr;
    if (!strides || strides->empty() || strides->size() != outputs.size() || (!is_focal_ && strides->size() != 1))
        return refuse("strides must be one for each of " + std::to_string(outputs.size()) + " maps");
    for (size_t i = 0; i < strides->size(); ++i) {
        const int64_t stride = strides_.emplace_back(whole("strides", &(*strides)[i]));
        const auto side = [&](int64_t size) { return std::lrint(static_cast<double>(size) / static_cast<double>(stride)); };
        const std::vector<int64_t> needed = {classes_ + (is_focal_ ? 4 * bins_ : 5), side(height_), side(width_)};
        if (outputs[i].shape != needed || outputs[i].type != Type::float32) refuse("maps: must have the channels and sides that detection says");
    }
}

std::vector<Box> Detection::boxes(std::span<const float* const> maps, double least, const Placing& placing, const Picture& picture) const {
    std::vector<Box> found;
    for (size_t i = 0; i < maps.size(); ++i) is_focal_ ? focal(maps[i], strides_[i], least, found) : grid(maps[i], least, found);
    found = suppressed(std::move(found), iou_, most_);
    for (Box& box : found)
        for (size_t i = 0; i < 4; ++i) {
            const double side = (box.sides[i] - placing.shift[i % 2]) / placing.scale[i % 2];
            box.sides[i] = static_cast<float>(std::clamp(side, 0.0, static_cast<double>(i % 2 ? picture.height : picture.width)));
        }
    std::erase_if(found, [](const Box& box) { return !(box.sides[2] > box.sides[0] && box.sides[3] > box.sides[1]); });
    return found;
}

// Class logits, then logits of the bins of four distances, in units of the stride.
void Detection::focal(const float* map, int64_t stride, double least, std::vector<Box>& to) const {
    const auto least_logit = static_cast<float>(std::log(least / (1 - least)));
    const int64_t columns = std::lrint(static_cast<double>(width_) / static_cast<double>(stride));
    const int64_t pixels = columns * std::lrint(static_cast<double>(height_) / static_cast<double>(stride));
    for (int64_t at = 0; at < classes_ * pixels; ++at) {
        if (!(map[at] > least_logit)) continue;
        const int64_t pixel = at % pixels;
        float distances[4];
        for (int64_t side = 0; side < 4; ++side) {
            const float* logits = map + (classes_ + side * bins_) * pixels + pixel;
            float largest = logits[0], sum = 0, weighted = 0;
            for (int64_t bin = 1; bin < bins_; ++bin) largest = std::max(largest, logits[bin * pixels]);
            for (int64_t bin = 0; bin < bins_; ++bin) {
                const float weight = std::exp(logits[bin * pixels] - largest);
                sum += weight, weighted += weight * static_cast<float>(bin);
            }
            distances[side] = weighted / sum;
        }
        const float x = static_cast<float>(pixel % columns) + 0.5f, y = static_cast<float>(pixel / columns) + 0.5f, step = static_cast<float>(stride);
        to.push_back({{(x - distances[0]) * step, (y - distances[1]) * step, (x + distances[2]) * step, (y + distances[3]) * step},
                      sigmoid(map[at]), at / pixels});
    }
}

// Objectness, box and class logits; a pixel stands for its likeliest class.
void Detection::grid(const float* map, double least, std::vector<Box>& to) const {
    const double least_object = std::pow(least, 1 / 0.6);  // what the best of classes would need
    const auto least_logit = static_cast<float>(std::log(least_object / (1 - least_object)));
    const int64_t rows = std::lrint(static_cast<double>(height_) / static_cast<double>(strides_[0]));
    const int64_t columns = std::lrint(static_cast<double>(width_) / static_cast<double>(strides_[0])), pixels = rows * columns;
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
        const auto logit = [&](int64_t channel) { return map[channel * pixels + pixel]; };
        if (!(logit(0) > least_logit)) continue;
        int64_t label = 0;
        for (int64_t c = 1; c < classes_; ++c)
            if (logit(5 + c) > logit(5 + label)) label = c;
        float sum = 0;
        for (int64_t c = 0; c < classes_; ++c) sum += std::exp(logit(5 + c) - logit(5 + label));
        const float score = std::pow(sigmoid(logit(0)), 0.6f) * std::pow(1 / sum, 0.4f);
        if (!(score > static_cast<float>(least))) continue;
        const auto wide = static_cast<float>(width_), high = static_cast<float>(height_);
        const float x = (std::tanh(logit(1)) + static_cast<float>(pixel % columns)) / static_cast<float>(columns) * wide;
        const float y = (std::tanh(logit(2)) + static_cast<float>(pixel / columns)) / static_cast<float>(rows) * high;
        const float half_wide = sigmoid(logit(3)) * wide / 2, half_high = sigmoid(logit(4)) * high / 2;
        to.push_back({{x - half_wide, y - half_high, x + half_wide, y + half_high}, score, label});
    }
}

}  // namespace shufflekit
