#include "cli/service_manager.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "base/log.h"

namespace lotse::cli {
namespace {

constexpr int kFirstPassed = 3, kPassedMax = 1024;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::int64_t number_in(const char* name) {
  const std::string text = environment(name);
  std::int64_t number = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  return code == std::errc{} && end == text.data() + text.size() ? number : 0;
}

bool is_listening_socket(int fd) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0 && value != 0;
}

}  // namespace

ServiceManager::ServiceManager(net::Loop& loop)
    : socket_(environment("NOTIFY_SOCKET")), watchdog_(loop.timers(), [this] { alive(); }) {
  // A successor that we start is told by its environment whom it stands in for: the service's watchdog, without a pid.
  const std::int64_t pid = number_in("WATCHDOG_PID");
  if (pid == 0 || pid == getpid())
    interval_ = std::chrono::microseconds(std::max<std::int64_t>(number_in("WATCHDOG_USEC"), 0)) / 2;
}

std::vector<ServiceManager::PassedSocket> ServiceManager::take_sockets() {
  std::vector<PassedSocket> sockets;
  if (number_in("LISTEN_PID") != getpid()) return sockets;
  const int count = static_cast<int>(std::clamp<std::int64_t>(number_in("LISTEN_FDS"), 0, kPassedMax));
  std::string names = environment("LISTEN_FDNAMES");
  for (int fd = kFirstPassed; fd < kFirstPassed + count; ++fd) {
    const std::size_t colon = names.find(':');
    PassedSocket passed{names.substr(0, colon), net::UniqueFd(fd)};
    names.erase(0, colon == names.npos ? names.size() : colon + 1);
    if (!is_listening_socket(fd)) {
      log::warn("systemd", "descriptor {} from systemd is no listening socket: not used", fd);
      continue;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    sockets.push_back(std::move(passed));
  }
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(name);
  return sockets;
}

void ServiceManager::ready(std::string_view status) { notify(fmt::format("READY=1\nSTATUS={}", status)); }

void ServiceManager::reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reloading", now.tv_sec * 1'000'000 + now.tv_nsec / 1000));
}

void ServiceManager::stopping() { notify("STOPPING=1\nSTATUS=draining"); }
void ServiceManager::main_process(pid_t pid) {
  notify(fmt::format("MAINPID={}", pid));
  watchdog_.stop();
  if (pid == getpid() && interval_ > Duration::zero()) alive();
}

void ServiceManager::watch_over(std::function<std::string()> why_unhealthy) {
  why_unhealthy_ = std::move(why_unhealthy);
  if (interval_ > Duration::zero()) alive();
}

void ServiceManager::alive() {
  if (why_unhealthy_ && why_unhealthy_().empty()) notify("WATCHDOG=1");
  watchdog_.start(interval_);
}

// One datagram, as sd_notify(3) says. By hand: libsystemd would bring compressors and more into every process for it.
void ServiceManager::notify(std::string_view state) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.empty() || socket_.size() >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  net::UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  ssize_t sent = fd ? ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
                               reinterpret_cast<const sockaddr*>(&address), length)
                    : -1;
  if (sent < 0) log::warn("systemd", "systemd cannot be told \"{}\": {}", state, std::strerror(errno));
}

}  // namespace lotse::cli
