#include "fields.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fail.h"

namespace shufflekit {

void refuse_plan(std::string problem) {
    std::ranges::replace_if(problem, [](unsigned char c) { return c < ' '; }, ' ');
    fail("plan: " + problem);
}

Fields::Fields(const Json* json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json_ || !json_->as<Json::Object>()) refuse_plan(where_ + "must be an object");
}

void Fields::refuse(std::string_view name, const std::string& needed) const { refuse_plan(where_ + std::string(name) + " must be " + needed); }

const Json& Fields::get(std::string_view name) const {
    const Json* found = json_->find(name);
    if (!found) refuse_plan(where_ + std::string(name) + " is missing");
    known_.push_back(found);
    return *found;
}

int64_t Fields::whole(std::string_view name, const Json& value, int64_t least, int64_t most) const {
    const auto* number = value.as<int64_t>();
    if (number && *number >= least && *number <= most) return *number;
    refuse(name, std::to_string(least) + " to " + std::to_string(most) + (number ? ", found " + std::to_string(*number) : ""));
}

double Fields::number(std::string_view name) const {
    const Json& value = get(name);
    const auto* integer = value.as<int64_t>();
    const auto* real = value.as<double>();
    return integer ? static_cast<double>(*integer) : real ? *real : NAN;
}

float Fields::real(std::string_view name) const {
    const double found = number(name);
    if (!(std::fabs(found) <= 65536)) refuse(name, "a number between -65536 and 65536");
    return static_cast<float>(found);
}

float Fields::bound(std::string_view name) const {
    const double found = number(name);
    if (!(std::fabs(found) <= 1e39)) refuse(name, "a number between -1e39 and 1e39");
    return std::fabs(found) <= std::numeric_limits<float>::max() ? static_cast<float>(found) : found < 0 ? -INFINITY : INFINITY;
}

bool Fields::truth(std::string_view name) const {
    if (const auto* value = get(name).as<bool>()) return *value;
    refuse(name, "true or false");
}

const std::string& Fields::text(std::string_view name) const {
    if (const auto* value = get(name).as<std::string>()) return *value;
    refuse(name, "text");
}

const Json::Array& Fields::list(std::string_view name, size_t least, size_t most) const {
    const auto* value = get(name).as<Json::Array>();
    if (value && value->size() >= least && value->size() <= most) return *value;
    refuse(name, "a list of " + std::to_string(least) + " to " + std::to_string(most));
}

void Fields::no_others() const {
    for (const auto& [name, value] : *json_->as<Json::Object>())
        if (std::ranges::find(known_, &value) == known_.end()) refuse(name.substr(0, 40), "left out: this engine does not know it");
}

}  // namespace shufflekit
