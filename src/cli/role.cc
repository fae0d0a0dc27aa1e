#include "cli/role.h"

#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>

namespace lotse::cli {

StopSignals::StopSignals(net::Loop& loop, std::function<void(bool)> on_stop) : on_stop_(std::move(on_stop)) {
  auto on_signal = [this] { on_stop_(std::exchange(seen_, true)); };
  interrupt_ = net::SignalWatch::open(loop, SIGINT, on_signal);
  terminate_ = net::SignalWatch::open(loop, SIGTERM, on_signal);
}

int report_failure(std::string_view role, const Problem& problem) {
  std::fprintf(stderr, "lotse %.*s: %s\n", static_cast<int>(role.size()), role.data(), problem.text().c_str());
  return 1;
}

std::string host_name() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) return "localhost";
  return name;
}

Result<model::PortRange, Problem> parse_port_range(std::string_view text) {
  model::PortRange range;
  const char* end = text.data() + text.size();
  auto [middle, first_code] = std::from_chars(text.data(), end, range.first);
  if (first_code == std::errc{} && middle != end && *middle == '-') {
    auto [last, code] = std::from_chars(middle + 1, end, range.last);
    if (code == std::errc{} && last == end && range.first >= 1 && range.first <= range.last && range.last <= 65535)
      return range;
  }
  return fail(Problem{"--ports", "\"" + std::string(text) + "\" is no range of ports; write for example 31000-32000"});
}

Result<std::pair<std::string, std::string>, Problem> parse_attribute(std::string_view text) {
  auto colon = text.find(':');
  if (colon == 0 || colon == std::string_view::npos) {
    return fail(Problem{"--attribute", "\"" + std::string(text) + "\" is not of the form name:value"});
  }
  return std::pair(std::string(text.substr(0, colon)), std::string(text.substr(colon + 1)));
}

}  // namespace lotse::cli
