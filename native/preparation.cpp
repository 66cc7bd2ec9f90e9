#include "preparation.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace shufflekit {
namespace {

double triangle(double x) { return std::max(0.0, 1 - std::fabs(x)); }

double cubic(double x) {
    constexpr double a = -0.5;
    x = std::fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

double sinc(double x) { return x == 0 ? 1 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi); }
double lanczos(double x) { return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0; }

const double* real(const Json* json, double& to) {
    if (!json) return nullptr;
    if (const auto* whole = json->as<int64_t>()) return to = static_cast<double>(*whole), &to;
    if (const auto* found = json->as<double>()) return to = *found, &to;
    return nullptr;
}

// One or three numbers; of others, or of one that is left out, the usual three. A channel of its own gets the average of three.
std::array<double, 3> of_channels(const Json* json, std::array<double, 3> usual, bool grey) {
    const auto* list = json ? json->as<Json::Array>() : nullptr;
    if (list && (list->size() == 1 || list->size() == 3))
        for (size_t i = 0; i < 3; ++i) real(&(*list)[list->size() == 1 ? 0 : i], usual[i]);
    if (grey) usual.fill((usual[0] + usual[1] + usual[2]) / 3);
    return usual;
}

constexpr int precision = 22;  // Pillow's: of bytes, with two bits for what sums go beyond them

uint8_t to_byte(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> precision, 0, 255)); }

}  // namespace

// What each pixel of a side is made of.
struct Preparation::Pass {
    std::vector<int64_t> first;
    std::vector<std::vector<int32_t>> weights;

    Pass(const Preparation& how, int64_t size, float begin, float end, int64_t count) {
        const double scale = static_cast<double>(end - begin) / static_cast<double>(count), wide = std::max(scale, 1.0), support = how.support_ * wide;
        for (int64_t at = 0; at < count; ++at) {
            const double centre = begin + (static_cast<double>(at) + 0.5) * scale;
            const auto least = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
            const auto most = std::min(size, static_cast<int64_t>(centre + support + 0.5));
            std::vector<double> parts;
            double sum = 0;
            for (int64_t x = least; x < most; ++x) sum += parts.emplace_back(how.filter_((static_cast<double>(x) - centre + 0.5) * (1 / wide)));
            auto& whole = weights.emplace_back();
            for (const double part : parts) {
                const double share = (sum != 0 ? part / sum : part) * (1 << precision);
                whole.push_back(static_cast<int32_t>(share < 0 ? share - 0.5 : share + 0.5));
            }
            first.push_back(least);
        }
    }

    // Rows [begin, end) of a picture, three bytes a pixel.
    std::vector<uint8_t> columns(const Picture& picture, int64_t begin, int64_t end, int64_t width) const {
        std::vector<uint8_t> result;
        result.reserve(static_cast<size_t>((end - begin) * width * 3));
        for (int64_t y = begin; y < end; ++y)
            for (int64_t x = 0; x < width; ++x) {
                const uint8_t* pixel = picture.pixels + (y * picture.width + first[x]) * picture.pixel_bytes;
                int32_t sum[3] = {1 << (precision - 1), 1 << (precision - 1), 1 << (precision - 1)};
                for (const int32_t weight : weights[x]) {
                    for (int c = 0; c < 3; ++c) sum[c] += pixel[c] * weight;
                    pixel += picture.pixel_bytes;
                }
                for (const int32_t each : sum) result.push_back(to_byte(each));
            }
        return result;
    }

    // Likewise, of a picture whose first row is number `begin`.
    std::vector<uint8_t> rows(const Picture& picture, int64_t begin, int64_t height) const {
        std::vector<uint8_t> result;
        result.reserve(static_cast<size_t>(height * picture.width * 3));
        std::vector<int32_t> sums(static_cast<size_t>(picture.width * picture.pixel_bytes));
        for (int64_t y = 0; y < height; ++y) {
            std::ranges::fill(sums, 1 << (precision - 1));
            const uint8_t* row = picture.pixels + (first[y] - begin) * static_cast<int64_t>(sums.size());
            for (const int32_t weight : weights[y]) {
                for (size_t i = 0; i < sums.size(); ++i) sums[i] += row[i] * weight;
                row += sums.size();
            }
            for (size_t i = 0; i < sums.size(); ++i)
                if (i % static_cast<size_t>(picture.pixel_bytes) < 3) result.push_back(to_byte(sums[i]));
        }
        return result;
    }
};

