// What step() wants done, in order. The shell first makes every Write and Erase of one step durable in one transaction
// and only then carries out the rest: what left the scheduler is never ahead of its disk (P4).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "model/agent_protocol.h"
#include "model/api_error.h"
#include "model/app.h"
#include "model/routes.h"
#include "scheduler/core/events.h"

namespace lotse::scheduler {

struct Write {  // "task/<id>", "app/<id>", ... (records.h)
  std::string key, value;
  bool is_synced = true;  // false: task health and the like. A step with no synced write and no erase need not wait for
                          // its commit; a later synced transaction carries what is still outstanding
};
struct Erase {
  std::string key;
};

struct DeploymentResult {
  model::Version version;
  std::string deployment;
};
struct KilledTasks {
  std::vector<model::TaskId> tasks;
};
struct Done {};
struct PlannedSteps {  // of a dry run
  std::string steps_json;
};
using Answer = std::variant<DeploymentResult, KilledTasks, Done, PlannedSteps, model::ApiError, model::AgentAnswer,
                            model::StatusAnswer, model::ProxyReportAnswer>;
struct Reply {
  Token token = 0;
  Answer answer;
};

struct SendToAgent {
  model::AgentId agent;
  model::AgentCommand command;
};
struct PublishRoutes {
  model::RouteUpdate update;
};

// An event of GET /v2/events, typed; the server renders it as JSON (MARATHON.md section 4).
struct Emit {
  std::string type;  // "status_update_event", ...
  model::AppId app;
  model::TaskId task;
  model::AgentId agent;
  std::string host, state, message, version, deployment, reason;
  std::vector<int> ports;
  std::string ip_address;
  std::optional<bool> alive;
  std::string plan;  // deployment events: id of a deployment; the server renders its plan from `plan_json`
  std::string plan_json, current_step_json, health_check_json;
};

struct WakeAt {
  Instant instant;
};  // at most one per step: when Tick is wanted

using Command = std::variant<Write, Erase, Reply, SendToAgent, PublishRoutes, Emit, WakeAt>;

}  // namespace lotse::scheduler
