// Sixteen moments, whose gates are transposed into rows > moments > products of the state, four vectors of gates at a time in registers:
// their weights are read once a moment, row by row.
#include "kernels/recurrent/recurrent.h"

#include "kernels/epilogue.h"

namespace shufflekit::SHUFFLEKIT_ISA {
namespace {

// to[j] += sum_k h[k] * weights[k][j] for some columns j of rows of `stride`.
void add_products(float* to, const float* h, int64_t count, const float* weights, int64_t columns, int64_t stride) {
    constexpr int width = 4;
    int64_t j = 0;
    for (; j + width * vector_lanes <= columns; j += width * vector_lanes) {
        vector sum[width];
        for (int i = 0; i < width; ++i) sum[i] = load(to + j + i * vector_lanes);
        for (int64_t k = 0; k < count; ++k) {
            const vector state = broadcast<vector>(h[k]);
            const float* row = weights + k * stride + j;
#pragma GCC unroll 4
            for (int i = 0; i < width; ++i) sum[i] += state * load(row + i * vector_lanes);
        }
        for (int i = 0; i < width; ++i) store(to + j + i * vector_lanes, sum[i]);
    }
    for (; j < columns; ++j) {
        float sum = to[j];
        for (int64_t k = 0; k < count; ++k) sum += h[k] * weights[k * stride + j];
        to[j] = sum;
    }
}

void sigmoids(float* x, int64_t count) { activate_all(x, count, {Activation::sigmoid}); }
void tangents(float* x, int64_t count) { activate_all(x, count, {Activation::tanh}); }

// a: what the input and the bias give to the gates.
void lstm(const Recurrent& r, float* a, float* h, float* c) {
    const int64_t n = r.hidden;
    add_products(a, h, n, r.weights, 4 * n, 4 * n);
    sigmoids(a, 2 * n), tangents(a + 2 * n, n), sigmoids(a + 3 * n, n);
    for (int64_t j = 0; j < n; ++j) h[j] = c[j] = a[n + j] * c[j] + a[j] * a[2 * n + j];
    tangents(h, n);
    for (int64_t j = 0; j < n; ++j) h[j] *= a[3 * n + j];
}

void gru(const Recurrent& r, float* a, float* h, float* part) {
    const int64_t n = r.hidden;
    const float *of_n = r.weights + 2 * n, *bias = r.bias + 2 * n;
    float *reset = a, *update = a + n, *fresh = a + 2 * n;
    add_products(a, h, n, r.weights, 2 * n, 3 * n);
    sigmoids(a, 2 * n);
    if (r.cell == Cell::gru) {
        for (int64_t j = 0; j < n; ++j) part[j] = bias[j];
        add_products(part, h, n, of_n, n, 3 * n);
        for (int64_t j = 0; j < n; ++j) fresh[j] += reset[j] * part[j];
    } else {
        for (int64_t j = 0; j < n; ++j) part[j] = reset[j] * h[j], fresh[j] += bias[j];
        add_products(fresh, part, n, of_n, n, 3 * n);
    }
    tangents(fresh, n);
    for (int64_t j = 0; j < n; ++j) h[j] = (1 - update[j]) * fresh[j] + update[j] * h[j];
}

}  // namespace

void recurrent(const Recurrent& r, float* scratch) {
    const int64_t gates = r.gates(), with_bias = r.cell == Cell::lstm ? gates : 2 * r.hidden;
    float *h = scratch + Recurrent::block * gates, *c = h + r.hidden, *part = c + r.hidden;
    for (int64_t j = 0; j < r.hidden; ++j) h[j] = c[j] = 0;
    for (int64_t done = 0; done < r.length; done += Recurrent::block) {
        const int64_t some = r.length - done < Recurrent::block ? r.length - done : Recurrent::block;
        const int64_t first = r.reversed ? r.length - done - some : done;
        for (int64_t j = 0; j < gates; ++j) {
            const float* from = r.in[j] + first;
            const float more = j < with_bias ? r.bias[j] : 0;
            for (int64_t i = 0; i < some; ++i) scratch[i * gates + j] = from[i] + more;
        }
        for (int64_t step = 0; step < some; ++step) {
            const int64_t i = r.reversed ? some - 1 - step : step;
            if (r.cell == Cell::lstm) lstm(r, scratch + i * gates, h, c);
            else gru(r, scratch + i * gates, h, part);
            for (int64_t j = 0; j < r.hidden; ++j) r.out[j][first + i] = h[j];
        }
    }
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