namespace {

// Rows [begin, end) of a picture, three bytes a pixel.
std::vector<uint8_t> without_fourth(const Picture& picture, int64_t begin, int64_t end) {
    std::vector<uint8_t> result;
    for (int64_t at = begin * picture.width; at < end * picture.width; ++at)
        result.insert(result.end(), picture.pixels + at * picture.pixel_bytes, picture.pixels + at * picture.pixel_bytes + 3);
    return result;
}

}  // namespace

Preparation::Preparation(const Tensor& input, const Json& info) : is_bytes_(input.type == Type::uint8) {
    const auto& s = input.shape;
    const auto is_photo = [](int64_t channels) { return channels == 1 || channels == 3; };
    channels_last_ = s.size() == 3 && !is_photo(s[0]) && is_photo(s[2]);
    if (s.size() != 3 || !input.batched || !(channels_last_ || is_photo(s[0]))) {
        problem_ = "the network takes no photos: its input must be an image of 3 channels, or 1";
        return;
    }
    channels_ = channels_last_ ? s[2] : s[0], height_ = s[channels_last_ ? 0 : 1], width_ = s[channels_last_ ? 1 : 2];
    read(info);
}

void Preparation::read(const Json& info) {
    const auto word = [&](const Json& of, const char* name, const char* otherwise) {
        const Json* found = of.find(name);
        const auto* text = found ? found->as<std::string>() : nullptr;
        return text ? *text : std::string(otherwise);
    };
    real(info.find("crop_pct"), crop_);
    const auto mean = of_channels(info.find("mean"), {0.485, 0.456, 0.406}, channels_ == 1);
    const auto std = of_channels(info.find("std"), {0.229, 0.224, 0.225}, channels_ == 1);
    if (!(crop_ > 0 && crop_ <= 1)) problem_ = "crop_pct: must be above 0 and at most 1";
    for (size_t i = 0; i < 3; ++i) {
        if (!(std[i] > 0)) problem_ = "std: must be above 0";
        scale_[i] = static_cast<float>(1 / (255 * std[i])), shift_[i] = static_cast<float>(-mean[i] / std[i]);
    }
    for (const char* name : {"mean", "std", "channel_order"})
        if (!is_bytes_ && word(info, "from", "") == "onnx" && !info.find(name)) problem_ = "how photos go in is not known, " + std::string(name) + " missing";
    bgr_ = word(info, "channel_order", "rgb") == "bgr";
    const std::string filter = word(info, "interpolation", "bilinear");
    filter_ = filter == "bilinear" ? triangle : filter == "bicubic" ? cubic : filter == "lanczos" ? lanczos : nullptr;
    support_ = filter == "bilinear" ? 1 : filter == "bicubic" ? 2 : 3;
    if (!filter_) problem_ = "interpolation: must be one of bilinear, bicubic, lanczos, found " + filter;
    if (const Json* detection = info.find("detection")) {
        const std::string fit = word(*detection, "fit", "");
        fit_ = fit == "stretch" ? Fit::stretch : Fit::letterbox;
        if (fit != "stretch" && fit != "letterbox") problem_ = "fit: must be one of stretch, letterbox, found " + fit;
    }
}

