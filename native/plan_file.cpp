#include "plan_file.h"

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include "file_path.h"

namespace shufflekit {
namespace {

std::FILE* open_to_read(const std::string& path) {
#ifdef _WIN32
    return _wfopen(file_path(path).c_str(), L"rb");
#else
    return std::fopen(path.c_str(), "rb");
#endif
}

}  // namespace

Program load_program(const std::string& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(open_to_read(path), &std::fclose);
    const auto error = [&] { return std::system_error(errno, std::generic_category(), path); };
    if (!file || std::fseek(file.get(), 0, SEEK_END) != 0) throw error();
    const long size = std::ftell(file.get());
    if (size < 0) throw error();
    Memory<char> content(static_cast<size_t>(size));
    std::rewind(file.get());
    if (std::fread(content.data(), 1, content.size(), file.get()) != content.size()) throw error();
    return Program(std::move(content));
}

}  // namespace shufflekit
