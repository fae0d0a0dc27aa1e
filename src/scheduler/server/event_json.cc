#include "scheduler/server/event_json.h"

#include <nlohmann/json.hpp>
#include <string>

#include "model/app_id.h"
#include "model/json_text.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

json parsed(const std::string& text) {
  auto value = model::parse_json_text(text);
  return value ? *value : json::object();
}

void add_task_event(json& out, const Emit& event) {
  const std::string& type = event.type;
  std::string instance(model::instance_id_of(event.task));
  if (type == "status_update_event") {
    out.update({{"slaveId", event.agent},
                {"taskId", event.task},
                {"taskStatus", event.state},
                {"message", event.message},
                {"appId", event.app},
                {"host", event.host},
                {"ipAddresses", json::array()},
                {"ports", event.ports},
                {"version", event.version}});
    if (!event.ip_address.empty()) {
      bool is_v6 = event.ip_address.find(':') != std::string::npos;
      out["ipAddresses"].push_back({{"ipAddress", event.ip_address}, {"protocol", is_v6 ? "IPv6" : "IPv4"}});
    }
  } else if (type == "instance_changed_event") {
    out.update({{"instanceId", instance},
                {"condition", event.state},
                {"runSpecId", event.app},
                {"agentId", event.agent},
                {"host", event.host},
                {"runSpecVersion", event.version}});
  } else if (type == "instance_health_changed_event") {
    out.update({{"instanceId", instance},
                {"runSpecId", event.app},
                {"healthy", event.alive ? json(*event.alive) : json()},
                {"runSpecVersion", event.version}});
  } else if (type == "unknown_instance_terminated_event") {
    out.update({{"instanceId", instance}, {"runSpecId", event.app}, {"condition", event.state}});
  } else if (type == "health_status_changed_event") {
    out.update({{"appId", event.app},
                {"instanceId", instance},
                {"taskId", event.task},
                {"version", event.version},
                {"alive", event.alive.value_or(false)}});
  } else if (type == "unhealthy_instance_kill_event" || type == "unhealthy_task_kill_event") {
    out.update({{"appId", event.app},
                {"taskId", event.task},
                {"instanceId", instance},
                {"version", event.version},
                {"reason", event.reason},
                {"host", event.host},
                {"slaveId", event.agent}});
  }
}

void add_app_event(json& out, const Emit& event) {
  const std::string& type = event.type;
  if (type == "app_terminated_event" || type == "remove_health_check_event") {
    out["appId"] = event.app;
  } else if (type == "add_health_check_event") {
    out.update({{"appId", event.app}, {"version", event.version}, {"healthCheck", parsed(event.health_check_json)}});
  } else if (type == "failed_health_check_event") {
    std::string instance(model::instance_id_of(event.task));
    out.update({{"appId", event.app}, {"taskId", instance}, {"healthCheck", parsed(event.health_check_json)}});
  } else if (type == "group_change_success" || type == "group_change_failed") {
    out.update({{"groupId", event.app}, {"version", event.version}});
    if (!event.reason.empty()) out["reason"] = event.reason;
  } else if (type == "scheduler_registered_event" || type == "scheduler_reregistered_event") {
    out.update({{"frameworkId", event.message}, {"master", event.host}});
  } else if (type.starts_with("deployment_")) {
    json plan = parsed(event.plan_json);
    // Before 1.8 the whole root group twice; its clients want the objects to be there, and nobody the megabytes in
    // them.
    for (const char* name : {"original", "target"}) {
      plan[name] = {{"id", "/"},
                    {"apps", json::array()},
                    {"groups", json::array()},
                    {"pods", json::array()},
                    {"dependencies", json::array()},
                    {"version", event.version}};
    }
    if (type == "deployment_success" || type == "deployment_failed") {
      out["id"] = event.deployment.empty() ? event.plan : event.deployment;
      if (!event.reason.empty()) out["reason"] = event.reason;
    } else {
      out["currentStep"] = parsed(event.current_step_json);
      if (type == "deployment_step_failure") out["reason"] = event.reason;
    }
    out["plan"] = std::move(plan);
  }
}

}  // namespace

json event_json(const Emit& event, WallTime now) {
  json out = {{"eventType", event.type}, {"timestamp", format_timestamp(now)}};
  add_task_event(out, event);
  add_app_event(out, event);
  return out;
}

}  // namespace lotse::scheduler
