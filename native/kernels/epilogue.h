// The end of a kernel on a stretch of a plane: out[i] = act(out[i]), the activation chosen once a stretch.
#pragma once

#include "kernels/activation_math.h"

namespace shufflekit::SHUFFLEKIT_ISA {

template <Activation A>
inline void activate_stretch(float* x, int64_t count, float slope) {
    int64_t i = 0;
    for (; i + vector_lanes <= count; i += vector_lanes) store(x + i, activate<A>(load(x + i), slope));
    for (; i < count; ++i) x[i] = activate<A>(x[i], slope);
}

inline void activate_stretch(float* x, int64_t count, Epilogue epilogue) {
    if (epilogue.activation == Activation::none) return;
    with_activation(epilogue.activation, [&]<Activation A>() { activate_stretch<A>(x, count, epilogue.slope); });
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
