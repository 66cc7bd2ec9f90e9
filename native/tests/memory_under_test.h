// Memory in which kernels are caught reading or writing what is not theirs.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernels/plane.h"

namespace shufflekit::testing {

// Repeatable choices of a test case.
class Random {
  public:
    explicit Random(uint32_t seed) : bits_(seed) {}
    int32_t below(int32_t count) { return static_cast<int32_t>(bits_() % static_cast<uint32_t>(count)); }
    int32_t between(int32_t first, int32_t last) { return first + below(last - first + 1); }
    bool once_in(int32_t count) { return below(count) == 0; }
    float number() { return static_cast<float>(bits_()) * 0x1p-31f - 1; }  // -1 to 1
    template <class T, size_t N>
    T of(const T (&choices)[N]) {
        return choices[below(N)];
    }

    template <class T>
    T of(const std::vector<T>& choices) {
        return choices[below(static_cast<int32_t>(choices.size()))];
    }

  private:
    std::mt19937 bits_;
};

// `count` elements between two pages that nobody may touch: against the second, as far as `border` (bytes, of their start) allows,
// or against the first.
template <class T>
class Guarded {
  public:
    Guarded(size_t count, bool at_end, size_t border = alignof(T)) : count_(count) {
        const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), wanted = (count * sizeof(T) + border - 1) / border * border;
        const size_t inside = (wanted + page - 1) / page * page;
        mapped_ = inside + 2 * page;
        start_ = static_cast<char*>(mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (start_ == MAP_FAILED || (inside > 0 && mprotect(start_ + page, inside, PROT_READ | PROT_WRITE) != 0)) std::abort();
        data_ = reinterpret_cast<T*>(start_ + page + (at_end ? inside - wanted : 0));
    }
    Guarded(Guarded&& other) : count_(other.count_), mapped_(other.mapped_), start_(std::exchange(other.start_, nullptr)), data_(other.data_) {}
    ~Guarded() {
        if (start_) munmap(start_, mapped_);
    }

    T* data() const { return data_; }
    size_t size() const { return count_; }
    T& operator[](size_t i) const { return data_[i]; }

  private:
    size_t count_, mapped_;
    char* start_;
    T* data_;
};

// A NaN that tells its place, so that one read in another place cannot pass for it.
inline float canary(size_t place) {
    const uint32_t bits = 0x7fc00000u | (static_cast<uint32_t>(place) & 0x3fffffu);
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
}

inline bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

struct Tensor {
    std::vector<int32_t> offsets;
    int64_t pixels;
};

// An arena with its slack, or the memory of dense planes without any: canaries but for the pixels of filled tensors.
class Arena {
  public:
    explicit Arena(Random& random, bool tight = false) : random_(random), tight_(tight), slack_(tight ? 0 : window_slack) {}

    // Before `make`. Planes in any order, now and then with a gap.
    Tensor add(int32_t channels, int64_t pixels) {
        Tensor tensor{std::vector<int32_t>(channels), pixels};
        if (!tight_ && pixels > 1) end_ = (end_ + plane_alignment - 1) / plane_alignment * plane_alignment;
        for (int32_t& offset : tensor.offsets) {
            offset = static_cast<int32_t>(end_);
            end_ += tight_ ? pixels : plane_floats(pixels);
            if (!tight_ && random_.once_in(8)) end_ += pixels > 1 ? plane_alignment : 1;
        }
        for (int32_t c = channels - 1; c > 0; --c) std::swap(tensor.offsets[c], tensor.offsets[random_.below(c + 1)]);
        return tensor;
    }

    void make() {
        if (!tight_) end_ = (end_ + plane_alignment - 1) / plane_alignment * plane_alignment;
        memory_ = std::make_unique<Guarded<float>>(end_ + 2 * slack_, random_.once_in(2));
        for (size_t i = 0; i < memory_->size(); ++i) (*memory_)[i] = canary(i);
    }

    // Now and then with a few pixels that are no finite numbers.
    void fill(const Tensor& tensor, float scale = 1) {
        for (const int32_t offset : tensor.offsets)
            for (int64_t p = 0; p < tensor.pixels; ++p) base()[offset + p] = random_.number() * scale;
        if (!random_.once_in(4)) return;
        for (int i = random_.between(1, 3); i > 0; --i)
            base()[random_.of(tensor.offsets) + random_.below(static_cast<int32_t>(tensor.pixels))] = random_.of({NAN, INFINITY, -INFINITY});
    }

    float* base() const { return memory_->data() + slack_; }

    // What the twin works on, and what is kept to see what changed.
    std::vector<float> copy() const { return {memory_->data(), memory_->data() + memory_->size()}; }
    float* base_of(std::vector<float>& copy) const { return copy.data() + slack_; }

    // The first place that differs from the twin's by more than the tolerance; "" if none does. Floats behind the pixels of an out
    // plane, but owned by it, may hold anything; all others are as before.
    std::string difference(const std::vector<float>& twin, const Tensor& out, double tolerance) const {
        std::vector<char> kind(twin.size(), 'u');
        for (const int32_t offset : out.offsets) {
            const int64_t owned = tight_ ? out.pixels : plane_floats(out.pixels);
            for (int64_t p = 0; p < owned; ++p) kind[slack_ + offset + p] = p < out.pixels ? 'p' : 'f';
        }
        for (size_t i = 0; i < twin.size(); ++i) {
            const float found = (*memory_)[i], needed = twin[i];
            if (same_bits(found, needed) || kind[i] == 'f' || (kind[i] == 'p' && std::isnan(found) && std::isnan(needed))) continue;
            if (kind[i] == 'p' && std::fabs(double{found} - needed) <= tolerance * std::max(1.0, std::fabs(double{needed}))) continue;
            char text[160];
            std::snprintf(text, sizeof(text), "%s at float %lld: found %.9g, needed %.9g", kind[i] == 'p' ? "pixel" : "not to be written",
                          static_cast<long long>(i) - static_cast<long long>(slack_), found, needed);
            return text;
        }
        return "";
    }

  private:
    Random& random_;
    const bool tight_;
    const int64_t slack_;
    int64_t end_ = 0;
    std::unique_ptr<Guarded<float>> memory_;
};

}  // namespace shufflekit::testing
