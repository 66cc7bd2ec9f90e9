// Names of files are UTF-8, on Windows too, where a char* would be taken in the system's old code page.
#pragma once

#include <filesystem>
#include <string>

namespace shufflekit {

inline std::filesystem::path file_path(const std::string& name) { return std::u8string(name.begin(), name.end()); }

}  // namespace shufflekit
