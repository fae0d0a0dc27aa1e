#include "scheduler/core/records.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "model/app_json.h"
#include "model/json_writer.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

std::int64_t to_number(WallTime time) { return time.time_since_epoch().count(); }
WallTime wall_from(const json& value) { return WallTime(WallTime::duration(value.get<std::int64_t>())); }

std::string_view to_string(Leaving leaving) {
  switch (leaving) {
    case Leaving::no:
      return "no";
    case Leaving::draining:
      return "draining";
    case Leaving::killing:
      return "killing";
  }
  return "";
}
Leaving leaving_from(const std::string& text) {
  return text == "draining" ? Leaving::draining : text == "killing" ? Leaving::killing : Leaving::no;
}

model::TaskState state_from(const json& value) {
  return model::task_state_from(value.get<std::string>()).value_or(model::TaskState::lost);
}

void write_result(model::JsonWriter& out, const model::HealthResult& result) {
  out.begin_object();
  out.member("alive", result.alive);
  out.member("failures", result.consecutive_failures);
  out.member("first_success", result.first_success);
  out.member("last_success", result.last_success);
  out.member("last_failure", result.last_failure);
  out.member("cause", result.last_failure_cause);
  out.end_object();
}
model::HealthResult result_from(const json& value) {
  return {.alive = value.at("alive"),
          .consecutive_failures = value.at("failures"),
          .first_success = value.at("first_success"),
          .last_success = value.at("last_success"),
          .last_failure = value.at("last_failure"),
          .last_failure_cause = value.at("cause")};
}

std::optional<bool> optional_bool_from(const json& value) {
  return value.is_boolean() ? std::optional<bool>(value.get<bool>()) : std::nullopt;
}

Definition definition_from(const json& value) {  // throws as nlohmann does
  const auto text = value.get<std::string>();
  auto app = model::deserialize_app(std::string_view(text));
  if (!app) throw std::invalid_argument(app.error().text());
  return std::make_shared<const model::App>(std::move(*app));
}

json failure_to_json(const TaskFailure& failure) {
  return {{"task", failure.task},      {"state", model::to_string(failure.state)}, {"message", failure.message},
          {"host", failure.host},      {"timestamp", failure.timestamp},           {"agent", failure.agent},
          {"version", failure.version}};
}
TaskFailure failure_from(const json& value) {
  return {.task = value.at("task"),
          .state = state_from(value.at("state")),
          .message = value.at("message"),
          .host = value.at("host"),
          .timestamp = value.at("timestamp"),
          .agent = value.at("agent"),
          .version = value.at("version")};
}

