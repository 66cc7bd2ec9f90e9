// Memory for weights, arenas and scratch: on a cache line's border, in huge pages where the system has some.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>

#ifdef __linux__
#include <sys/mman.h>
#elif defined(_WIN32)
#include <malloc.h>
#endif

#include "fail.h"

namespace shufflekit {

// `bytes`, a multiple of `border`, on such a border; null where there is too little.
inline void* allocate_aligned(size_t border, size_t bytes) {
#ifdef _WIN32
    return _aligned_malloc(bytes, border);
#else
    return std::aligned_alloc(border, bytes);
#endif
}

inline void free_aligned(void* start) {
#ifdef _WIN32
    _aligned_free(start);  // which free() does not take
#else
    std::free(start);
#endif
}

template <class T>
class Memory {
  public:
    Memory() = default;

    // Zeroed. Large blocks take whole huge pages: weights stream through, and 4 KiB pages would miss the TLB all the way.
    explicit Memory(size_t count) : count_(count) {
        constexpr size_t line = 64, huge = 2 << 20;
        const size_t wanted = count * sizeof(T), border = wanted >= huge ? huge : line;
        // Kernels may read past the end: a vector, or gemm_operands_ahead entries of a table.
        const size_t bytes = (wanted + line + border - 1) / border * border;
        start_.reset(static_cast<T*>(allocate_aligned(border, bytes)));
        if (!start_) fail_out_of_memory();
#ifdef __linux__
        if (border == huge) {
            madvise(start_.get(), bytes, MADV_HUGEPAGE);
            // What the C library held already has small pages, which stay as they are until they are given back.
            madvise(start_.get(), bytes, MADV_DONTNEED);
        }
#endif
        std::memset(start_.get(), 0, bytes);
    }

    Memory(const void* content, size_t count) : Memory(count) {
        if (count) std::memcpy(start_.get(), content, count * sizeof(T));
    }

    T* data() { return start_.get(); }
    const T* data() const { return start_.get(); }
    size_t size() const { return count_; }

  private:
    struct Free {
        void operator()(T* p) const { free_aligned(p); }
    };
    std::unique_ptr<T, Free> start_;
    size_t count_ = 0;
};

}  // namespace shufflekit
