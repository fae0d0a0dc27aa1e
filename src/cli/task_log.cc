#include "cli/task_log.h"

#include <nlohmann/json.hpp>

namespace lotse::cli {

using nlohmann::json;

Result<ApiClient, Problem> open_agent(ApiClient& scheduler, const std::string& node) {
  auto answer = scheduler.expect_success("GET", "/v1/agents/" + http::percent_encode(node));
  if (!answer) return fail(answer.error());
  json known = json::parse(answer->body, nullptr, false);
  std::string api = known.is_object() ? known.value("api", "") : "";
  if (api.empty()) return fail(Problem{"node " + node, "says no address to read logs from"});
  return ApiClient::open(api);
}

std::string log_path(const std::string& task, bool follow) {
  return "/v1/tasks/" + http::percent_encode(task) + "/logs" + (follow ? "?follow=true" : "");
}

std::string last_lines_of(ApiClient& scheduler, const std::string& node, const std::string& task,
                          std::size_t lines_max) {
  if (node.empty() || task.empty()) return {};
  auto agent = open_agent(scheduler, node);
  if (!agent) return {};
  auto answer = agent->expect_success("GET", log_path(task));
  if (!answer || answer->body.empty()) return {};
  std::string& text = answer->body;
  if (!text.ends_with('\n')) text += '\n';
  std::size_t from = text.size() - 1;
  for (std::size_t lines = 0; lines < lines_max && from != std::string::npos; ++lines) {
    from = from == 0 ? std::string::npos : text.rfind('\n', from - 1);
  }
  return from == std::string::npos ? text : text.substr(from + 1);
}

}  // namespace lotse::cli
