// What the long-running roles share: signals, the words they start and end with, and reading their options. Main
// thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/agent_protocol.h"
#include "net/loop.h"
#include "net/process.h"

namespace lotse::cli {

// SIGINT and SIGTERM: the first asks for a graceful end, the second of either ends at once.
class StopSignals {
 public:
  StopSignals(net::Loop& loop, std::function<void(bool is_second)> on_stop);

 private:
  std::function<void(bool)> on_stop_;
  bool seen_ = false;
  std::unique_ptr<net::SignalWatch> interrupt_, terminate_;
};

int report_failure(std::string_view role, const Problem& problem);  // prints it, returns exit code 1
std::string host_name();

Result<model::PortRange, Problem> parse_port_range(std::string_view text);                    // "31000-32000"
Result<std::pair<std::string, std::string>, Problem> parse_attribute(std::string_view text);  // "rack:a"

}  // namespace lotse::cli
