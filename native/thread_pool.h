// Threads that wait for work between runs, and a barrier for those that run together. With SHUFFLEKIT_ONE_THREAD the twin of one_thread.h,
// which starts none; else in WebAssembly that of web_threads.h, whose threads JavaScript starts.
#pragma once

#if defined(SHUFFLEKIT_ONE_THREAD)
#include "one_thread.h"
#elif defined(__wasm__)
#include "web_threads.h"
#else

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "spin_barrier.h"

namespace shufflekit {

class ThreadPool {
  public:
    // The caller of `run` is the first of them.
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    // Those that it has, which are fewer than were asked for where the system starts no more.
    int threads() const { return static_cast<int>(workers_.size()) + 1; }

    // Whether its threads are in this process: not in a forked child, where nothing but this may be asked of it.
    bool is_here() const;

    // Whoever takes it may `run` until the lock goes; a lock that owns nothing while somebody else has it.
    using Lock = std::unique_lock<std::mutex>;
    Lock try_take() { return Lock(in_use_, std::try_to_lock); }

    // Calls task(0), ..., task(threads - 1) at the same time and returns when all have returned. `task` must not throw.
    void run(const std::function<void(int)>& task);

  private:
    void work(int number);
    void stop();

    std::mutex in_use_;
    const std::function<void(int)>* task_ = nullptr;
    alignas(64) std::atomic<uint32_t> round_ = 0;  // rises by one with each task
    alignas(64) std::atomic<int> running_ = 0;
    std::atomic<bool> stop_ = false;
    const int process_;
    std::vector<std::thread> workers_;
};

}  // namespace shufflekit

#endif
