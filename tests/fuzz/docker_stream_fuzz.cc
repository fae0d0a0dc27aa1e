// Bytes from Docker: the JSON answers, lines of a stream, the multiplexed log. The first byte cuts the rest in two, and
// what comes out must not depend on where.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "agent/docker_answers.h"
#include "agent/log_demux.h"
#include "agent/process_identity.h"
#include "agent/task_record.h"

using namespace lotse::agent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::size_t cut = bytes.empty() ? 0 : data[0] % bytes.size();

  static_cast<void>(parse_inspect(bytes));
  static_cast<void>(parse_container_list(bytes));
  static_cast<void>(parse_docker_event(bytes));
  static_cast<void>(parse_pull_error(bytes));
  static_cast<void>(parse_created_id(bytes));
  static_cast<void>(parse_exec_state(bytes));
  static_cast<void>(docker_words(500, bytes));
  static_cast<void>(parse_process_stat(bytes));
  static_cast<void>(parse_process_identity(bytes));
  static_cast<void>(parse_task_record(bytes));

  LogDemux whole_demux, cut_demux;
  std::string whole, in_two;
  whole_demux.feed(bytes, whole);
  cut_demux.feed(bytes.substr(0, cut), in_two);
  cut_demux.feed(bytes.substr(cut), in_two);
  if (whole != in_two) std::abort();

  LineSplitter whole_lines(64), cut_lines(64);
  std::vector<std::string> all, halves;
  whole_lines.feed(bytes, [&](std::string_view line) { all.emplace_back(line); });
  cut_lines.feed(bytes.substr(0, cut), [&](std::string_view line) { halves.emplace_back(line); });
  cut_lines.feed(bytes.substr(cut), [&](std::string_view line) { halves.emplace_back(line); });
  if (all != halves) std::abort();
  return 0;
}
