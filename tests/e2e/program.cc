#include "tests/e2e/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

extern char** environ;

namespace lotse::e2e {
namespace {

std::vector<char*> argv_of(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  return argv;
}

pid_t spawn(const std::vector<std::string>& arguments, int output_fd) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output_fd, STDERR_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  pid_t pid = -1;
  int code = posix_spawnp(&pid, arguments.front().c_str(), &actions, nullptr, argv_of(arguments).data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(code, 0) << "cannot start " << arguments.front();
  return code == 0 ? pid : -1;
}

int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }

}  // namespace

Program::Program(std::vector<std::string> arguments, std::string log_file) : log_file_(std::move(log_file)) {
  int fd = open(log_file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  log_start_ = lseek(fd, 0, SEEK_END);
  pid_ = spawn(arguments, fd);
  close(fd);
}

Program& Program::operator=(Program&& other) noexcept {
  if (this == &other) return *this;
  kill_9();
  pid_ = std::exchange(other.pid_, -1);
  log_file_ = std::move(other.log_file_);
  log_start_ = other.log_start_;
  return *this;
}

Program::~Program() { kill_9(); }

std::string Program::log() const {
  std::ifstream stream(log_file_);
  stream.seekg(log_start_);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::string Program::wait_for_log(const std::string& text, milliseconds deadline) {
  std::string found;
  bool came = eventually(
      [&] {
        std::string seen = log();
        auto at = seen.find(text);
        if (at == std::string::npos) return !is_running();
        auto end = seen.find('\n', at);
        if (end == std::string::npos) return false;
        found = seen.substr(at + text.size(), end - at - text.size());
        return true;
      },
      deadline);
  if (!came || (found.empty() && log().find(text) == std::string::npos)) {
    ADD_FAILURE() << "\"" << text << "\" was not logged; " << log_file_ << ":\n" << log();
  }
  return found;
}

void Program::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

void Program::kill_9() {
  pid_t pid = std::exchange(pid_, -1);
  if (pid <= 0) return;
  ::kill(pid, SIGKILL);
  ::kill(pid, SIGCONT);
  waitpid(pid, nullptr, 0);
}

bool Program::is_running() {
  if (pid_ <= 0) return false;
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

int Program::wait_for_exit(milliseconds deadline) {
  if (!eventually([&] { return !is_running(); }, deadline)) {
    kill_9();
    return -1000;
  }
  int status = 0;
  waitpid(std::exchange(pid_, -1), &status, 0);
  return exit_code_of(status);
}

std::string run(const std::vector<std::string>& arguments, int* exit_code, milliseconds deadline) {
  int fds[2];
  EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
  pid_t pid = spawn(arguments, fds[1]);
  close(fds[1]);
  std::string output;
  auto end = std::chrono::steady_clock::now() + deadline;
  for (;;) {
    auto left = std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now()).count();
    pollfd watched{fds[0], POLLIN, 0};
    if (left <= 0 || poll(&watched, 1, static_cast<int>(left)) <= 0) {
      ADD_FAILURE() << arguments.front() << " did not end in time; its output: " << output;
      ::kill(pid, SIGKILL);
      break;
    }
    char buffer[4096];
    ssize_t got = read(fds[0], buffer, sizeof buffer);
    if (got <= 0) break;
    output.append(buffer, static_cast<std::size_t>(got));
  }
  close(fds[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  if (exit_code != nullptr)
    *exit_code = exit_code_of(status);
  else
    EXPECT_EQ(exit_code_of(status), 0) << arguments.front() << ": " << output;
  return output;
}

void pause_a_little() { usleep(5000); }

}  // namespace lotse::e2e
