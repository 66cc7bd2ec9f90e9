// Contract of unpacking: the bytes of an image, as decoders give them, to planes of bytes.
//
//   out[c][p] = in[c][p * step]
//
// Of interleaved channels each in plane starts at its channel's first byte, and step is the bytes of a pixel; planes that lie by
// themselves have step 1. In planes may be tight and may overlap each other. A call works on pixels [first_pixel, last_pixel).
#pragma once

#include "kernels/plane.h"
#include "kernels/step.h"

namespace shufflekit {

inline constexpr int32_t unpack_channels = 4;  // of a picture at most

struct Unpack {
    ReadPlanes<uint8_t> in;
    WrittenPlanes<uint8_t> out;
    int32_t channels, pixels, step;

    using Function = void(const Unpack&, int32_t first_pixel, int32_t last_pixel);

    template <class Step>
    void read(Step& reader) {
        reader.whole("channels", channels, 1, unpack_channels), reader.pixels("pixels", pixels), reader.whole("step", step, 1, unpack_channels);
        reader.written(out, channels, pixels);
        reader.read("in", in, channels, (int64_t{pixels} - 1) * step + 1, Overlap::never, Reach::pixels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(pixels, plane_border, part, parts), kernel, *this); }
};

}  // namespace shufflekit
