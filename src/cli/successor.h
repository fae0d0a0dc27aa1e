// Starts this program anew, as it stands at its path now, to take over from us: what SIGUSR2 asks for. One at a time.
// Knows nothing of the takeover itself (proxy/handover.h). Main thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/loop.h"
#include "net/process.h"

namespace lotse::cli {

class Successor {
 public:
  // `on_end`: it has ended, or could not be started (pid -1), before we did.
  Successor(net::Loop& loop, std::function<void(pid_t pid, const std::string& how)> on_end);
  void start();
  void give_up();  // the last one is not wanted any more: it ends as by SIGTERM, or dies when another is started

 private:
  net::Loop& loop_;
  std::function<void(pid_t, const std::string&)> on_end_;
  std::unique_ptr<net::Process> process_;
  bool is_given_up_ = false;
};

}  // namespace lotse::cli
