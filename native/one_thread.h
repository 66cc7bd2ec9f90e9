// The pool and the barrier of thread_pool.h where there are no threads: the caller is all there is.
#pragma once

#include <functional>

namespace shufflekit {

class SpinBarrier {
  public:
    explicit SpinBarrier(int) {}
    void arrive_and_wait() {}
};

class ThreadPool {
  public:
    explicit ThreadPool(int) {}
    int threads() const { return 1; }
    bool is_here() const { return true; }

    using Lock = bool;
    Lock try_take() { return true; }

    void run(const std::function<void(int)>& task) { task(0); }
};

}  // namespace shufflekit
