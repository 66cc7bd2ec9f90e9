// The twin and the cases of recurrent layers, and what a step takes.
#pragma once

#include "kernels/recurrent/recurrent.h"
#include "tests/cases.h"
#include "tests/reference.h"

namespace shufflekit::reference {

inline void recurrent(const Recurrent& r) {
    const int64_t n = r.hidden, gates = r.gates();
    const auto sigma = [](double x) { return 1 / (1 + std::exp(-x)); };
    std::vector<double> h(n, 0), c(n, 0), next(n), kept(n);
    for (int64_t step = 0; step < r.length; ++step) {
        const int64_t t = r.reversed ? r.length - 1 - step : step;
        const auto state = [&](int64_t gate, const std::vector<double>& of) {
            double sum = r.bias[gate];
            for (int64_t k = 0; k < n; ++k) sum += of[k] * r.weights[k * gates + gate];
            return sum;
        };
        const auto gate = [&](int64_t part, int64_t j) { return r.in[part * n + j][t] + state(part * n + j, h); };
        for (int64_t j = 0; j < n; ++j) kept[j] = r.cell == Cell::lstm ? 0 : sigma(gate(0, j)) * h[j];
        for (int64_t j = 0; j < n; ++j) {
            if (r.cell == Cell::lstm) {
                c[j] = sigma(gate(1, j)) * c[j] + sigma(gate(0, j)) * std::tanh(gate(2, j));
                next[j] = sigma(gate(3, j)) * std::tanh(c[j]);
                continue;
            }
            const double reset = sigma(gate(0, j)), update = sigma(gate(1, j)), own = r.in[2 * n + j][t];
            const double fresh = std::tanh(own + (r.cell == Cell::gru ? reset * state(2 * n + j, h) : state(2 * n + j, kept)));
            next[j] = (1 - update) * fresh + update * h[j];
        }
        h = next;
        for (int64_t j = 0; j < n; ++j) r.out[j][t] = static_cast<float>(h[j]);
    }
}

}  // namespace shufflekit::reference

namespace shufflekit::testing {

// Multiply-adds and moves of one image, roughly and rather too many.
inline double work(const Recurrent& r) { return double(r.gates()) * r.length * (r.hidden + 64); }
// Elements.
inline double written(const Recurrent& r) { return double(r.hidden) * r.length; }

inline void test_recurrent(Report& report, Recurrent::Function* kernel) {
    for (const int32_t hidden : {1, 2, 3, 5, 7, 8, 15, 16, 17, 24, 33, 48})
        for (int32_t variant = 0; variant < 4 * cells; ++variant)
            report.run([&](Random& random, std::string& about) {
                Recurrent r{};
                r.cell = static_cast<Cell>(variant % cells), r.hidden = hidden;
                r.length = random.of({1, 2, 15, 16, 17, 33}), r.reversed = random.once_in(2);
                Arena arena(random);
                const Tensor in = arena.add(static_cast<int32_t>(r.gates()), r.length), out = arena.add(hidden, r.length);
                arena.make();
                arena.fill(in, 3);
                const auto ins = table(in.offsets), outs = table(out.offsets);
                const auto weights = numbers(random, r.gates() * hidden), bias = numbers(random, r.gates());
                r.in.offsets = ins.data(), r.out.offsets = outs.data(), r.weights = weights.data(), r.bias = bias.data();
                std::vector<float> scratch(r.scratch_floats());
                about = text("%s of %d for %d moments%s", cell_words[static_cast<int32_t>(r.cell)], hidden, r.length, r.reversed ? ", reversed" : "");
                return compare<Recurrent>(
                    arena, r, out, 2e-5, [&](Recurrent& r, float* base) { r.in.base = r.out.base = base; },
                    [&](const Recurrent& r) { kernel(r, scratch.data()); }, [&](const Recurrent& r) { reference::recurrent(r); });
            });
}

}  // namespace shufflekit::testing
