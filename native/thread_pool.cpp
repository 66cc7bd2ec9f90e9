#include "thread_pool.h"

#include <unistd.h>

#include <system_error>

namespace shufflekit {
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
        for (int spins = 0; spins < spin_patience && round_.load(std::memory_order_acquire) == seen; ++spins) pause();
        round_.wait(seen, std::memory_order_acquire);
        if (stop_) return;
        (*task_)(number);
        running_.fetch_sub(1, std::memory_order_release);
    }
}

}  // namespace shufflekit
