// The log files of a process task: cut when they grow too large, read from the end, followed. Polling, since the agent
// only reads while somebody watches. One loop thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/runtime.h"
#include "net/listen.h"
#include "net/loop.h"
#include "net/timers.h"

namespace lotse::agent {

// Above `bytes_max` the content moves to "<path>.1" and the file begins anew under its writer, who appends. What is
// written between the two steps is lost: the price of not standing between a task and its own file.
void cut_log(const std::string& path, std::int64_t bytes_max);

std::string read_log_tail(const std::string& path, std::size_t bytes_max);

class FileLogFollower final : public LogFollower {
 public:
  FileLogFollower(net::Loop& loop, std::vector<std::string> paths, std::function<bool()> is_running,
                  LogCallbacks callbacks);
  void pause() override { is_paused_ = true; }
  void resume() override { is_paused_ = false; }

 private:
  struct File {
    std::string path;
    net::UniqueFd fd;  // kept open: when the task ends its folder goes, and the last lines are still to be read
    std::int64_t offset = 0;
  };
  void poll();
  bool read_more(File& file);  // false: nothing new

  std::vector<File> files_;
  std::function<bool()> is_running_;
  LogCallbacks callbacks_;
  bool is_paused_ = false;
  net::Timer timer_;
};

}  // namespace lotse::agent
