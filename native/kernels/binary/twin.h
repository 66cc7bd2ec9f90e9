// The twin and the cases of the binary kernel, and what a step takes.
#pragma once

#include "kernels/binary/binary.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline double computed(Operation operation, double a, double b) {
    switch (operation) {
        case Operation::add: return a + b;
        case Operation::subtract: return a - b;
        case Operation::multiply: return a * b;
        case Operation::divide: return a / b;
        case Operation::minimum: return std::isnan(a) || a < b ? a : b;
        case Operation::maximum: return larger(a, b);
        case Operation::power: return std::pow(a, b);
        case Operation::equal: return a == b;
        case Operation::less: return a < b;
        case Operation::at_most: return a <= b;
        case Operation::keep: return a != 0 ? b : 0;
        case Operation::drop: return a != 0 ? 0 : b;
    }
    return a;
}

inline void binary(const Binary& o, int32_t first_channel, int32_t last_channel) {
    const auto at = [](const Spread& s, int64_t z, int64_t y, int64_t x) { return z * s.step_z + y * s.step_y + x * s.step_x; };
    for (int64_t channel = first_channel; channel < last_channel; ++channel)
        for (int64_t z = 0; z < o.depth; ++z)
            for (int64_t y = 0; y < o.height; ++y)
                for (int64_t x = 0; x < o.width; ++x) {
                    const double a = o.a[channel][at(o.of_a, z, y, x)], b = o.b[channel][at(o.of_b, z, y, x)];
                    o.out[channel][(z * o.height + y) * o.width + x] = static_cast<float>(activate(computed(o.operation, a, b), o.epilogue.of(channel)));
                }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Binary& o) { return double(o.channels) * o.pixels() * 64; }
// Elements.
inline double written(const Binary& o) { return double(o.channels) * o.pixels(); }

// Sizes and operation with an operand spread in any way, or in none.
inline Binary any_binary(Random& random, int32_t width, int32_t operation) {
    Binary o{};
    o.operation = static_cast<Operation>(operation % operations);
    o.channels = random.between(1, 5), o.width = width;
    o.depth = random.once_in(2) ? 1 : random.between(1, 3), o.height = random.once_in(2) ? 1 : random.between(1, 4);
    const auto spread = [&] {
        const bool z = random.once_in(2), y = random.once_in(2), x = random.once_in(2), all = random.once_in(2);
        const int32_t columns = x || all ? o.width : 1, rows = y || all ? o.height : 1, maps = z || all ? o.depth : 1;
        const auto step = [](int32_t size, int32_t by) { return size > 1 ? by : 0; };
        return Spread{maps * rows * columns, step(maps, rows * columns), step(rows, columns), step(columns, 1)};
    };
    o.of_a = spread(), o.of_b = spread();
    if (o.operation < Operation::divide) o.epilogue = any_epilogue(random);
    return o;
}

inline std::string text(const Binary& o) {
    return text("%s of %dx%dx%d, steps (%d, %d, %d) and (%d, %d, %d), activation %d", operation_words[static_cast<int32_t>(o.operation)], o.depth, o.height,
                o.width, o.of_a.step_z, o.of_a.step_y, o.of_a.step_x, o.of_b.step_z, o.of_b.step_y, o.of_b.step_x,
                static_cast<int>(o.epilogue.activation));
}

// Quotients and powers are as far off as the numbers are large.
inline double tolerance_of(const Binary& o) { return o.operation == Operation::power ? 5e-6 : tolerance(1); }

inline void test_binary(Report& report, Binary::Function* kernel) {
    for (const int32_t width : pixel_edges)
        for (int32_t operation = 0; operation < 2 * operations; ++operation)
            report.run([&](Random& random, std::string& about) {
                Binary o = any_binary(random, width, operation);
                const auto pixels = static_cast<int32_t>(o.pixels());
                Arena arena(random);
                const Tensor a = arena.add(o.channels, o.of_a.pixels), b = arena.add(o.channels, o.of_b.pixels);
                const bool over_a = random.once_in(3) && o.overlap(o.of_a) == Overlap::same_channel;
                const bool over_b = !over_a && random.once_in(3) && o.overlap(o.of_b) == Overlap::same_channel;
                const Tensor out = over_a ? a : over_b ? b : arena.add(o.channels, pixels);
                arena.make();
                arena.fill(a), arena.fill(b);
                const auto as = table(a.offsets), bs = table(b.offsets), outs = table(out.offsets);
                o.a.offsets = as.data(), o.b.offsets = bs.data(), o.out.offsets = outs.data();
                const Range c = any_share(random, o.channels, 1);
                about = text(o) + text(", channels [%d, %d) of %d, out %s", c.first, c.last, o.channels, over_a ? "over a" : over_b ? "over b" : "elsewhere");
                return compare<Binary>(
                    arena, o, out, tolerance_of(o), [&](Binary& o, float* base) { o.a.base = o.b.base = o.out.base = base; },
                    [&](const Binary& o) { kernel(o, c.first, c.last); }, [&](const Binary& o) { reference::binary(o, c.first, c.last); });
            });
}

}  // namespace shufflekit::testing
