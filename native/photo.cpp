#include "photo.h"

#include <fstream>
#include <limits>
#include <stdexcept>

#include "file_path.h"

namespace shufflekit {
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

}  // namespace shufflekit
