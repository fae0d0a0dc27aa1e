// A child process of a test: started with a log file, waited for by what it logs, ended by its pid. Blocking.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace lotse::e2e {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

class Program {
 public:
  Program() = default;
  Program(std::vector<std::string> arguments, std::string log_file);  // starts it; output is appended to the log
  Program(Program&& other) noexcept { *this = std::move(other); }
  Program& operator=(Program&& other) noexcept;
  ~Program();  // kill -9

  // The rest of the first line, written since this start, that holds `text`. Fails the test when it does not come.
  std::string wait_for_log(const std::string& text, milliseconds deadline = 20s);
  void signal(int number) const;
  void kill_9();                             // and reaps
  int wait_for_exit(milliseconds deadline);  // exit code; -signal; -1000 when it still runs (it is killed then)
  bool is_running();
  pid_t pid() const { return pid_; }
  std::string log() const;  // written since this start

 private:
  pid_t pid_ = -1;
  std::string log_file_;
  long log_start_ = 0;
};

// Runs a command to its end and returns its output (both streams). `exit_code` may be null: then it must be 0.
std::string run(const std::vector<std::string>& arguments, int* exit_code = nullptr, milliseconds deadline = 60s);

// Polls every few milliseconds until `condition` holds; false when the deadline passed.
template <typename Condition>
bool eventually(Condition condition, milliseconds deadline = 20s);

void pause_a_little();  // between two polls

template <typename Condition>
bool eventually(Condition condition, milliseconds deadline) {
  auto end = std::chrono::steady_clock::now() + deadline;
  do {
    if (condition()) return true;
    pause_a_little();
  } while (std::chrono::steady_clock::now() < end);
  return condition();
}

}  // namespace lotse::e2e
