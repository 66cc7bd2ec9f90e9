// The end of a kernel on a stretch of a plane: out[i] = act(out[i]), the activation chosen once a stretch.
#pragma once

#include "kernels/activation_math.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void activate_all(float* x, int64_t count, Epilogue epilogue);  // epilogue.cpp

inline void activate_stretch(float* x, int64_t count, Epilogue epilogue) {
    if (epilogue.activation != Activation::none) activate_all(x, count, epilogue);
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
