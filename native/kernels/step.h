// What kernels have to do with the steps of a plan. Arguments of a kernel are a struct with
//
//   using Function = void(const Arguments&, ..., int32_t first, int32_t last);  the code, once for each instruction set
//   template <class Step> void read(Step& step);                                fields from a plan's step, checked
//   void at(const void* in, void* out, const void* arena);                      where its planes lie in this run
//   void run(Function* kernel, void* scratch, int part, int parts) const;       one thread's share
//
// `step` is the StepReader of native/step_reader.h: each of its methods fills a field, or refuses the plan. The planes that are written
// come before those that are read, which are checked against them.
//
// Sources that are compiled once for each instruction set include this: nothing here is of the standard library (isa.h).
#pragma once

#include <cstdint>

namespace shufflekit {

// Of planes that are read: whether they may be written over, each by the out plane of its channel.
enum class Overlap { never, same_channel };

// Whether a kernel touches the pixels of its planes alone, or also what they own behind them (plane.h). The network's inputs and
// outputs are the caller's: they have pixels alone.
enum class Reach { whole_vectors, pixels };

struct Range {
    int32_t first, last;
};

// One of `parts` even shares of [0, count); borders are multiples of `unit`.
constexpr Range share(int64_t count, int64_t unit, int part, int parts) {
    const int64_t units = (count + unit - 1) / unit;
    const auto border = [&](int64_t i) {
        const int64_t at = units * i / parts * unit;
        return static_cast<int32_t>(at < count ? at : count);
    };
    return {border(part), border(part + 1)};
}

// kernel(arguments..., first, last), if there is something to do.
template <class Kernel, class... Arguments>
void run_share(Range own, Kernel* kernel, Arguments&&... arguments) {
    if (own.first < own.last) kernel(arguments..., own.first, own.last);
}

}  // namespace shufflekit
