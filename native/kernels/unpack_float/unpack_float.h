// Contract of unpacking to float32: the bytes of an image, as decoders give them, to normalised planes.
//
//   out[c][p] = float(in[c][p * step]) * scale[c] + shift[c]
//
// with two roundings, as numpy has them: no multiply-add is fused. Planes as unpack.h says. A call works on pixels
// [first_pixel, last_pixel).
#pragma once

#include "kernels/unpack/unpack.h"

namespace shufflekit {

struct UnpackFloat {
    ReadPlanes<uint8_t> in;
    MutablePlanes out;
    const float* scale;
    const float* shift;
    int32_t channels, pixels, step;

    using Function = void(const UnpackFloat&, int32_t first_pixel, int32_t last_pixel);

    template <class Step>
    void read(Step& reader) {
        reader.whole("channels", channels, 1, unpack_channels), reader.pixels("pixels", pixels), reader.whole("step", step, 1, unpack_channels);
        reader.written(out, channels, pixels);
        reader.read("in", in, channels, (int64_t{pixels} - 1) * step + 1, Overlap::never, Reach::pixels);
        reader.weights("scale", scale, channels), reader.weights("shift", shift, channels);
    }
    void at(const void* from, void* to, const void*) { in.at(from), out.at(to); }
    void run(Function* kernel, void*, int part, int parts) const { run_share(share(pixels, plane_alignment, part, parts), kernel, *this); }
};

}  // namespace shufflekit
