#include "proxy/failure_reporter.h"

#include <utility>

namespace lotse::proxy {

namespace {
constexpr Duration kReportInterval =
    std::chrono::milliseconds(10);  // an endpoint that fails fast is one post, not many
}

FailureReporter::FailureReporter(net::Loop& loop, std::size_t worker,
                                 std::function<void(std::vector<FailureReport>)> post)
    : worker_(worker), post_(std::move(post)), report_(loop, [this] { report(); }) {}

void FailureReporter::fail(EndpointRecord& record, FailureKind kind) {
  EndpointState& state = record.states[worker_];
  state.failures.fail(kind);
  if (std::exchange(state.has_failures, true)) return;
  pending_.push_back(record.shared_from_this());
  if (!report_.is_set()) report_.set(kReportInterval);
}

void FailureReporter::report() {
  std::vector<FailureReport> reports;
  reports.reserve(pending_.size());
  for (auto& record : std::exchange(pending_, {})) {
    EndpointState& state = record->states[worker_];
    state.has_failures = false;
    reports.push_back({std::move(record), std::exchange(state.failures, {})});
  }
  post_(std::move(reports));
}

void FailureReporter::stop() {
  report_.stop();
  pending_.clear();
}

}  // namespace lotse::proxy
