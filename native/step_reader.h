// Reads the steps of a plan: each field that a kernel's arguments ask for (kernels/step.h) is filled, or the plan is refused.
#pragma once

#include <span>
#include <utility>

#include "fields.h"
#include "program.h"

namespace shufflekit {

inline constexpr int64_t most_channels = 1 << 24, most_side = 1 << 16, most_elements = 1 << 30, most_kernel = 1024;

class StepReader {
  public:
    // arena: bytes. The rest lives as long as what is read.
    StepReader(std::span<const int32_t> tables, std::span<const char> weights, int64_t arena, const std::vector<Tensor>& inputs,
               const std::vector<Tensor>& outputs);

    Step read_step(const Json& json, size_t number);

    // Bytes of the arena up to the last that a step reads or writes. Planes that are laid out as they are needed have no more room
    // between them than their borders take.
    int64_t arena() const;
    void all_outputs_written() const;

    // What a kernel's arguments call.

    void whole(const char* name, int32_t& to, int64_t least, int64_t most) { to = static_cast<int32_t>(fields_->whole(name, least, most)); }
    void count(const char* name, int32_t& to) { whole(name, to, 1, most_channels); }
    void pixels(const char* name, int32_t& to) { whole(name, to, 1, most_elements); }
    void side(const char* name, int32_t& to) { whole(name, to, 1, most_side); }
    void real(const char* name, float& to) { to = fields_->real(name); }
    void bound(const char* name, float& to) { to = fields_->bound(name); }  // 1e39 is infinity
    void truth(const char* name, bool& to) { to = fields_->truth(name); }
    template <class Enum, size_t N>
    void word(const char* name, Enum& to, const char* const (&words)[N]) {
        to = static_cast<Enum>(fields_->word(name, words));
    }
    void epilogue(Epilogue& to, int64_t channels = 0) {
        word("activation", to.activation, activation_words);
        to.alpha = fields_->bound("alpha"), to.beta = fields_->bound("beta");
        if (to.activation != Activation::prelu) return;
        require(channels > 0, "activation", "another one for this kernel, found prelu");
        weights("slopes", to.slopes, channels);
    }
    void window(const char* name, Window& to);
    // A list; the rest of `to` stays as it is. Returns how many.
    template <size_t N>
    int32_t wholes(const char* name, int32_t (&to)[N], int64_t least, int64_t most) {
        const auto& list = fields_->list(name, 1, N);
        for (size_t i = 0; i < list.size(); ++i) to[i] = static_cast<int32_t>(fields_->whole(name, list[i], least, most));
        return static_cast<int32_t>(list.size());
    }

    void require(bool holds, const char* name, const char* needed) const {
        if (!holds) fields_->refuse(name, needed);
    }
    int64_t product(const char* name, int64_t a, int64_t b) const;  // of sizes, which must not be too large together
    bool reads_input() const { return step_.in_buffer > 0; }
    void scratch(int64_t floats) { step_.scratch = floats * static_cast<int64_t>(sizeof(float)); }

    template <class T>
    void weights(const char* name, const T*& to, int64_t size) {
        to = reinterpret_cast<const T*>(weight_bytes(name, size * static_cast<int64_t>(sizeof(T)), alignof(T)));
    }
    template <class T>
    void written(WrittenPlanes<T>& to, int64_t channels, int64_t pixels, Reach reach = Reach::whole_vectors) {
        to.offsets = written_planes(channels, pixels, sizeof(T), type_of<T>(), reach);
    }
    template <class T>
    void read(const char* name, ReadPlanes<T>& to, int64_t channels, int64_t pixels, Overlap overlap, Reach reach) {
        to.offsets = read_planes(name, channels, pixels, sizeof(T), type_of<T>(), overlap, reach);
    }
    // A residual's plane may be the out plane of its channel, where this reads an element before it is written.
    template <class T>
    void residual(ReadPlanes<T>& to, int64_t channels, int64_t pixels) {
        if (!fields_->has("residual")) return;
        if (reads_input()) fields_->refuse("residual", "left out where the step reads the network's input");
        read("residual", to, channels, pixels, Overlap::same_channel, Reach::whole_vectors);
    }

  private:
    struct Plane {
        int64_t begin, channel;  // bytes
        auto operator<=>(const Plane&) const = default;
    };

    const char* weight_bytes(const char* name, int64_t size, int64_t alignment);
    const int32_t* table(const char* name, int64_t size) const;
    int64_t inside(const char* name, const int32_t* offsets, int64_t channels, int64_t element, int64_t plane, int64_t buffer);
    const int32_t* written_planes(int64_t channels, int64_t pixels, int64_t element, Type type, Reach reach);
    const int32_t* read_planes(const char* name, int64_t channels, int64_t pixels, int64_t element, Type type, Overlap overlap, Reach reach);

    const std::span<const int32_t> tables_;
    const std::span<const char> weights_;
    const int64_t arena_;
    const std::vector<Tensor>&inputs_, &outputs_;
    std::vector<bool> done_;           // outputs
    int64_t used_ = 0, room_ = 0;      // bytes of the arena: where the last plane ends, and what all that is written takes at most

    // Of the step at hand.
    const Fields* fields_ = nullptr;
    Step step_;
    int64_t out_plane_ = 0, touched_ = 0;  // bytes of one, and of all that are read and written
    std::vector<Plane> out_planes_;        // rising
};

}  // namespace shufflekit
