// The pool and the barrier of thread_pool.h in one shared memory of WebAssembly, whose threads are workers that JavaScript starts.
#pragma once

#include <atomic>
#include <functional>

#include "spin_barrier.h"

namespace shufflekit {

class ThreadPool {
  public:
    explicit ThreadPool(int threads) : threads_(threads) { only = this; }
    int threads() const { return threads_; }
    bool is_here() const { return true; }

    // Not before all workers have come: they start while the page goes on, and never while it waits.
    using Lock = bool;
    Lock try_take() { return come() == threads_ - 1; }
    int come() const { return come_.load(std::memory_order_acquire); }

    void run(const std::function<void(int)>& task) {
        task_ = &task;
        running_.store(threads_ - 1, std::memory_order_relaxed);
        round_.fetch_add(1, std::memory_order_release);
        __builtin_wasm_memory_atomic_notify(word(), static_cast<uint32_t>(threads_));
        task(0);
        spin_until([&] { return !running_.load(std::memory_order_acquire); });
    }

    // A worker's life: it spins a while for the next task, since images often follow each other closely; then sleeps.
    [[noreturn]] void work(int number) {
        uint32_t seen = round_.load(std::memory_order_acquire);
        come_.fetch_add(1, std::memory_order_release);
        for (;; ++seen) {
            for (int spins = 0; spins < patience && round_.load(std::memory_order_acquire) == seen; ++spins) {}
            while (round_.load(std::memory_order_acquire) == seen) __builtin_wasm_memory_atomic_wait32(word(), static_cast<int>(seen), -1);
            (*task_)(number);
            running_.fetch_sub(1, std::memory_order_release);
        }
    }

    static inline ThreadPool* only = nullptr;  // an instance has one engine

  private:
    static constexpr int patience = 1 << 14;

    int* word() { return reinterpret_cast<int*>(&round_); }

    const int threads_;
    const std::function<void(int)>* task_ = nullptr;
    std::atomic<int> come_ = 0;
    alignas(64) std::atomic<uint32_t> round_ = 0;  // rises by one with each task
    alignas(64) std::atomic<int> running_ = 0;
};

}  // namespace shufflekit
