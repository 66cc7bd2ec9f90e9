// Contract of recurrent layers: the steps of an LSTM or a GRU along the pixels of its planes, which are moments.
//
// `in` has what the input gives to each gate, gates * hidden planes; weights (hidden, gates * hidden) say what the state h before gives
// to them, bias (gates * hidden) is added. h, and c of an LSTM, begin with 0; from the first moment on, or reversed from the last:
//
//   a = in[t] + bias + weights h;  sigma(x) = 1 / (1 + exp(-x))
//   lstm: i, f, g, o = the four parts of a;  c = sigma(f) c + sigma(i) tanh(g);  h = sigma(o) tanh(c)
//   gru: r, z = sigma of the first two parts;  n = tanh(in_n[t] + r (bias_n + weights_n h));  h = (1 - z) n + z h
//   gru_reset_first: n = tanh(in_n[t] + bias_n + weights_n (r h)), the rest as gru
//   out[j][t] = h_j
//
// Input planes may be tight. Aliasing: none. One thread does all: each moment waits for the one before.
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

// A plan has the words.
enum class Cell : int32_t { lstm = 0, gru, gru_reset_first };
inline constexpr const char* cell_words[] = {"lstm", "gru", "gru_reset_first"};
inline constexpr int32_t cells = sizeof(cell_words) / sizeof(*cell_words);

struct Recurrent {
    static constexpr int32_t block = 16;  // moments whose gates are brought together at a time

    Planes in;
    MutablePlanes out;
    Cell cell;
    int32_t hidden, length;
    bool reversed;
    const float *weights, *bias;

    using Function = void(const Recurrent&, float* scratch);

    constexpr int64_t gates() const { return int64_t{hidden} * (cell == Cell::lstm ? 4 : 3); }
    // The gates of some moments; h, c, and what a gru holds between its gates.
    constexpr int64_t scratch_floats() const { return block * gates() + int64_t{3} * hidden; }

    template <class Step>
    void read(Step& step) {
        step.word("cell", cell, cell_words);
        step.whole("hidden", hidden, 1, 1 << 14), step.pixels("length", length);
        step.truth("reversed", reversed);
        const int64_t products = step.product("hidden", gates(), hidden);
        step.product("length", gates(), length);
        step.written(out, hidden, length, Reach::pixels);
        step.read("in", in, gates(), length, Overlap::never, Reach::pixels);
        step.weights("weights", weights, products), step.weights("bias", bias, gates());
        step.scratch(scratch_floats());
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void* scratch, int part, int) const {
        if (part == 0) kernel(*this, static_cast<float*>(scratch));
    }
};

}  // namespace shufflekit
