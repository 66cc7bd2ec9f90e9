#include "photo.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <stdexcept>

#include "file_path.h"

namespace shufflekit {
namespace {

double number(const Json* json, double otherwise) {
    if (json && json->as<double>()) return *json->as<double>();
    return json && json->as<int64_t>() ? static_cast<double>(*json->as<int64_t>()) : otherwise;
}

std::array<double, 3> numbers(const Json* json, std::array<double, 3> otherwise) {
    const auto* list = json ? json->as<Json::Array>() : nullptr;
    if (list && list->size() == 3)
        for (size_t i = 0; i < 3; ++i) otherwise[i] = number(&(*list)[i], otherwise[i]);
    return otherwise;
}

// What one output pixel sees along an axis: `weights` of the pixels from `first` on.
struct Reach {
    int64_t first;
    std::vector<float> weights;
};

// The triangle filter, from `begin` on in steps of `step` pixels of `size`.
std::vector<Reach> bilinear(int64_t size, double begin, double step, int64_t count) {
    const double support = std::max(step, 1.0);
    std::vector<Reach> reaches;
    for (int64_t at = 0; at < count; ++at) {
        const double centre = begin + (static_cast<double>(at) + 0.5) * step;
        const auto first = static_cast<int64_t>(std::max(centre - support + 0.5, 0.0));
        const int64_t last = std::min(size, static_cast<int64_t>(centre + support + 0.5));
        Reach reach{first, {}};
        double sum = 0;
        for (int64_t i = first; i < last; ++i) {
            const double weight = std::max(0.0, 1 - std::fabs((static_cast<double>(i) + 0.5 - centre) / support));
            reach.weights.push_back(static_cast<float>(weight));
            sum += weight;
        }
        for (float& weight : reach.weights) weight /= static_cast<float>(sum);
        reaches.push_back(std::move(reach));
    }
    return reaches;
}

}  // namespace

Photo read_ppm(const std::string& path) {
    std::ifstream file(file_path(path), std::ios::binary);
    if (!file) throw std::invalid_argument(path + ": cannot be read");
    const auto field = [&]() -> std::string {
        std::string word;
        while (file >> word && word[0] == '#') file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
        return word;
    };
    const auto size = [&] {
        const std::string word = field();
        if (word.empty() || word.size() > 5 || word.find_first_not_of("0123456789") != word.npos || word == "0") return int64_t{0};
        return static_cast<int64_t>(std::stoi(word));
    };
    Photo photo;
    const bool is_ppm = field() == "P6";
    photo.width = size(), photo.height = size();
    if (!is_ppm || photo.width < 1 || photo.height < 1 || field() != "255")
        throw std::invalid_argument(path + ": must be a binary PPM photo (P6, 8 bits); `magick photo.jpg photo.ppm` makes one");
    file.get();  // one space, then pixels
    photo.pixels.resize(static_cast<size_t>(photo.width * photo.height * 3));
    if (!file.read(reinterpret_cast<char*>(photo.pixels.data()), static_cast<std::streamsize>(photo.pixels.size())))
        throw std::invalid_argument(path + ": is cut off");
    return photo;
}

namespace {

// task(y, x, channel, value) for each pixel of the resized crop, red first, values from 0 to 255.
template <class Task>
void each_pixel(const Photo& photo, const Json& info, int64_t height, int64_t width, Task task) {
    const double crop = number(info.find("crop_pct"), 0.875);
    if (!(crop > 0 && crop <= 1)) throw std::invalid_argument("plan: info: crop_pct must be above 0 and at most 1");

    // The photo's size were it resized as a whole, and where the crop lies in it.
    int64_t high = static_cast<int64_t>(static_cast<double>(height) / crop), wide = static_cast<int64_t>(static_cast<double>(width) / crop);
    if (high * photo.width >= wide * photo.height)
        wide = std::max(wide, high * photo.width / photo.height);
    else
        high = std::max(high, wide * photo.height / photo.width);
    const double across = static_cast<double>(photo.width) / static_cast<double>(wide);
    const double down = static_cast<double>(photo.height) / static_cast<double>(high);
    const double left = std::nearbyint(static_cast<double>(wide - width) / 2), top = std::nearbyint(static_cast<double>(high - height) / 2);
    const auto columns = bilinear(photo.width, left * across, across, width);
    const auto rows = bilinear(photo.height, top * down, down, height);

    std::vector<float> row(static_cast<size_t>(photo.width * 3));
    for (int64_t y = 0; y < height; ++y) {
        std::ranges::fill(row, 0.0f);
        for (size_t i = 0; i < rows[y].weights.size(); ++i) {
            const uint8_t* pixels = photo.pixels.data() + (rows[y].first + static_cast<int64_t>(i)) * photo.width * 3;
            for (size_t x = 0; x < row.size(); ++x) row[x] += rows[y].weights[i] * pixels[x];
        }
        for (int64_t x = 0; x < width; ++x)
            for (int64_t channel = 0; channel < 3; ++channel) {
                float sum = 0;
                for (size_t i = 0; i < columns[x].weights.size(); ++i) sum += columns[x].weights[i] * row[(columns[x].first + i) * 3 + channel];
                task(y, x, channel, sum);
            }
    }
}

}  // namespace

std::vector<float> prepare(const Photo& photo, const Json& info, int64_t height, int64_t width) {
    const auto mean = numbers(info.find("mean"), {0.485, 0.456, 0.406}), std = numbers(info.find("std"), {0.229, 0.224, 0.225});
    const auto* order = info.find("channel_order") ? info.find("channel_order")->as<std::string>() : nullptr;
    const bool bgr = order && *order == "bgr";
    if (!(std::min({std[0], std[1], std[2]}) > 0)) throw std::invalid_argument("plan: info: std must be above 0");
    std::vector<float> result(static_cast<size_t>(3 * height * width));
    each_pixel(photo, info, height, width, [&](int64_t y, int64_t x, int64_t channel, float value) {
        const int64_t taken = bgr ? 2 - channel : channel;  // as the network counts them
        result[(taken * height + y) * width + x] = static_cast<float>((value / 255 - mean[taken]) / std[taken]);
    });
    return result;
}

std::vector<uint8_t> prepare_bytes(const Photo& photo, const Json& info, int64_t height, int64_t width, bool channels_last) {
    std::vector<uint8_t> result(static_cast<size_t>(3 * height * width));
    each_pixel(photo, info, height, width, [&](int64_t y, int64_t x, int64_t channel, float value) {
        const int64_t place = channels_last ? (y * width + x) * 3 + channel : (channel * height + y) * width + x;
        result[place] = static_cast<uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
    });
    return result;
}

}  // namespace shufflekit
