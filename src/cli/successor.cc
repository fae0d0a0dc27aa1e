#include "cli/successor.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <string_view>
#include <vector>

#include "base/log.h"

namespace lotse::cli {
namespace {

// As we were called: the path may lead to another version by now, which /proc/self/exe would not.
std::vector<std::string> own_arguments() {
  std::vector<std::string> arguments;
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  for (std::string one; std::getline(file, one, '\0');) arguments.push_back(one);
  return arguments;
}

// Ours, without what systemd says to one process alone.
std::vector<std::string> own_environment() {
  constexpr std::array<std::string_view, 4> kOurs{"LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "WATCHDOG_PID="};
  std::vector<std::string> variables;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view variable = *one;
    bool is_ours = std::any_of(kOurs.begin(), kOurs.end(), [&](auto name) { return variable.starts_with(name); });
    if (!is_ours) variables.emplace_back(variable);
  }
  return variables;
}

}  // namespace

Successor::Successor(net::Loop& loop, std::function<void(pid_t, const std::string&)> on_end)
    : loop_(loop), on_end_(std::move(on_end)) {}

void Successor::start() {
  if (process_ && !is_given_up_) return log::warn("proxy", "a new process is starting already");
  if (process_) process_->kill(SIGKILL, false);
  process_.reset();
  is_given_up_ = false;
  std::vector<std::string> arguments = own_arguments();
  if (arguments.empty()) return log::error("proxy", "/proc/self/cmdline is not readable: cannot start a new process");
  net::ProcessOptions options;
  options.file = arguments.front();
  options.arguments.assign(arguments.begin() + 1, arguments.end());
  if (std::find(arguments.begin(), arguments.end(), "--takeover") == arguments.end())
    options.arguments.emplace_back("--takeover");
  options.environment = own_environment();
  options.stdout_fd = STDOUT_FILENO;
  options.stderr_fd = STDERR_FILENO;
  auto spawned = net::Process::spawn(loop_, options, [this](int exit_code, int signal) {
    const pid_t pid = process_->pid();
    process_.reset();
    on_end_(pid, signal != 0 ? fmt::format("signal {}", signal) : fmt::format("exit code {}", exit_code));
  });
  if (!spawned) return on_end_(-1, fmt::format("cannot start {}: {}", options.file, describe(spawned.error())));
  process_ = std::move(*spawned);
  log::info("proxy", "started process {} to take over", process_->pid());
}

void Successor::give_up() {
  is_given_up_ = true;
  if (process_) process_->kill(SIGTERM, false);
}

}  // namespace lotse::cli
