// Photos of binary PPM files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shufflekit {

struct Photo {
    int64_t height = 0, width = 0;
    std::vector<uint8_t> pixels;  // RGB, row by row
};

// A binary PPM file (P6, 8 bits), such as `magick photo.jpg photo.ppm` writes. Throws std::invalid_argument.
Photo read_ppm(const std::string& path);

}  // namespace shufflekit
