// Whole vectors, then some lanes of one, or one or two floats by themselves. All activations are compiled here, once for all kernels of
// an instruction set.
#include "kernels/epilogue.h"

#include "kernels/lanes.h"

namespace shufflekit::SHUFFLEKIT_ISA {

void activate_all(float* x, int64_t count, Epilogue epilogue) {
    const float a = epilogue.alpha, b = epilogue.beta;
    with_activation(epilogue.activation, [&]<Activation A>() {
        int64_t i = 0;
        for (; i + vector_lanes <= count; i += vector_lanes) store(x + i, activate<A>(load(x + i), a, b));
        if (const SomeLanes rest(0, count - i); count - i > 2)
            rest.store(x + i, activate<A>(rest.load(x + i), a, b));
        else
            for (; i < count; ++i) x[i] = activate<A>(x[i], a, b);
    });
}

}  // namespace shufflekit::SHUFFLEKIT_ISA
