#include "model/app_rules.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "model/app_id.h"
#include "model/app_rule_set.h"
#include "model/constraint_pattern.h"
#include "model/json_text.h"

namespace lotse::model {
namespace {

constexpr double kSecondsMax = 2147483647;  // Marathon's int32
constexpr double kDrainSecondsMax = 24 * 3600;

void check_id(const App& app, Broken& broken) {
  auto resolved = resolve_app_id(app.id);
  if (!resolved) {
    broken.add("/id", resolved.error().what);
  } else if (*resolved != app.id) {
    broken.add("/id", "Path needs to be absolute");
  } else if (is_reserved_last_segment(app.id)) {
    broken.add("/id", "must not end with any of the following reserved keywords: restart, tasks, versions");
  }
}

void check_dependencies(const App& app, Broken& broken) {
  for (std::size_t index = 0; index < app.dependencies.size(); ++index) {
    const AppId& id = app.dependencies[index];
    auto resolved = resolve_app_id(id);
    if (!resolved || *resolved != id) {
      broken.add(item("/dependencies", index), resolved ? "Path needs to be absolute" : resolved.error().what);
    } else if (id == app.id) {
      broken.add(item("/dependencies", index), "an app cannot depend on itself");
    }
  }
}

bool has_image(const App& app) { return app.container && !app.container->image.empty(); }

void check_command(const App& app, Broken& broken) {
  if (app.cmd && app.cmd->empty()) broken.add("/cmd", "must not be empty");
  bool says_cmd = app.cmd.has_value(), says_args = !app.args.empty();
  if ((says_cmd && says_args) || (!says_cmd && !says_args && !has_image(app))) {
    broken.add("/", "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.");
  }
  if (!app.executor.empty() && app.executor != "//cmd") {
    broken.add("/executor", "custom executors are not supported: leave it empty, or say //cmd");
  }
  for (const auto& [name, value] : app.env) {
    if (name.empty() || name.find('=') != std::string::npos || name.find('\0') != std::string::npos) {
      broken.add("/env/" + name, "is not a name that an environment variable can have");
    } else if (value.find('\0') != std::string::npos) {
      broken.add("/env/" + name, "must not contain a NUL character");
    }
  }
}

bool can_be_fetched(std::string_view uri) {
  for (std::string_view start : {"http://", "https://", "file:///", "file://localhost/", "/"}) {
    if (uri.starts_with(start)) return true;
  }
  return false;
}

void check_fetch(const App& app, Broken& broken) {
  for (std::size_t index = 0; index < app.fetch.size(); ++index) {
    const Fetch& fetch = app.fetch[index];
    bool is_uri = !fetch.uri.empty() && std::none_of(fetch.uri.begin(), fetch.uri.end(),
                                                     [](char byte) { return static_cast<unsigned char>(byte) <= ' '; });
    if (!is_uri) {
      broken.add(item("/fetch", index, "uri"), "URI has invalid syntax.");
    } else if (!can_be_fetched(fetch.uri)) {
      broken.add(item("/fetch", index, "uri"), "cannot be fetched: only http://, https:// and file:///path can");
    }
    bool leaves = fetch.dest_path.starts_with('/') || ("/" + fetch.dest_path + "/").find("/../") != std::string::npos;
    if (leaves) broken.add(item("/fetch", index, "destPath"), "must be a path within the sandbox");
  }
}

// The default role, or the top-level group's.
void check_role(const App& app, Broken& broken) {
  if (app.role.empty()) return broken.add("/role", "must not be empty");
  const std::size_t slash = app.id.find('/', 1);
  const std::string top = slash == std::string::npos ? "" : app.id.substr(1, slash - 1);
  if (app.role == "*" || app.role == top) return;
  broken.add("/role", "got " + app.role + ", expected one of: *" + (top.empty() ? "" : ", " + top));
}

void check_resources(const App& app, Broken& broken) {
  broken.unless_within("/instances", app.instances, 0);
  broken.unless_within("/cpus", app.cpus, 0.001);
  broken.unless_within("/mem", app.mem_mib, 0);
  broken.unless_within("/disk", app.disk_mib, 0);
  broken.unless_within("/gpus", app.gpus, 0);
  if (app.gpus > 0) broken.add("/gpus", "gpus are not supported: no agent offers any");
  check_role(app, broken);
  if (app.accepted_resource_roles.empty()) broken.add("/acceptedResourceRoles", "must not be empty");
}

std::optional<int> parse_int(std::string_view text) {
  int number = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool is_literal(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           std::string_view("_/.-").find(byte) != std::string_view::npos;
  });
}

// Marathon's sentence for what is wrong with a constraint's value; empty: nothing.
std::string_view fault_of(const Constraint& constraint) {
  if (constraint.field.empty()) return "illegal constraint specification";
  std::string value = constraint.value.value_or("");
  switch (constraint.op) {
    case ConstraintOperator::unique:
      return constraint.value ? "UNIQUE does not accept a value" : "";
    case ConstraintOperator::cluster:
      return "";
    case ConstraintOperator::group_by: {
      auto groups = parse_int(value);
      return !constraint.value || (groups && *groups > 0)
                 ? ""
                 : "GROUP BY must define an integer value or else no value at all";
    }
    case ConstraintOperator::max_per: {
      auto most = parse_int(value);
      if (!most) return "MAX_PER requires an integer value";
      return *most > 0 ? "" : "MAX_PER below 1 leaves no place for any instance";
    }
    case ConstraintOperator::like:
    case ConstraintOperator::unlike:
      if (value.empty()) return "LIKE and UNLIKE require a non-empty, regular expression value";
      return is_regular_expression(value) ? "" : "is not a valid regular expression";
    case ConstraintOperator::is:
      return is_literal(value) ? ""
                               : "IS only supports Mesos text and float values (see "
                                 "http://mesos.apache.org/documentation/latest/attributes-resources/)";
  }
  return "";
}

void check_constraints(const App& app, Broken& broken) {
  for (std::size_t index = 0; index < app.constraints.size(); ++index) {
    std::string_view fault = fault_of(app.constraints[index]);
    if (!fault.empty()) broken.add(item("/constraints", index), fault);
  }
}

void check_upgrade_strategy(const App& app, Broken& broken) {
  const UpgradeStrategy& strategy = app.upgrade_strategy;
  const std::string minimum = "/upgradeStrategy/minimumHealthCapacity";
  const std::string maximum = "/upgradeStrategy/maximumOverCapacity";
  broken.unless_within(minimum, strategy.minimum_health_capacity, 0, 1);
  broken.unless_within(maximum, strategy.maximum_over_capacity, 0, 1);
  auto single = app.labels.find("MARATHON_SINGLE_INSTANCE_APP");
  if (single == app.labels.end() || single->second != "true") return;
  if (app.instances > 1) broken.add("/", "Single instance app may only have one instance");
  auto expect_zero = [&](const std::string& path, double value) {
    if (value != 0) broken.add(path, "got " + number_text(value) + ", expected 0.0");
  };
  expect_zero(minimum, strategy.minimum_health_capacity);
  expect_zero(maximum, strategy.maximum_over_capacity);
}

void check_times(const App& app, Broken& broken) {
  broken.unless_within("/backoffSeconds", app.backoff.count(), 0, kSecondsMax);
  broken.unless_within("/maxLaunchDelaySeconds", app.max_launch_delay.count(), 0, kSecondsMax);
  broken.unless_within("/backoffFactor", app.backoff_factor, 1);
  if (app.kill_grace_period) {
    broken.unless_within("/taskKillGracePeriodSeconds", app.kill_grace_period->count(), 0, kSecondsMax);
  }
  if (app.upgrade_strategy.progress_deadline) {
    broken.unless_within("/upgradeStrategy/progressDeadlineSeconds", app.upgrade_strategy.progress_deadline->count(), 0,
                         kSecondsMax);
  }
  if (app.drain_time) broken.unless_within("/drainSeconds", app.drain_time->count(), 0, kDrainSecondsMax);
  const UnreachableStrategy& unreachable = app.unreachable_strategy;
  if (unreachable.disabled) return;
  const std::string inactive = "/unreachableStrategy/inactiveAfterSeconds";
  broken.unless_within(inactive, unreachable.inactive_after.count(), 0, kSecondsMax);
  broken.unless_within("/unreachableStrategy/expungeAfterSeconds", unreachable.expunge_after.count(), 0, kSecondsMax);
  if (unreachable.inactive_after > unreachable.expunge_after) {
    broken.add(inactive, "is greater than expungeAfterSeconds");
  }
}

void check_migration_labels(const App& app, Broken& broken) {
  auto text = [&](const char* name) {
    auto label = app.labels.find(name);
    return label == app.labels.end() ? std::string() : label->second;
  };
  std::string version = text("DCOS_MIGRATION_API_VERSION");
  if (version.empty()) return;
  bool complies =
      version == "v1" && !text("DCOS_PACKAGE_FRAMEWORK_NAME").empty() && !text("DCOS_MIGRATION_API_PATH").empty();
  if (complies) return;
  broken.add("/",
             "DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined when using "
             "DCOS_MIGRATION_API_VERSION");
}

}  // namespace

std::optional<ApiError> check_app(const App& app) {
  Broken broken;
  check_id(app, broken);
  check_dependencies(app, broken);
  check_command(app, broken);
  check_fetch(app, broken);
  check_resources(app, broken);
  check_constraints(app, broken);
  check_times(app, broken);
  check_upgrade_strategy(app, broken);
  check_migration_labels(app, broken);
  check_container(app, broken);
  check_networking(app, broken);
  check_health(app, broken);
  check_unsupported(app, broken);
  if (broken.details.empty()) return std::nullopt;
  return ApiError{.status = 422, .message = "Object is not valid", .details = std::move(broken.details)};
}

}  // namespace lotse::model
