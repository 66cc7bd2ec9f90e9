// The kernels of each instruction set, best first.
#pragma once

#include <string_view>

#include "kernels/affine/affine.h"
#include "kernels/binary/binary.h"
#include "kernels/convolution/convolution.h"
#include "kernels/convolution_pool/convolution_pool.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/gather/gather.h"
#include "kernels/gemm/gemm.h"
#include "kernels/local_response_norm/local_response_norm.h"
#include "kernels/pointwise_depthwise/pointwise_depthwise.h"
#include "kernels/pool/pool.h"
#include "kernels/resize/resize.h"
#include "kernels/softmax/softmax.h"

namespace shufflekit {

struct Kernels {
    std::string_view isa;
    decltype(&scalar::gemm) gemm;
    decltype(&scalar::convolution) convolution;
    decltype(&scalar::convolution_pool) convolution_pool;
    decltype(&scalar::depthwise) depthwise;
    decltype(&scalar::pointwise_depthwise) pointwise_depthwise;
    decltype(&scalar::pool) pool;
    decltype(&scalar::affine) affine;
    decltype(&scalar::binary) binary;
    decltype(&scalar::softmax) softmax;
    decltype(&scalar::resize) resize;
    decltype(&scalar::gather) gather;
    decltype(&scalar::local_response_norm) local_response_norm;
};

#define SHUFFLEKIT_ENTRY(isa)                                                                                                  \
    Kernels{#isa,        &isa::gemm,   &isa::convolution, &isa::convolution_pool, &isa::depthwise, &isa::pointwise_depthwise, &isa::pool, &isa::affine, \
            &isa::binary, &isa::softmax, &isa::resize,      &isa::gather,    &isa::local_response_norm},
inline constexpr Kernels every_kernels[] = {SHUFFLEKIT_EACH_ISA(SHUFFLEKIT_ENTRY)};
#undef SHUFFLEKIT_ENTRY

}  // namespace shufflekit
