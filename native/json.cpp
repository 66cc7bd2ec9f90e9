#include "json.h"

#include <charconv>
#include <cstdio>
#include <locale>
#include <sstream>

#include "fail.h"

namespace shufflekit {
namespace {

constexpr int deepest = 32;

class Parser {
  public:
    explicit Parser(std::string_view text) : text_(text) {}

    Json document() {
        Json result = value(0);
        skip_space();
        if (at_ != text_.size()) fail("more text after the value");
        return result;
    }

  private:
    [[noreturn]] void fail(const char* problem) const {
        shufflekit::fail(std::string("JSON: ") + problem + " at byte " + std::to_string(at_));
    }

    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    void skip_space() {
        while (peek() == ' ' || peek() == '\n' || peek() == '\t' || peek() == '\r') ++at_;
    }

    void expect(std::string_view word) {
        if (text_.substr(at_, word.size()) != word) fail(("expected " + std::string(word)).c_str());
        at_ += word.size();
    }

    Json value(int depth) {
        if (depth > deepest) fail("nested too deep");
        skip_space();
        switch (peek()) {
            case '{': return {object(depth)};
            case '[': return {array(depth)};
            case '"': return {string()};
            case 't': return expect("true"), Json{true};
            case 'f': return expect("false"), Json{false};
            case 'n': return expect("null"), Json{};
            default: return number();
        }
    }

    Json::Object object(int depth) {
        Json::Object result;
        ++at_;
        for (skip_space(); peek() != '}'; skip_space()) {
            if (!result.empty()) expect(","), skip_space();
            if (peek() != '"') fail("expected a name");
            std::string name = string();
            skip_space();
            expect(":");
            if (!result.emplace(std::move(name), value(depth + 1)).second) fail("a name twice");
        }
        ++at_;
        return result;
    }

    Json::Array array(int depth) {
        Json::Array result;
        ++at_;
        for (skip_space(); peek() != ']'; skip_space()) {
            if (!result.empty()) expect(",");
            result.push_back(value(depth + 1));
        }
        ++at_;
        return result;
    }

    std::string string() {
        std::string result;
        for (++at_; peek() != '"'; ++at_) {
            if (at_ >= text_.size() || static_cast<unsigned char>(peek()) < 0x20) fail("a string without an end");
            if (peek() != '\\') {
                result += peek();
                continue;
            }
            ++at_;
            constexpr std::string_view names = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
            if (const auto which = names.find(peek()); at_ < text_.size() && which != names.npos)
                result += meanings[which];
            else if (peek() == 'u')
                append_utf8(result, code_point());
            else
                fail("an unknown escape");
        }
        ++at_;
        return result;
    }

    uint32_t hexadecimal() {
        uint32_t code = 0;
        if (text_.size() - at_ < 5) fail("an escape without an end");
        const char *first = text_.data() + at_ + 1, *last = first + 4;
        if (std::from_chars(first, last, code, 16).ptr != last) fail("expected four hexadecimal digits");
        at_ += 4;
        return code;
    }

    // Behind "\u": one code, or two that make a pair. Leaves at_ on the last digit.
    uint32_t code_point() {
        const uint32_t high = hexadecimal();
        if (high < 0xD800 || high > 0xDFFF) return high;
        if (high > 0xDBFF || text_.substr(at_ + 1, 2) != "\\u") fail("half of a surrogate pair");
        at_ += 2;
        const uint32_t low = hexadecimal();
        if (low < 0xDC00 || low > 0xDFFF) fail("half of a surrogate pair");
        return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    }

    static void append_utf8(std::string& to, uint32_t code) {
        const auto put = [&to](uint32_t byte) { to += static_cast<char>(byte); };
        const auto rest = [&](int bits) { put(0x80 | ((code >> bits) & 0x3F)); };
        if (code < 0x80) return put(code);
        if (code < 0x800) return put(0xC0 | (code >> 6)), rest(0);
        if (code < 0x10000) return put(0xE0 | (code >> 12)), rest(6), rest(0);
        put(0xF0 | (code >> 18)), rest(12), rest(6), rest(0);
    }

    Json number() {
        const size_t length = text_.substr(at_).find_first_not_of("+-.0123456789eE");
        const std::string_view token = text_.substr(at_, length);
        if (token.empty() || token[0] == '+' || token[0] == '.') fail("expected a value");
        const char* end = token.data() + token.size();
        if (int64_t whole = 0; std::from_chars(token.data(), end, whole).ptr == end) {
            at_ += token.size();
            return {whole};
        }
        double real = 0;
        if (!read(token, real)) fail("not a number");
        at_ += token.size();
        return {real};
    }

    // std::from_chars reads no double in every standard library; streams are half a megabyte of WebAssembly.
    template <class Real>
    static bool read(std::string_view token, Real& real) {
        const char* const end = token.data() + token.size();
        if constexpr (requires { std::from_chars(end, end, real); }) {
            const auto [ptr, error] = std::from_chars(token.data(), end, real);
            return ptr == end && error == std::errc();
        } else {
            std::istringstream stream{std::string(token)};
            stream.imbue(std::locale::classic());
            return stream >> real && stream.peek() == std::char_traits<char>::eof();
        }
    }

    std::string_view text_;
    size_t at_ = 0;
};

std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        constexpr char digits[] = "0123456789abcdef";
        if (c == '"' || c == '\\')
            result += {'\\', c};
        else if (static_cast<unsigned char>(c) < 0x20)
            (result += "\\u00") += {digits[c >> 4], digits[c & 15]};
        else
            result += c;
    }
    return result + '"';
}

}  // namespace

Json parse_json(std::string_view text) { return Parser(text).document(); }

std::string to_text(const Json& json) {
    std::string result;
    if (const auto* list = json.as<Json::Array>()) {
        for (const Json& each : *list) result += (result.empty() ? "" : ", ") + to_text(each);
        return "[" + result + "]";
    }
    if (const auto* object = json.as<Json::Object>()) {
        for (const auto& [name, value] : *object) result += (result.empty() ? "" : ", ") + quoted(name) + ": " + to_text(value);
        return "{" + result + "}";
    }
    if (const auto* string = json.as<std::string>()) return quoted(*string);
    if (const auto* truth = json.as<bool>()) return *truth ? "true" : "false";
    if (const auto* whole = json.as<int64_t>()) return std::to_string(*whole);
    if (const auto* real = json.as<double>()) {
        char digits[32];
        std::snprintf(digits, sizeof(digits), "%.17g", *real);
        return digits;
    }
    return "null";
}

}  // namespace shufflekit
