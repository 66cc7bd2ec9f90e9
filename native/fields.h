// The fields of one JSON object of a plan, read strictly: what is missing, of another type, out of its range or unknown is refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "json.h"

namespace shufflekit {

// One line that opens with "plan: ", whatever the names in the file are. Throws std::invalid_argument.
[[noreturn]] void refuse_plan(std::string problem);

class Fields {
  public:
    // `where` opens every complaint.
    Fields(const Json* json, std::string where);

    [[noreturn]] void refuse(std::string_view name, const std::string& needed) const;

    bool has(std::string_view name) const { return json_->find(name); }
    const Json& get(std::string_view name) const;
    int64_t whole(std::string_view name, int64_t least, int64_t most) const { return whole(name, get(name), least, most); }
    int64_t whole(std::string_view name, const Json& value, int64_t least, int64_t most) const;
    float real(std::string_view name) const;
    float bound(std::string_view name) const;  // any, 1e39 is infinity
    bool truth(std::string_view name) const;
    const std::string& text(std::string_view name) const;
    const Json::Array& list(std::string_view name, size_t least, size_t most) const;

    // The number of a word among those allowed.
    template <size_t N>
    size_t word(std::string_view name, const char* const (&words)[N]) const {
        const std::string& found = text(name);
        for (size_t i = 0; i < N; ++i)
            if (found == words[i]) return i;
        std::string needed = "one of";
        for (const char* each : words) needed += std::string(" ") + each;
        refuse(name, needed + ", found " + found.substr(0, 40));
    }

    // Refuses all that were never asked for: what an engine does not know may change what it should do.
    void no_others() const;

  private:
    double number(std::string_view name) const;

    const Json* json_;
    std::string where_;
    mutable std::vector<const Json*> known_;
};

}  // namespace shufflekit
