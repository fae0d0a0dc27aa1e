// One line on standard error that is written over on a terminal, and a new line per change in a log, where time passing
// is no change.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <string>

namespace lotse::cli {

class ProgressLine {
 public:
  void show(const std::string& text) { show("", text); }
  void show(const std::string& time, const std::string& text) {
    const std::string line = time + text;
    if (line == shown_ || (!is_terminal_ && text == shown_text_)) return;
    if (is_terminal_)
      std::fprintf(stderr, "\r\033[K%s", line.c_str());
    else
      std::fprintf(stderr, "%s\n", line.c_str());
    std::fflush(stderr);
    shown_ = line;
    shown_text_ = text;
  }
  // Stays; the line goes on below it.
  void keep(const std::string& text) {
    std::fprintf(stderr, is_terminal_ ? "\r\033[K%s\n" : "%s\n", text.c_str());
    shown_.clear();
    shown_text_.clear();
  }
  ~ProgressLine() {
    if (is_terminal_ && !shown_.empty()) std::fputc('\n', stderr);
  }

 private:
  std::string shown_, shown_text_;
  bool is_terminal_ = isatty(STDERR_FILENO) != 0;
};

}  // namespace lotse::cli
