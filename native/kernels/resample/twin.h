// The twin and the cases of resampling, and what a step takes.
#pragma once

#include "kernels/resample/resample.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void resample(const Resample& s, int32_t first_channel, int32_t last_channel) {
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t o = 0; o < s.outer; ++o)
            for (int64_t q = 0; q < s.out_length; ++q)
                for (int64_t i = 0; i < s.inner; ++i) {
                    double sum = 0;
                    for (int64_t t = q * s.taps; t < (q + 1) * s.taps; ++t)
                        sum += double{s.weights[t]} * s.in[channel][(o * s.length + s.places[t]) * s.inner + i];
                    s.out[channel][(o * s.out_length + q) * s.inner + i] = static_cast<float>(sum);
                }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Resample& s) { return double(s.channels) * s.outer * s.out_length * s.inner * (s.taps + 4) * 2; }
// Elements.
inline double written(const Resample& s) { return double(s.channels) * s.outer * s.out_length * s.inner; }

inline void test_resample(Report& report, Resample::Function* kernel) {
    for (const int32_t inner : side_edges)
        for (int32_t variant = 0; variant < 8; ++variant)
            report.run([&](Random& random, std::string& about) {
                Resample s{};
                s.channels = random.between(1, 4), s.outer = random.between(1, 3), s.inner = variant % 2 ? inner : 1;
                s.length = variant % 2 ? random.between(1, 9) : inner, s.out_length = random.between(1, 20), s.taps = random.of({1, 2, 4, 5});
                Arena arena(random);
                Tensor in = arena.add(s.channels, s.outer * s.length * s.inner);
                const Tensor out = arena.add(s.channels, s.outer * s.out_length * s.inner);
                arena.make();
                arena.fill(in);
                repeat_some(random, in);
                std::vector<int32_t> some;
                for (int32_t i = 0; i < s.out_length * s.taps; ++i) some.push_back(random.below(s.length));
                const auto ins = table(in.offsets), outs = table(out.offsets), places = table(some);
                const auto weights = numbers(random, int64_t{s.out_length} * s.taps);
                s.in.offsets = ins.data(), s.out.offsets = outs.data(), s.places = places.data(), s.weights = weights.data();
                const Range c = any_share(random, s.channels, 1);
                about = text("%d x %d x %d to %d by %d, channels [%d, %d)", s.outer, s.length, s.inner, s.out_length, s.taps, c.first, c.last);
                return compare<Resample>(
                    arena, s, out, tolerance(s.taps), [&](Resample& s, float* base) { s.in.base = s.out.base = base; },
                    [&](const Resample& s) { kernel(s, c.first, c.last); }, [&](const Resample& s) { reference::resample(s, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
