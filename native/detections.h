// From a network's outputs to classes and boxes: classify/classifier.py and detect/decode.py for where there is no Python. Throws nothing.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "json.h"
#include "preparation.h"

namespace shufflekit {

struct Likely {
    int64_t index;
    double score;
};

// The likeliest classes by softmax, best first.
std::vector<Likely> likeliest(std::span<const float> logits, int64_t count);

struct Box {
    std::array<float, 4> sides;  // left, top, right, bottom
    float score;
    int64_t index;
};

// How the maps of a detector are read: what its plan says of "detection", of the forms focal and grid.
class Detection {
  public:
    Detection(const Json* detection, const std::vector<Tensor>& outputs, int64_t height, int64_t width);

    const std::string& problem() const { return problem_; }
    // The boxes of one image in the picture's pixels, best first, after non-maximum suppression. least: score of a box.
    std::vector<Box> boxes(std::span<const float* const> maps, double least, const Placing& placing, const Picture& picture) const;

  private:
    void read(const Json* detection, const std::vector<Tensor>& outputs);
    void focal(const float* map, int64_t stride, double least, std::vector<Box>& to) const;
    void grid(const float* map, double least, std::vector<Box>& to) const;

    std::string problem_;
    bool is_focal_ = false;
    int64_t classes_ = 0, bins_ = 0, most_ = 0, height_, width_;
    double iou_ = 0;
    std::vector<int64_t> strides_;
};

}  // namespace shufflekit
