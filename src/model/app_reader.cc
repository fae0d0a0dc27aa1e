#include "model/app_reader.h"

#include <array>
#include <nlohmann/json.hpp>

#include "model/app_id.h"
#include "model/json_text.h"

namespace lotse::model {
namespace {

using nlohmann::json;
using Field = DefinitionField;

// Known to Marathon, without a member in App. `gpus` has one; `ipAddress` and the other old forms are migrated.
constexpr std::array kUnhonoured{"secrets", "residency", "check", "executorResources", "resourceLimits"};

bool ends_with_any(std::string_view text, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view end) { return text.ends_with(end); });
}

// `uris` knew no `extract`: an archive was unpacked by its name.
bool is_archive(std::string_view uri) {
  return ends_with_any(uri, {".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".zip"});
}

void read_id(const Field& id, std::string_view id_from_path, App& app) {
  std::string text;
  id.to(text);
  if (!id.is_given()) {
    app.id = id_from_path;
    if (id_from_path.empty()) id.required();
    return;
  }
  if (!id.is_string()) return;
  auto resolved = resolve_app_id(text);
  if (!resolved) return id.broken_rule(resolved.error().what);
  if (!id_from_path.empty() && *resolved != id_from_path) {
    // A relative id may be meant within the group that the path names.
    std::string_view group = id_from_path.substr(0, id_from_path.rfind('/'));
    resolved = resolve_app_id(text, group.empty() ? "/" : group);
    if (!resolved || *resolved != id_from_path) {
      return id.broken_rule("must be " + std::string(id_from_path) + ", the id in the path of the request");
    }
  }
  app.id = std::move(*resolved);
}

void read_dependencies(const Field& dependencies, App& app) {
  dependencies.each([&](const Field& item) {
    std::string text;
    item.to(text);
    if (!item.is_string()) return;
    auto resolved = resolve_app_id(text);
    if (!resolved) return item.broken_rule(resolved.error().what);
    app.dependencies.push_back(std::move(*resolved));
  });
}

void read_env(const Field& env, App& app, json& rest) {
  env.each_member([&](const std::string& name, const Field& member) {
    const json& value = member.value();
    if (value.is_string()) {
      app.env[name] = value.get_ref<const std::string&>();
    } else if (value.is_number() || value.is_boolean()) {
      app.env[name] = to_text(value);
    } else if (value.is_object() && value.contains("secret")) {
      rest["env"][name] = value;
    } else {
      member.wrong_type("error.expected.jsstring");
    }
  });
}

// A constraint's value as text; a number is fine too, since ["hostname", "MAX_PER", 2] says what it means.
std::string constraint_text(const Field& item) {
  if (item.value().is_number()) return to_text(item.value());
  std::string text;
  item.to(text);
  return text;
}

void read_constraint(const Field& field, App& app) {
  std::vector<std::string> parts;
  field.each([&](const Field& item) { parts.push_back(constraint_text(item)); });
  if (!field.value().is_array()) return;
  if (parts.size() < 2 || parts.size() > 3) {
    return field.broken_rule("Each constraint must have either 2 or 3 fields");
  }
  Constraint constraint;
  constraint.field = std::move(parts[0]);
  auto known = std::find_if(std::begin(kConstraintOperators), std::end(kConstraintOperators),
                            [&](const auto& each) { return equals_ignoring_case(each.first, parts[1]); });
  if (known == std::end(kConstraintOperators)) {
    return field.broken_rule(
        "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS");
  }
  constraint.op = known->second;
  if (parts.size() == 3) constraint.value = std::move(parts[2]);
  app.constraints.push_back(std::move(constraint));
}

void read_fetch(const Field& definition, App& app) {
  definition["fetch"].each([&](const Field& item) {
    Fetch fetch;
    if (!item.expect_object()) return;
    item["uri"].required().to(fetch.uri);
    item["extract"].to(fetch.extract);
    item["executable"].to(fetch.executable);
    item["cache"].to(fetch.cache);
    item["destPath"].to(fetch.dest_path);
    app.fetch.push_back(std::move(fetch));
  });
  std::vector<std::string> uris;
  definition["uris"].to(uris);
  if (uris.empty()) return;
  if (app.fetch.empty()) {
    for (std::string& uri : uris) {
      bool extract = is_archive(uri);
      app.fetch.push_back(Fetch{.uri = std::move(uri), .extract = extract});
    }
    return;
  }
  // Our answers echo `uris` beside `fetch`, and clients send back what they got.
  bool is_echo = std::equal(uris.begin(), uris.end(), app.fetch.begin(), app.fetch.end(),
                            [](const std::string& uri, const Fetch& fetch) { return uri == fetch.uri; });
  if (!is_echo) definition.clash("cannot specify both uris and fetch fields");
}

bool has_persistent_volume(const json& rest) {
  auto container = rest.find("container");
  if (container == rest.end() || !container->contains("volumes")) return false;
  for (const json& volume : (*container)["volumes"]) {
    if (volume.is_object() && volume.contains("persistent")) return true;
  }
  return false;
}

void read_upgrade_strategy(const Field& strategy, bool is_resident, App& app) {
  auto single = app.labels.find("MARATHON_SINGLE_INSTANCE_APP");
  if (single != app.labels.end() && single->second == "true")
    app.upgrade_strategy = {.minimum_health_capacity = 0, .maximum_over_capacity = 0};
  if (is_resident) app.upgrade_strategy = {.minimum_health_capacity = 0.5, .maximum_over_capacity = 0};
  if (!strategy.expect_object()) return;
  strategy["minimumHealthCapacity"].to(app.upgrade_strategy.minimum_health_capacity);
  strategy["maximumOverCapacity"].to(app.upgrade_strategy.maximum_over_capacity);
  strategy["progressDeadlineSeconds"].to(app.upgrade_strategy.progress_deadline);
  strategy["autoRollback"].to(app.upgrade_strategy.auto_rollback);
}

void read_unreachable_strategy(const Field& strategy, bool is_resident, App& app) {
  app.unreachable_strategy.disabled = is_resident;
  if (!strategy.is_given()) return;
  if (strategy.is_string()) {
    constexpr std::pair<std::string_view, bool> kDisabled[] = {{"disabled", true}};
    return strategy.to_one_of(kDisabled, app.unreachable_strategy.disabled);
  }
  app.unreachable_strategy = UnreachableStrategy{};
  if (!strategy.expect_object()) return;
  strategy["inactiveAfterSeconds"].to(app.unreachable_strategy.inactive_after);
  strategy["expungeAfterSeconds"].to(app.unreachable_strategy.expunge_after);
}

void read_scheduling(const Field& definition, const json& rest, App& app) {
  definition["instances"].to(app.instances);
  definition["cpus"].to(app.cpus);
  definition["mem"].to(app.mem_mib);
  definition["disk"].to(app.disk_mib);
  definition["gpus"].to(app.gpus);
  definition["role"].to(app.role);
  definition["acceptedResourceRoles"].to(app.accepted_resource_roles);
  definition["constraints"].each([&](const Field& item) { read_constraint(item, app); });
  definition["backoffSeconds"].to(app.backoff);
  definition["backoffFactor"].to(app.backoff_factor);
  definition["maxLaunchDelaySeconds"].to(app.max_launch_delay);
  definition["taskKillGracePeriodSeconds"].to(app.kill_grace_period);
  definition["drainSeconds"].to(app.drain_time);
  constexpr std::pair<std::string_view, bool> kKillSelections[] = {{"YOUNGEST_FIRST", false}, {"OLDEST_FIRST", true}};
  definition["killSelection"].to_one_of(kKillSelections, app.kill_oldest_first);
  bool is_resident = has_persistent_volume(rest);
  read_upgrade_strategy(definition["upgradeStrategy"], is_resident, app);
  read_unreachable_strategy(definition["unreachableStrategy"], is_resident, app);
}

void read_command(const Field& definition, App& app, json& rest) {
  definition["cmd"].to(app.cmd);
  definition["args"].to(app.args);
  read_env(definition["env"], app, rest);
  definition["labels"].to(app.labels);
  definition["user"].to(app.user);
  definition["executor"].to(app.executor);
  read_fetch(definition, app);
  definition["tty"].to(app.tty);
}

void read_versions(const Field& definition, App& app) {
  definition["version"].to(app.version);
  Field info = definition["versionInfo"];
  if (!info.expect_object()) return;
  info["lastScalingAt"].to(app.last_scaling_at);
  info["lastConfigChangeAt"].to(app.last_config_change_at);
}

}  // namespace

App read_app(const DefinitionField& definition, const AppReadOptions& options) {
  App app;
  json rest = json::object();
  if (!definition.expect_object()) return app;
  read_id(definition["id"], options.id_from_path, app);
  read_command(definition, app, rest);
  read_dependencies(definition["dependencies"], app);
  read_networking(definition, options, app, rest);
  read_checks(definition, app);
  for (const char* name : kUnhonoured) {
    if (says_something(definition[name])) rest[name] = definition[name].value();
  }
  read_scheduling(definition, rest, app);
  read_versions(definition, app);
  if (!rest.empty()) app.rest = to_text(rest);
  return app;
}

bool says_something(const DefinitionField& field) {
  if (!field.is_given()) return false;
  const json& value = field.value();
  return !((value.is_object() || value.is_array()) && value.empty());
}

}  // namespace lotse::model
