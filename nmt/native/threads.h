// Work that is divided between threads.
#pragma once

#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

namespace nmt {

// Calls work(thread) for each of `threads` numbers, at the same time; where the system gives no more threads, this one does their part.
template <typename Work>
void in_threads(int64_t threads, Work&& work) {
    std::vector<std::thread> others;
    int64_t started = 1;
    try {
        for (; started < threads; ++started) others.emplace_back([&work, started] { work(started); });
    } catch (const std::system_error&) {
    }
    for (int64_t thread = started; thread < threads; ++thread) work(thread);
    work(0);
    for (std::thread& other : others) other.join();
}

// Calls work(first, end) for stretches of rows that together are all of them, each in a thread of its own.
template <typename Work>
void in_stretches(int64_t threads, int64_t rows, Work&& work) {
    in_threads(threads, [&](int64_t thread) { work(thread * rows / threads, (thread + 1) * rows / threads); });
}

}  // namespace nmt
