// What systemd wants of a service, if it is there: sockets it passes (LISTEN_FDS), and to be told how we are
// (NOTIFY_SOCKET; sd_notify(3), sd_listen_fds(3)). Without systemd every call does nothing. Main thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "net/listen.h"
#include "net/loop.h"
#include "net/timers.h"

namespace lotse::cli {

class ServiceManager {
 public:
  explicit ServiceManager(net::Loop& loop);

  struct PassedSocket {
    std::string name;  // FileDescriptorName= of the .socket unit
    net::UniqueFd fd;
  };
  std::vector<PassedSocket> take_sockets();  // listening ones that were meant for this process

  void ready(std::string_view status);  // READY=1; also ends a reload
  void reloading();
  void stopping();
  void main_process(pid_t pid);  // answers for the service from now on; ours: again
  // Begins with the watchdog, if there is one: a main loop that does not turn is a service that is ended and started
  // again, and so is one that `why_unhealthy` has words for.
  void watch_over(std::function<std::string()> why_unhealthy);

 private:
  void notify(std::string_view state);
  void alive();

  std::string socket_;   // path, or @name of an abstract one; empty: nobody to tell
  Duration interval_{};  // zero: no watchdog
  std::function<std::string()> why_unhealthy_;
  net::Timer watchdog_;
};

}  // namespace lotse::cli
