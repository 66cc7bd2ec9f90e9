// What the cases of kernels of bytes share: planes of bytes in memory that shows what else was touched, and twins' rounding. Their
// results are compared for equality.
#pragma once

#include <cfenv>
#include <span>

#include "kernels/int8.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

// As kernels/int8.h says it, by other means.
inline uint8_t rounded(float x, int32_t zero_point, int32_t low, int32_t high) {
    if (std::isnan(x)) return static_cast<uint8_t>(low);
    const double whole = std::nearbyint(std::clamp(double{x}, double(low - zero_point), double(high - zero_point)));
    return static_cast<uint8_t>(static_cast<int32_t>(whole) + zero_point);
}

inline uint8_t ended(int64_t sum, const Int8End& end, const uint8_t* residual) {
    float x = static_cast<float>(sum + end.bias) * end.multiplier;
    if (residual) {
        const volatile float added = static_cast<float>(*residual - end.residual_zero_point) * end.residual_multiplier;  // not fused
        x += added;
    }
    return rounded(x, end.zero_point, end.low, end.high);
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

template <class T = uint8_t>
Guarded<T> bytes(Random& random, int64_t count) {
    Guarded<T> result(static_cast<size_t>(count), random.once_in(2));
    for (int64_t i = 0; i < count; ++i) result[i] = static_cast<T>(random.once_in(8) ? random.of({0, 127, 128, 255}) : random.below(256));
    return result;
}

// Multipliers that make bytes of sums of `count` products, now and then such that all are bounded.
inline Guarded<Int8End> ends(Random& random, int64_t channels, int64_t count) {
    Guarded<Int8End> result(static_cast<size_t>(channels), random.once_in(2));
    const bool are_plain = random.once_in(3);  // all of them, as far as multipliers go
    for (int64_t c = 0; c < channels; ++c) {
        const float usual = 2 / (127 * std::sqrt(static_cast<float>(count)));
        const int32_t low = are_plain || random.once_in(2) ? 0 : random.below(100);
        const bool is_wild = random.once_in(10);
        result[c] = {random.between(-20000, 20000), !is_wild || are_plain ? usual * (0.3f + std::fabs(random.number())) : 1e6f * random.number(),
                     random.below(256), low, are_plain || random.once_in(2) ? 255 : random.between(low, 255), random.below(256), 2 * random.number()};
        if (are_plain && is_wild) result[c].multiplier = random.once_in(2) ? 0.499f : -0.499f;
    }
    return result;
}

// An arena of bytes with its slack: any bytes, known by where they lie.
class Bytes {
  public:
    explicit Bytes(Random& random) : random_(random) {}

    // Before `make`. Planes in any order, now and then with a gap.
    Tensor add(int32_t channels, int64_t pixels) {
        Tensor tensor{std::vector<int32_t>(channels), pixels};
        if (pixels > 1) end_ = (end_ + plane_border - 1) / plane_border * plane_border;
        for (int32_t& offset : tensor.offsets) {
            offset = static_cast<int32_t>(end_);
            end_ += plane_bytes(pixels, 1);
            if (random_.once_in(8)) end_ += pixels > 1 ? plane_border : 1;
        }
        for (int32_t c = channels - 1; c > 0; --c) std::swap(tensor.offsets[c], tensor.offsets[random_.below(c + 1)]);
        return tensor;
    }

    void make() {
        end_ = (end_ + plane_border - 1) / plane_border * plane_border;
        memory_ = std::make_unique<Guarded<uint8_t>>(end_ + 2 * slack, random_.once_in(2), plane_border);
        for (size_t i = 0; i < memory_->size(); ++i) (*memory_)[i] = static_cast<uint8_t>(random_.below(256));
    }

    uint8_t* base() const { return memory_->data() + slack; }
    std::vector<uint8_t> copy() const { return {memory_->data(), memory_->data() + memory_->size()}; }
    static uint8_t* base_of(std::vector<uint8_t>& copy) { return copy.data() + slack; }

    // As `Arena::difference`, and to the bit.
    std::string difference(const std::vector<uint8_t>& twin, const Tensor& out) const {
        std::vector<char> is_free(twin.size(), 0);
        for (const int32_t offset : out.offsets)
            for (int64_t p = out.pixels; p < plane_bytes(out.pixels, 1); ++p) is_free[slack + offset + p] = 1;
        for (size_t i = 0; i < twin.size(); ++i)
            if ((*memory_)[i] != twin[i] && !is_free[i])
                return text("at byte %lld: found %d, needed %d", static_cast<long long>(i) - static_cast<long long>(slack), (*memory_)[i], twin[i]);
        return "";
    }

  private:
    static constexpr int64_t slack = window_slack * sizeof(float);
    Random& random_;
    int64_t end_ = 0;
    std::unique_ptr<Guarded<uint8_t>> memory_;
};

template <class Arguments, class Kernel, class Twin>
std::string compare(Bytes& arena, Arguments arguments, const Tensor& out, const std::function<void(Arguments&, uint8_t*)>& point_at, Kernel kernel,
                    Twin twin) {
    auto copy = arena.copy();
    Arguments on_copy = arguments;
    point_at(arguments, arena.base());
    point_at(on_copy, arena.base_of(copy));
    kernel(arguments);
    twin(on_copy);
    return arena.difference(copy, out);
}

}  // namespace shufflekit::testing
