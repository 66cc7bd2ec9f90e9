// From a photo to a network's input: read, resize, centre crop, normalise, as src/shufflekit/data/preprocess.py does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "json.h"

namespace shufflekit {

struct Photo {
    int64_t height = 0, width = 0;
    std::vector<uint8_t> pixels;  // RGB, row by row
};

// A binary PPM file (P6, 8 bits), such as `magick photo.jpg photo.ppm` writes. Throws std::invalid_argument.
Photo read_ppm(const std::string& path);

// (3, height, width). `info` is that of a plan: mean, std, crop_pct, channel_order; what it lacks is ImageNet's usual. Always bilinear,
// with the filter widened by the scale where the photo shrinks.
std::vector<float> prepare(const Photo& photo, const Json& info, int64_t height, int64_t width);

// The same for a plan that takes bytes: rounded RGB, (height, width, 3) or (3, height, width).
std::vector<uint8_t> prepare_bytes(const Photo& photo, const Json& info, int64_t height, int64_t width, bool channels_last);

}  // namespace shufflekit
