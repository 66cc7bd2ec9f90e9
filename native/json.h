// A small strict JSON reader for plan files, which may come from anyone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace shufflekit {

// A value; whole numbers that fit are int64_t, all others double.
struct Json {
    using Array = std::vector<Json>;
    using Object = std::map<std::string, Json, std::less<>>;
    std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> value;

    template <class T>
    const T* as() const {
        return std::get_if<T>(&value);
    }
    // The member of that name, or null: also where this is no object.
    const Json* find(std::string_view name) const {
        const auto* object = as<Object>();
        if (!object) return nullptr;
        const auto found = object->find(name);
        return found == object->end() ? nullptr : &found->second;
    }
};

// Throws std::invalid_argument, which says what is wrong at which byte. Values may be nested 32 deep.
Json parse_json(std::string_view text);

std::string to_text(const Json& json);

}  // namespace shufflekit
