// From a picture to a network's input, byte for byte as data/preprocess.py and detect/prepare.py do it with Pillow. Throws nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "json.h"
#include "program.h"

namespace shufflekit {

// Rows of pixels that open with red, green and blue.
struct Picture {
    int64_t height = 0, width = 0, pixel_bytes = 4;
    const uint8_t* pixels = nullptr;
};

// Input pixel = picture pixel x scale + shift, for x and y.
struct Placing {
    std::array<double, 2> scale{1, 1}, shift{};
};

enum class Fit { as_is, crop, stretch, letterbox };

// How a network takes pictures, read from what its plan says.
class Preparation {
  public:
    Preparation(const Tensor& input, const Json& info);

    // What is wrong with the plan, in one line; empty where nothing is.
    const std::string& problem() const { return problem_; }
    int64_t height() const { return height_; }
    int64_t width() const { return width_; }
    // Of a detector that which its plan says; crop otherwise.
    Fit fit() const { return fit_; }

    // Fills the input of one image. As it is, a picture has the input's size.
    Placing place(const Picture& picture, Fit fit, char* input) const;

  private:
    using Filter = double (*)(double);
    struct Pass;

    void read(const Json& info);
    std::vector<uint8_t> resized(const Picture& picture, const std::array<double, 4>& box, int64_t height, int64_t width) const;
    void put(const std::vector<uint8_t>& pixels, char* input) const;

    std::string problem_;
    int64_t channels_ = 0, height_ = 0, width_ = 0;
    bool channels_last_ = false, bgr_ = false, is_bytes_ = false;
    Fit fit_ = Fit::crop;
    double crop_ = 0.875, support_ = 1;
    Filter filter_ = nullptr;
    std::array<float, 3> scale_{}, shift_{};
};

}  // namespace shufflekit
