// What Docker answers, taken apart: inspect, list, events, pull progress, errors. Pure; any bytes are survivable.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/observation.h"
#include "base/result.h"
#include "model/app.h"

namespace lotse::agent {

struct ContainerReport {  // GET /containers/{id}/json
  Observation seen;
  model::Labels labels;
};
Result<ContainerReport, Problem> parse_inspect(std::string_view json);

struct ListedContainer {  // GET /containers/json
  std::string id, name, state;
  model::Labels labels;
};
Result<std::vector<ListedContainer>, Problem> parse_container_list(std::string_view json);

struct DockerEvent {  // one line of GET /events
  std::string action, container_id;
  model::Labels attributes;  // the container's labels, name, exitCode
};
std::optional<DockerEvent> parse_docker_event(std::string_view line);

// One line of POST /images/create: nullopt: progress; else the error in Docker's own words.
std::optional<std::string> parse_pull_error(std::string_view line);

// {"message":"..."} of a status that is no success; the body itself, shortened, when it is something else.
std::string docker_words(int status, std::string_view body);

std::optional<std::string> parse_created_id(std::string_view json);  // {"Id":"..."} of create and exec create

struct ExecState {
  bool running = false;
  int exit_code = 0;
};
std::optional<ExecState> parse_exec_state(std::string_view json);

// Bytes in, whole lines out; a line beyond the bound is dropped.
class LineSplitter {
 public:
  explicit LineSplitter(std::size_t line_bytes_max = 1024 * 1024) : line_bytes_max_(line_bytes_max) {}
  template <typename OnLine>
  void feed(std::string_view bytes, OnLine on_line) {
    while (!bytes.empty()) {
      std::size_t end = bytes.find('\n');
      std::string_view piece = bytes.substr(0, end);
      if (line_.size() + piece.size() > line_bytes_max_) is_too_long_ = true;
      if (!is_too_long_) line_ += piece;
      if (end == std::string_view::npos) return;
      if (!is_too_long_ && !line_.empty()) on_line(std::string_view(line_));
      line_.clear();
      is_too_long_ = false;
      bytes.remove_prefix(end + 1);
    }
  }
  const std::string& rest() const { return line_; }

 private:
  std::size_t line_bytes_max_;
  std::string line_;
  bool is_too_long_ = false;
};

}  // namespace lotse::agent
