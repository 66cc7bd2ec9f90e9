// The twin and the cases of arithmetic with a constant, and what a step takes.
#pragma once

#include "kernels/binary/twin.h"
#include "kernels/binary_constant/binary_constant.h"

namespace shufflekit::testing {

inline double work(const BinaryConstant& o) { return work(o.both); }
inline double written(const BinaryConstant& o) { return written(o.both); }

inline void test_binary_constant(Report& report, BinaryConstant::Function* kernel) {
    for (const int32_t width : {1, 2, 7, 16, 17, 33})
        for (int32_t operation = 0; operation < 4 * operations; ++operation)
            report.run([&](Random& random, std::string& about) {
                BinaryConstant o{};
                Binary& both = o.both = any_binary(random, width, operation);
                o.constant_first = random.once_in(2);
                const int32_t pixels = (o.constant_first ? both.of_b : both.of_a).pixels, others = (o.constant_first ? both.of_a : both.of_b).pixels;
                Arena arena(random);
                const Tensor in = arena.add(both.channels, pixels), out = arena.add(both.channels, static_cast<int32_t>(both.pixels()));
                arena.make();
                arena.fill(in);
                const auto constant = numbers(random, int64_t{2} * others);
                std::vector<int32_t> some;
                for (int32_t c = 0; c < both.channels; ++c) some.push_back(random.below(2) * others);
                const auto ins = table(in.offsets), outs = table(out.offsets), places = table(some);
                o.in.offsets = ins.data(), both.out.offsets = outs.data();
                (o.constant_first ? both.a : both.b) = {constant.data(), places.data()};
                const auto point_at = [](BinaryConstant& o, float* base) { o.at(base, base, nullptr); };
                const Range c = any_share(random, both.channels, 1);
                about = text(both) + text(", channels [%d, %d), constant %s", c.first, c.last, o.constant_first ? "first" : "last");
                return compare<BinaryConstant>(
                    arena, o, out, tolerance_of(both), point_at, [&](const BinaryConstant& o) { kernel(o, c.first, c.last); },
                    [&](const BinaryConstant& o) { reference::binary(o.both, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