// The box (left, top, right, bottom) of a picture: across and down, with bytes between, in Pillow's order: down first where that spares most.
// Python goes across first where a picture is huge (data/preprocess.py).
std::vector<uint8_t> Preparation::resized(const Picture& picture, const std::array<double, 4>& box, int64_t height, int64_t width) const {
    constexpr int64_t huge = 16 << 20;
    const auto left = static_cast<float>(box[0]), top = static_cast<float>(box[1]), right = static_cast<float>(box[2]), bottom = static_cast<float>(box[3]);
    const Pass across(*this, picture.width, left, right, width), down(*this, picture.height, top, bottom, height);
    const bool is_as_wide = left == 0 && right == static_cast<float>(picture.width) && width == picture.width;
    const bool is_as_high = top == 0 && bottom == static_cast<float>(picture.height) && height == picture.height;
    const bool is_down_first = picture.height > height && picture.height - height > 2 * (picture.width - width);
    if (is_down_first && picture.height * picture.width <= huge) {
        const auto rows = down.rows(picture, 0, height);
        return is_as_wide ? rows : across.columns({height, picture.width, 3, rows.data()}, 0, height, width);
    }
    const int64_t begin = down.first.front(), end = down.first.back() + static_cast<int64_t>(down.weights.back().size());
    const auto rows = is_as_wide ? without_fourth(picture, begin, end) : across.columns(picture, begin, end, width);
    return is_as_high ? rows : down.rows({end - begin, width, 3, rows.data()}, begin, height);
}

void Preparation::put(const std::vector<uint8_t>& pixels, char* input) const {
    const int64_t count = height_ * width_;
    const auto each = [&](auto* to, auto value) {
        for (int64_t c = 0; c < channels_; ++c)
            for (int64_t p = 0; p < count; ++p) to[channels_last_ ? p * channels_ + c : c * count + p] = value(pixels.data() + 3 * p, c);
    };
    const auto byte = [&](const uint8_t* pixel, int64_t c) -> uint8_t {  // grey as Pillow's mode L
        if (channels_ == 1) return static_cast<uint8_t>((pixel[0] * 19595u + pixel[1] * 38470u + pixel[2] * 7471u + 0x8000) >> 16);
        return pixel[bgr_ && !is_bytes_ ? 2 - c : c];
    };
    if (is_bytes_) return each(reinterpret_cast<uint8_t*>(input), byte);
    each(reinterpret_cast<float*>(input), [&](const uint8_t* pixel, int64_t c) { return static_cast<float>(byte(pixel, c)) * scale_[c] + shift_[c]; });
}

Placing Preparation::place(const Picture& picture, Fit fit, char* input) const {
    const auto tall = static_cast<double>(picture.height), wide = static_cast<double>(picture.width);
    const auto high = static_cast<double>(height_), across = static_cast<double>(width_);
    if (fit == Fit::as_is) return put(resized(picture, {0, 0, wide, tall}, height_, width_), input), Placing{};
    if (fit == Fit::stretch) return put(resized(picture, {0, 0, wide, tall}, height_, width_), input), Placing{{across / wide, high / tall}, {}};
    if (fit == Fit::letterbox) {
        const double factor = std::min(across / wide, high / tall);
        const int64_t rows = std::max<int64_t>(1, std::lrint(tall * factor)), columns = std::max<int64_t>(1, std::lrint(wide * factor));
        const int64_t top = (height_ - rows) / 2, left = (width_ - columns) / 2;
        std::vector<uint8_t> pixels(static_cast<size_t>(height_ * width_ * 3));
        const auto inside = resized(picture, {0, 0, wide, tall}, rows, columns);
        for (int64_t y = 0; y < rows; ++y) std::copy_n(inside.begin() + y * columns * 3, columns * 3, pixels.begin() + ((top + y) * width_ + left) * 3);
        put(pixels, input);
        return {{static_cast<double>(columns) / wide, static_cast<double>(rows) / tall}, {static_cast<double>(left), static_cast<double>(top)}};
    }
    // The size were it resized as a whole, and where the crop lies in it: one step instead of two.
    double rows = std::floor(high / crop_), columns = std::floor(across / crop_);
    if (rows * wide >= columns * tall)
        columns = std::max(columns, std::floor(rows * wide / tall));
    else
        rows = std::max(rows, std::floor(columns * tall / wide));
    const double top = std::nearbyint((rows - high) / 2), left = std::nearbyint((columns - across) / 2), x = wide / columns, y = tall / rows;
    put(resized(picture, {std::max(0.0, left * x), std::max(0.0, top * y), std::min((left + across) * x, wide), std::min((top + high) * y, tall)}, height_, width_), input);
    return {{1 / x, 1 / y}, {-left, -top}};
}

}  // namespace shufflekit
