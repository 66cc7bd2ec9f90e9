// Pixels, 32 at a time, whose places and weights are found once > channels > pixels > taps.
#include "kernels/grid_sample/grid_sample.h"

#include "kernels/activation_math.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

constexpr int64_t block = 32;
constexpr int32_t most_taps = 16, nowhere = -1;
constexpr float farthest = 1 << 23;  // pixels: further away a float has no neighbours between two of them, and infinity none at all

// Along one side: up to four pixels, and their weights.
struct Side {
    int32_t places[4];
    float weights[4];
};

[[gnu::always_inline]] inline float whole_below(float x) { return activate<Activation::floor>(x, 0, 0); }

// Within the side.
[[gnu::always_inline]] inline float bounded(float x, int32_t size) {
    const float last = static_cast<float>(size - 1);
    return x > 0 ? (x < last ? x : last) : 0;
}

[[gnu::always_inline]] inline float mirrored(float x, int32_t size, bool corners) {
    const float low = corners ? 0 : -0.5f, span = corners ? static_cast<float>(size - 1) : static_cast<float>(size);
    if (span == 0) return 0;
    const float away = absolute(x - low), times = whole_below(away / span), rest = away - times * span;
    const bool is_odd = times - 2 * whole_below(times / 2) == 1;
    return bounded(is_odd ? span - rest + low : rest + low, size);
}

[[gnu::always_inline]] inline float outside_of(const GridSample& s, float x, int32_t size) {
    if (s.outside == Outside::border) return bounded(x, size);
    return s.outside == Outside::reflection ? mirrored(x, size, s.corners) : x;
}

[[gnu::always_inline]] inline int32_t place_of(float x, int32_t size) {
    return x >= 0 && x < static_cast<float>(size) ? static_cast<int32_t>(x) : nowhere;
}

// Keys' kernel at distances up to 1, and from there to 2.
[[gnu::always_inline]] inline float near(float x) { return (1.25f * x - 2.25f) * x * x + 1; }
[[gnu::always_inline]] inline float far(float x) { return ((-0.75f * x + 3.75f) * x - 6) * x + 3; }

Side side_of(const GridSample& s, float at, int32_t size) {
    const float span = static_cast<float>(s.corners ? size - 1 : size);
    float x = s.corners ? (at + 1) / 2 * span : ((at + 1) * span - 1) / 2;
    if (x != x && s.outside != Outside::zeros) x = 0;
    x = at_most(at_least(x, -farthest), farthest);
    if (s.mode != Sampling::cubic) x = outside_of(s, x, size);
    if (s.mode == Sampling::nearest) {
        const float first = whole_below(x), rest = x - first;
        const bool is_even = first - 2 * whole_below(first / 2) == 0;
        return {{place_of(rest > 0.5f || (rest == 0.5f && !is_even) ? first + 1 : first, size)}, {1}};
    }
    const float first = whole_below(x), t = x - first;
    if (s.mode == Sampling::linear) return {{place_of(first, size), place_of(first + 1, size)}, {1 - t, t}};
    Side found{{}, {far(t + 1), near(t), near(1 - t), far(2 - t)}};
    for (int i = 0; i < 4; ++i) found.places[i] = place_of(outside_of(s, first + static_cast<float>(i - 1), size), size);
    return found;
}

// The taps of one pixel, without those that lie nowhere; how many there are.
int32_t taps_of(const GridSample& s, int64_t pixel, int32_t* places, float* weights) {
    const float* at = s.grid[0] + 2 * pixel;
    const Side across = side_of(s, at[0], s.in_width), down = side_of(s, at[1], s.in_height);
    const int32_t sides = s.mode == Sampling::nearest ? 1 : s.mode == Sampling::linear ? 2 : 4;
    int32_t count = 0;
    for (int32_t i = 0; i < sides; ++i)
        for (int32_t j = 0; j < sides; ++j) {
            if (down.places[i] == nowhere || across.places[j] == nowhere) continue;
            places[count] = down.places[i] * s.in_width + across.places[j];
            weights[count++] = down.weights[i] * across.weights[j];
        }
    return count;
}

}  // namespace

void grid_sample(const GridSample& s, int32_t first_pixel, int32_t last_pixel) {
    int32_t places[block][most_taps], counts[block];
    float weights[block][most_taps];
    for (int64_t first = first_pixel; first < last_pixel; first += block) {
        const int64_t count = last_pixel - first < block ? last_pixel - first : block;
        for (int64_t i = 0; i < count; ++i) counts[i] = taps_of(s, first + i, places[i], weights[i]);
        for (int32_t channel = 0; channel < s.channels; ++channel) {
            const float* in = s.in[channel];
            float* out = s.out[channel] + first;
            for (int64_t i = 0; i < count; ++i) {
                float sum = 0;
                for (int32_t tap = 0; tap < counts[i]; ++tap) sum += weights[i][tap] * in[places[i][tap]];
                out[i] = sum;
            }
        }
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