std::string dump(const json& value) {  // Docker's messages may hold any bytes
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::string app_key(const model::AppId& id) { return "app/" + id; }
std::string version_key(const model::AppId& id, const model::Version& version) { return "version/" + version + id; }
std::string task_key(const model::TaskId& id) { return "task/" + id; }
std::string health_key(const model::TaskId& id) { return "health/" + id; }
std::string backoff_key(const model::AppId& id) { return "backoff/" + id; }
std::string agent_key(const model::AgentId& id) { return "agent/" + id; }
std::string release_key(const model::AgentId& agent, const model::TaskId& task) {
  return "release/" + agent + "/" + task;
}
std::string deployment_key(const std::string& id) { return "deployment/" + id; }
std::string progress_key(const std::string& deployment) { return "progress/" + deployment; }
std::string proxy_key(const std::string& id, const std::string& boot) { return "proxy/" + id + "/" + boot; }

std::string callback_key(const std::string& url) { return "callback/" + url; }
std::string group_key(const model::AppId& id) { return "group" + id; }
std::string history_key(const model::Version& version) { return "history/" + version; }

std::string encode_app(const App& app) {
  json value{
      {"id", app.id}, {"version", app.current->version}, {"removed", app.is_removed}, {"good", app.good_version}};
  if (app.last_failure) value["failure"] = failure_to_json(*app.last_failure);
  return dump(value);
}

std::string encode_version(const model::App& definition) { return model::serialize_app(definition); }

// These two are written several times for each task, so they are text at once: a tree of nodes costs ten times as much.
std::string encode_task(const Task& task) {
  model::JsonWriter out(512);
  out.begin_object();
  out.member("id", task.id);
  out.member("app", task.app);
  out.member("version", task.definition->version);
  out.member("agent", task.agent);
  out.member("host", task.host);
  out.member("ports", task.host_ports);
  out.member("state", model::to_string(task.state));
  out.member("zombie", task.is_zombie);
  out.member("confirmed", task.is_confirmed);
  out.member("published", task.is_published);
  out.member("leaving", to_string(task.leaving));
  out.member("reason", task.leaving_reason);
  out.member("staged", to_number(task.staged_at));
  out.member("started", task.started_at);
  out.member("ip", task.ip_address);
  if (task.unreachable_since) out.member("unreachable", to_number(*task.unreachable_since));
  // Its app may be long gone, and the versions with it.
  if (task.is_zombie) out.member("definition", model::serialize_app(*task.definition));
  out.end_object();
  return out.take();
}

std::string encode_health(const Task& task) {
  model::JsonWriter out(256);
  auto flag = [&out](std::string_view name, const std::optional<bool>& value) {
    out.key(name);
    value ? out.value(*value) : out.raw("null");
  };
  out.begin_object();
  out.member("task", task.id);
  out.member("ready", task.is_ready);
  flag("alive", task.alive);
  out.key("results");
  out.begin_array();
  for (const model::HealthResult& result : task.results) write_result(out, result);
  out.end_array();
  flag("readiness", task.readiness_passed);
  out.end_object();
  return out.take();
}

std::string encode_backoff(const App& app) {
  return dump({{"app", app.id}, {"failures", app.backoff.failures}, {"until", to_number(app.backoff.until_wall)}});
}

std::string encode_agent(const Agent& agent) {
  model::AgentRegistration registration = agent.registration;
  registration.tasks.clear();
  registration.has_tasks = false;
  registration.term = 0;
  return dump({{"registration", model::serialize(registration)},
               {"acknowledged", agent.acknowledged},
               {"draining", agent.is_draining}});
}

std::string encode_release(const model::AgentId& agent, const model::TaskId& task, const PortRelease& release) {
  return dump({{"agent", agent},
               {"task", task},
               {"app", release.app},
               {"ports", release.ports},
               {"released", to_number(release.released)}});
}

std::string encode_deployment(const Deployment& deployment) {
  json steps = json::array();
  for (const DeploymentStep& step : deployment.steps) {
    json actions = json::array();
    for (const Action& action : step.actions) {
      actions.push_back({{"kind", static_cast<int>(action.kind)}, {"app", action.app}});
    }
    steps.push_back(std::move(actions));
  }
  json original = json::object();
  for (const auto& [id, app] : deployment.original) {
    original[id] = app == nullptr ? json(nullptr) : json(model::serialize_app(*app));
  }
  return dump({{"id", deployment.id},
               {"version", deployment.version},
               {"started", to_number(deployment.started)},
               {"steps", std::move(steps)},
               {"current", deployment.current},
               {"original", std::move(original)},
               {"victims", deployment.victims},
               {"rollback", deployment.is_rollback}});
}

std::string encode_progress(const Deployment& deployment) {
  const Progress& progress = deployment.progress;
  return dump({{"deployment", deployment.id},
               {"step", progress.step},
               {"covered", progress.covered},
               {"since", to_number(progress.since_wall)}});
}

std::string encode_proxy(const Proxy& proxy) {
  return dump({{"id", proxy.id}, {"boot", proxy.boot}, {"address", proxy.address}});
}

namespace {

json group_to_json(const Group& group) {
  return {{"dependencies", group.dependencies}, {"enforce_role", group.enforce_role}, {"version", group.version}};
}
Group group_from(const json& value) {
  return {.dependencies = value.at("dependencies").get<std::vector<model::AppId>>(),
          .enforce_role = value.at("enforce_role"),
          .version = value.at("version")};
}

json definitions_to_json(const std::map<model::AppId, Definition>& apps) {
  json value = json::object();
  for (const auto& [id, app] : apps) value[id] = app == nullptr ? json(nullptr) : json(model::serialize_app(*app));
  return value;
}
std::map<model::AppId, Definition> definitions_from(const json& value) {
  std::map<model::AppId, Definition> apps;
  for (const auto& [id, app] : value.items()) apps[id] = app.is_null() ? nullptr : definition_from(app);
  return apps;
}

RootChange root_change_from(const json& value) {
  RootChange change{.version = value.at("version"), .apps = definitions_from(value.at("apps"))};
  for (const auto& [id, group] : value.at("groups").items()) {
    change.groups[id] = group.is_null() ? std::nullopt : std::optional(group_from(group));
  }
  return change;
}

}  // namespace

std::string encode_callback(const std::string& url) { return dump({{"url", url}}); }

std::string encode_group(const model::AppId& id, const Group& group) {
  json value = group_to_json(group);
  value["id"] = id;
  return dump(value);
}

std::string encode_root_change(const RootChange& change) {
  json groups = json::object();
  for (const auto& [id, group] : change.groups) groups[id] = group ? group_to_json(*group) : json(nullptr);
  return dump({{"version", change.version}, {"apps", definitions_to_json(change.apps)}, {"groups", std::move(groups)}});
}

namespace {

Task task_from(const json& value) {
  Task task;
  task.id = value.at("id");
  task.app = value.at("app");
  task.agent = value.at("agent");
  task.host = value.at("host");
  task.host_ports = value.at("ports").get<std::vector<int>>();
  task.state = state_from(value.at("state"));
  task.is_zombie = value.at("zombie");
  task.is_confirmed = value.at("confirmed");
  task.is_published = value.at("published");
  task.leaving = leaving_from(value.at("leaving"));
  task.leaving_reason = value.at("reason");
  task.staged_at = wall_from(value.at("staged"));
  task.started_at = value.at("started");
  task.ip_address = value.at("ip");
  if (value.contains("unreachable")) task.unreachable_since = wall_from(value.at("unreachable"));
  if (value.contains("definition")) task.definition = definition_from(value.at("definition"));
  return task;
}

Task health_from(const json& value) {
  Task health;
  health.is_ready = value.at("ready");
  health.alive = optional_bool_from(value.at("alive"));
  health.readiness_passed = optional_bool_from(value.at("readiness"));
  for (const json& result : value.at("results")) health.results.push_back(result_from(result));
  return health;
}

Deployment deployment_from(const json& value) {
  Deployment deployment;
  deployment.id = value.at("id");
  deployment.version = value.at("version");
  deployment.started = wall_from(value.at("started"));
  deployment.current = value.at("current");
  deployment.victims = value.at("victims").get<std::set<model::TaskId>>();
  deployment.is_rollback = value.value("rollback", false);
  for (const json& actions : value.at("steps")) {
    DeploymentStep& step = deployment.steps.emplace_back();
    for (const json& action : actions) {
      step.actions.push_back({static_cast<ActionKind>(action.at("kind").get<int>()), action.at("app")});
    }
  }
  for (const auto& [id, app] : value.at("original").items()) {
    deployment.original[id] = app.is_null() ? nullptr : definition_from(app);
  }
  return deployment;
}

}  // namespace

Result<Unit, Problem> RecordReader::read(std::string_view key, std::string_view text) {
  const std::string_view kind = key.substr(0, key.find('/'));
  if (kind == kLastVersionKey) {
    state_.last_version = std::string(text);
    return Unit{};
  }
  try {
    if (kind == "version") {
      auto definition = model::deserialize_app(text);
      if (!definition) return fail(Problem{std::string(key), definition.error().text()});
      App& app = state_.apps[definition->id];
      const model::Version version = definition->version;
      app.versions[version] = std::make_shared<const model::App>(std::move(*definition));
      return Unit{};
    }
    const json value = json::parse(text);
    if (kind == "app") {
      const std::string id = value.at("id");
      App& app = state_.apps[id];
      app.id = id;
      app.is_removed = value.at("removed");
      app.good_version = value.value("good", value.at("version").get<std::string>());
      if (value.contains("failure")) app.last_failure = failure_from(value.at("failure"));
      app_versions_[id] = value.at("version");
    } else if (kind == "task") {
      Task task = task_from(value);
      task_versions_[task.id] = value.at("version");
      state_.tasks.insert_or_assign(task.id, std::move(task));
    } else if (kind == "health") {
      health_.insert_or_assign(value.at("task").get<std::string>(), health_from(value));
    } else if (kind == "backoff") {
      backoff_[value.at("app")] = {.failures = value.at("failures"), .until_wall = wall_from(value.at("until"))};
    } else if (kind == "agent") {
      auto registration = model::parse_agent_registration(value.at("registration").get<std::string>());
      if (!registration) return fail(Problem{std::string(key), registration.error().text()});
      Agent& agent = state_.agents[registration->id];
      agent.registration = std::move(*registration);
      agent.acknowledged = value.at("acknowledged");
      agent.is_draining = value.value("draining", false);
    } else if (kind == "release") {
      PortRelease release{
          .app = value.at("app"), .ports = value.at("ports"), .released = wall_from(value.at("released"))};
      releases_[{value.at("agent"), value.at("task")}] = std::move(release);
    } else if (kind == "deployment") {
      Deployment deployment = deployment_from(value);
      state_.deployments.insert_or_assign(deployment.id, std::move(deployment));
    } else if (kind == "progress") {
      progress_[value.at("deployment")] = {.step = value.at("step"),
                                           .covered = value.at("covered"),
                                           .since = Instant{},
                                           .since_wall = wall_from(value.at("since"))};
    } else if (kind == "proxy") {
      Proxy proxy{.id = value.at("id"), .boot = value.at("boot"), .address = value.at("address")};
      ProxyKey proxy_id{proxy.id, proxy.boot};
      state_.proxies.insert_or_assign(std::move(proxy_id), std::move(proxy));
    } else if (kind == "callback") {
      state_.callbacks.insert(value.at("url").get<std::string>());
    } else if (kind == "group") {
      state_.groups[value.at("id")] = group_from(value);
    } else if (kind == "history") {
      RootChange change = root_change_from(value);
      const model::Version version = change.version;
      state_.history[version] = std::move(change);
    }
    // Keys of other kinds are the shell's (its term, the cluster's id) or a newer version's.
    return Unit{};
  } catch (const std::exception& error) {
    return fail(Problem{std::string(key), error.what()});
  }
}

Result<Unit, Problem> RecordReader::link() {
  for (auto& [id, app] : state_.apps) {
    auto version = app_versions_.find(id);
    if (version == app_versions_.end())
      return fail(Problem{version_key(id, ""), "a version of an app that has no record"});
    auto definition = app.versions.find(version->second);
    if (definition == app.versions.end()) return fail(Problem{app_key(id), "its version has no record"});
    app.current = definition->second;
  }
  for (auto& [id, task] : state_.tasks) {
    if (task.definition == nullptr) {
      auto app = state_.apps.find(task.app);
      if (app == state_.apps.end()) return fail(Problem{task_key(id), "its app has no record"});
      auto definition = app->second.versions.find(task_versions_[id]);
      if (definition == app->second.versions.end()) return fail(Problem{task_key(id), "its version has no record"});
      task.definition = definition->second;
    }
    if (!state_.agents.contains(task.agent)) return fail(Problem{task_key(id), "its agent has no record"});
    if (auto health = health_.find(id); health != health_.end()) {
      task.is_ready = health->second.is_ready;
      task.alive = health->second.alive;
      task.readiness_passed = health->second.readiness_passed;
      task.results = std::move(health->second.results);
    }
  }
  for (auto& [id, progress] : progress_) {  // unsynced, too
    if (auto deployment = state_.deployments.find(id); deployment != state_.deployments.end()) {
      deployment->second.progress = progress;
    }
  }
  for (auto& [id, backoff] : backoff_) {  // unsynced: may have outlived its app
    if (auto app = state_.apps.find(id); app != state_.apps.end()) app->second.backoff = backoff;
  }
  for (auto& [key, release] : releases_) {
    if (auto agent = state_.agents.find(key.first); agent != state_.agents.end()) {
      agent->second.releases[key.second] = std::move(release);
    }
  }
  return Unit{};
}

}  // namespace lotse::scheduler
