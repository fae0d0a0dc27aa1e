// Holds the worker's thread still, so that what a test does meanwhile reaches it as one batch of events. The thread
// waits in a signal handler, where nothing of ours runs. One at a time.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace lotse::proxy::test {

class HeldWorker {
 public:
  explicit HeldWorker(const std::string& thread_name = "lotse-worker-0") {
    if (pipe(held_) != 0 || pipe(release_) != 0) std::abort();
    struct sigaction action {};
    action.sa_handler = [](int) {
      char byte = 0;
      if (write(held_[1], &byte, 1) != 1 || read(release_[0], &byte, 1) != 1) std::abort();
    };
    sigaction(SIGUSR2, &action, nullptr);
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
      std::string name;
      std::getline(std::ifstream(thread.path() / "comm") >> std::ws, name);
      if (name != thread_name) continue;
      char byte = 0;
      if (syscall(SYS_tgkill, getpid(), std::stoi(thread.path().filename()), SIGUSR2) != 0) std::abort();
      if (read(held_[0], &byte, 1) != 1) std::abort();
      return;
    }
    std::abort();  // no such thread
  }
  ~HeldWorker() {
    char byte = 0;
    if (write(release_[1], &byte, 1) != 1) std::abort();
    // The descriptors stay: the thread may still be about to read, and a test has few of them.
  }
  HeldWorker(const HeldWorker&) = delete;
  HeldWorker& operator=(const HeldWorker&) = delete;

 private:
  static inline int held_[2], release_[2];
};

}  // namespace lotse::proxy::test
