// Threads that wait for work between runs, and a barrier for those that run together.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace shufflekit {

// Everyone waits until all have arrived, spinning: steps last microseconds, and waking a thread takes about fifty.
class SpinBarrier {
  public:
    explicit SpinBarrier(int threads) : threads_(threads) {}
    void arrive_and_wait();

  private:
    const int threads_;
    alignas(64) std::atomic<int> arrived_ = 0;
    alignas(64) std::atomic<uint32_t> round_ = 0;
};

class ThreadPool {
  public:
    explicit ThreadPool(int threads);  // the caller of `run` is the first of them
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const { return static_cast<int>(workers_.size()) + 1; }

    // Calls task(0), ..., task(threads - 1) at the same time and returns true when all have returned. Returns false at once,
    // having done nothing, while another thread runs something here, and in a forked child, which has no workers.
    // `task` must not throw.
    bool try_run(const std::function<void(int)>& task);

  private:
    void work(int number);

    std::mutex in_use_;
    const std::function<void(int)>* task_ = nullptr;
    alignas(64) std::atomic<uint32_t> round_ = 0;  // rises by one with each task
    alignas(64) std::atomic<int> running_ = 0;
    std::atomic<bool> stop_ = false;
    const int process_;
    std::vector<std::thread> workers_;
};

}  // namespace shufflekit
