// A real program as a peer of the proxy: its standard output is a socket of ours, so that it can be read without
// waiting, and the program can be told something the same way (it reads descriptor 1).
#pragma once

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/process.h"
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {

class ChildProgram {
 public:
  ChildProgram(Harness& harness, const std::string& file, std::vector<std::string> arguments) : harness_(harness) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    auto spawned = net::Process::spawn(harness.loop,
                                       {.file = file,
                                        .arguments = std::move(arguments),
                                        .environment = {"PATH=/usr/bin:/bin", "PYTHONUNBUFFERED=1", "LC_ALL=C.UTF-8"},
                                        .directory = "/",
                                        .stdout_fd = ends[1],
                                        .stderr_fd = ends[1]},
                                       [this](int code, int signal) {
                                         exit_code = signal == 0 ? code : 128 + signal;
                                         has_exited = true;
                                       });
    close(ends[1]);
    EXPECT_TRUE(spawned) << file;
    if (spawned) process_ = std::move(*spawned);
    auto stream = net::adopt_stream(harness.loop, ends[0]);
    EXPECT_TRUE(stream);
    output.adopt(std::move(*stream));
  }
  ~ChildProgram() {
    if (process_ && !has_exited) process_->kill(SIGKILL, false);
    harness_.run_until([this] { return has_exited || !process_; });
  }

  // Waits for a line that begins so and returns the rest of it.
  std::string line_after(const std::string& beginning) {
    std::size_t at = std::string::npos, end = std::string::npos;
    EXPECT_TRUE(harness_.run_until([&] {
      at = output.received.find(beginning);
      end = at == std::string::npos ? at : output.received.find('\n', at);
      return end != std::string::npos || has_exited;
    })) << output.received;
    if (end == std::string::npos) return "";
    return output.received.substr(at + beginning.size(), end - at - beginning.size());
  }
  bool exits_with(int code) {
    EXPECT_TRUE(harness_.run_until([this] { return has_exited; })) << output.received;
    EXPECT_EQ(exit_code, code) << output.received;
    return exit_code == code;
  }

  Peer output;
  int exit_code = -1;
  bool has_exited = false;

 private:
  Harness& harness_;
  std::unique_ptr<net::Process> process_;
};

}  // namespace lotse::proxy::test
