// The State in Marathon's JSON: apps with their counts, tasks, failures, deployments (MARATHON.md section 2). Reads
// only; knows no HTTP. Loop thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>

#include "model/json_writer.h"
#include "scheduler/core/state.h"

namespace lotse::scheduler {

struct TaskCounts {
  int staged = 0, running = 0, healthy = 0, unhealthy = 0;
};
TaskCounts counts_of(const State& state, const App& app);

struct AppEmbeds {
  bool tasks = false, last_task_failure = false, readiness = false, task_stats = false;
};

// The definition with counts and deployments, and what was asked for besides.
nlohmann::json app_info(const State& state, const App& app, const AppEmbeds& embeds, Now now);
// The same as text: lists of thousands cost more as trees than all else about them. `definition`: to_json() as text.
std::string app_text(const State& state, const App& app, const AppEmbeds& embeds, Now now, std::string_view definition);
nlohmann::json task_info(const Task& task, bool with_service_ports);
void write_task(model::JsonWriter& out, const Task& task, bool with_service_ports);
nlohmann::json deployment_info(const State& state, const Deployment& deployment);
nlohmann::json deployment_answer(std::string_view version, std::string_view deployment);  // DeploymentResult

// Every live or lost task of `app`, oldest first: what the API lists.
std::vector<const Task*> tasks_of(const State& state, const App& app);

}  // namespace lotse::scheduler
