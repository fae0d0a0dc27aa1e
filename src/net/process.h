// Child processes (uv_spawn), signals to ourselves and file changes: what the operating system tells a loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace lotse::net {

class Loop;

struct ProcessOptions {
  std::string file;
  std::vector<std::string> arguments;    // argv[1..]
  std::vector<std::string> environment;  // "NAME=value"; exactly these
  std::string directory;
  int stdout_fd = -1, stderr_fd = -1;  // inherited descriptors; -1: /dev/null
  bool new_session = false;            // setsid: it outlives us and can be signalled as a group
  int uid = -1, gid = -1;
};

class Process {
 public:
  // `on_exit(exit_code, signal)` comes once. Destroying the object neither kills nor reaps early: it only detaches.
  static Result<std::unique_ptr<Process>> spawn(Loop& loop, const ProcessOptions& options,
                                                std::function<void(int exit_code, int signal)> on_exit);
  virtual ~Process() = default;
  virtual int pid() const = 0;
  virtual void kill(int signal, bool group) = 0;
};

class SignalWatch {
 public:
  static std::unique_ptr<SignalWatch> open(Loop& loop, int signal, std::function<void()> on_signal);
  virtual ~SignalWatch() = default;
};

// Calls back (debounced 50 ms) when the file's content may have changed, also when it is replaced by a rename or
// through a symlinked directory (watches by polling its identity every 500 ms as well as by inotify).
class FileWatch {
 public:
  static std::unique_ptr<FileWatch> open(Loop& loop, const std::string& path, std::function<void()> on_changed);
  virtual ~FileWatch() = default;
};

}  // namespace lotse::net
