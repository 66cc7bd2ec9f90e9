#include "thread_pool.h"

#include <unistd.h>

#include <system_error>

namespace shufflekit {
namespace {

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// After so many pauses somebody else needs the core that we wait on: about 0.1 ms.
constexpr int patience = 1 << 12;

template <class Condition>
void spin_until(Condition holds) {
    for (int spins = 0; !holds(); ++spins) {
        if (spins < patience)
            pause();
        else
            std::this_thread::yield();
    }
}

}  // namespace

void SpinBarrier::arrive_and_wait() {
    const uint32_t round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
        arrived_.store(0, std::memory_order_relaxed);
        round_.store(round + 1, std::memory_order_release);
        return;
    }
    spin_until([&] { return round_.load(std::memory_order_acquire) != round; });
}

ThreadPool::ThreadPool(int threads) : process_(getpid()) {
    workers_.reserve(static_cast<size_t>(threads) - 1);
    try {
        for (int number = 1; number < threads; ++number) workers_.emplace_back(&ThreadPool::work, this, number);
    } catch (const std::system_error&) {
        return;  // threads() says how many there are
    }
}

ThreadPool::~ThreadPool() { stop(); }

bool ThreadPool::is_here() const { return getpid() == process_; }

void ThreadPool::stop() {
    stop_ = true;
    round_.fetch_add(1);
    round_.notify_all();
    for (auto& worker : workers_) worker.join();
}

void ThreadPool::run(const std::function<void(int)>& task) {
    task_ = &task;
    running_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    task(0);
    spin_until([&] { return running_.load(std::memory_order_acquire) == 0; });
}

// Spins a while for the next task, since images often follow each other closely; then sleeps.
void ThreadPool::work(int number) {
    for (uint32_t seen = 0;; ++seen) {
        for (int spins = 0; spins < patience && round_.load(std::memory_order_acquire) == seen; ++spins) pause();
        round_.wait(seen, std::memory_order_acquire);
        if (stop_) return;
        (*task_)(number);
        running_.fetch_sub(1, std::memory_order_release);
    }
}

}  // namespace shufflekit
