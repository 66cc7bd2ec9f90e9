// A barrier for threads that run together: everyone waits until all have arrived, spinning, as steps last microseconds and waking a thread
// takes about fifty.
#pragma once

#include <atomic>
#include <cstdint>

#if !defined(__wasm__)
#include <thread>
#endif

namespace shufflekit {

inline void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// After so many pauses somebody else needs the core that we wait on: about 0.1 ms.
inline constexpr int spin_patience = 1 << 12;

template <class Condition>
void spin_until(Condition holds) {
    for (int spins = 0; !holds(); ++spins) {
#if !defined(__wasm__)  // where a thread can neither pause nor yield
        if (spins < spin_patience)
            pause();
        else
            std::this_thread::yield();
#endif
    }
}

class SpinBarrier {
  public:
    explicit SpinBarrier(int threads) : threads_(threads) {}

    void arrive_and_wait() {
        const uint32_t round = round_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
            arrived_.store(0, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
            return;
        }
        spin_until([&] { return round_.load(std::memory_order_acquire) != round; });
    }

  private:
    const int threads_;
    alignas(64) std::atomic<int> arrived_ = 0;
    alignas(64) std::atomic<uint32_t> round_ = 0;
};

}  // namespace shufflekit
