#include "cli/queue_reason.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace lotse::cli {
namespace {

using nlohmann::json;

// 65536, not 6.5536e+04.
std::string number(double value) {
  std::string text = fmt::format("{:.3f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

// What agents lack, after "1 of 3 agents: ".
std::string lack_of(const std::string& reason, const json& app) {
  auto asked = [&](const char* resource) { return number(app.value(resource, 0.0)); };
  if (reason == "InsufficientCpus") return fmt::format("less than {} cpus free", asked("cpus"));
  if (reason == "InsufficientMemory") return fmt::format("less than {} MiB of memory free", asked("mem"));
  if (reason == "InsufficientDisk") return fmt::format("less than {} MiB of disk free", asked("disk"));
  if (reason == "InsufficientPorts") return "the host ports it wants are not free";
  if (reason == "InsufficientGpus") return "no gpus";
  if (reason == "UnfulfilledConstraint") {
    return "outside of its constraints " + app.value("constraints", json::array()).dump();
  }
  if (reason == "UnfulfilledRole") return "none of its roles " + app.value("acceptedResourceRoles", json()).dump();
  if (reason == "AgentMaintenance") return "drained";
  if (reason == "AgentSuspect" || reason == "AgentLost") return "not heard of for a while";
  if (reason == "DockerUnavailable") return "no Docker that answers";
  return reason;
}

}  // namespace

std::string reason_in(const json& entry) {
  if (!entry.value("delay", json::object()).value("overdue", true)) return {};
  const json summary = entry.value("processedOffersSummary", json::object());
  const int agents = summary.value("processedOffersCount", 0);
  if (agents == 0) return "no agent is registered";
  std::string reasons;
  int declined = 0;
  for (const json& each : summary.value("rejectSummaryLastOffers", json::array())) {
    const int count = each.value("declined", 0);
    declined += count;
    if (count == 0) continue;
    reasons += fmt::format("{}{} of {} agent{}: {}", reasons.empty() ? "" : ", ", count, agents, agents == 1 ? "" : "s",
                           lack_of(each.value("reason", ""), entry.value("app", json::object())));
  }
  return declined < agents ? "" : "no agent takes it: " + reasons;
}

std::string what_keeps_waiting(ApiClient& scheduler, const std::string& app) {
  auto answer = scheduler.expect_success("GET", "/v2/queue");
  if (!answer) return {};
  const json body = json::parse(answer->body, nullptr, false);
  if (!body.is_object()) return {};
  for (const json& entry : body.value("queue", json::array())) {
    const std::string id = entry.value("app", json::object()).value("id", "");
    if (!app.empty() && id != app) continue;
    std::string reason = reason_in(entry);
    if (reason.empty() || !app.empty()) return reason;
    return id + ": " + reason;
  }
  return {};
}

}  // namespace lotse::cli
