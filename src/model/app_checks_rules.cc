#include <algorithm>

#include "model/app_rule_set.h"

namespace lotse::model {
namespace {

constexpr double kSecondsMax = 2147483647;  // Marathon's int32
constexpr int kPortMax = 65535;

bool is_mesos(HealthProtocol protocol) {
  return protocol == HealthProtocol::mesos_http || protocol == HealthProtocol::mesos_https ||
         protocol == HealthProtocol::mesos_tcp;
}

void check_health_check(const HealthCheck& check, std::size_t index, std::size_t ports, Broken& broken) {
  auto path = [&](std::string_view member) { return item("/healthChecks", index, member); };
  broken.unless_within(path("gracePeriodSeconds"), check.grace_period.count(), 0, kSecondsMax);
  broken.unless_within(path("timeoutSeconds"), check.timeout.count(), 0, kSecondsMax);
  broken.unless_within(path("delaySeconds"), check.delay.count(), 0, kSecondsMax);
  broken.unless_within(path("intervalSeconds"), check.interval.count(), 0, kSecondsMax);
  // Marathon lets 0 pass and then probes as fast as it can.
  if (check.interval.count() == 0) broken.add(path("intervalSeconds"), "must be greater than 0");
  broken.unless_within(path("maxConsecutiveFailures"), check.max_consecutive_failures, 0);
  if (check.protocol == HealthProtocol::command) {
    if (check.command.empty()) broken.add(path("command"), "must not be empty");
    return;
  }
  if (check.port) broken.unless_within(path("port"), *check.port, 0, kPortMax);
  // With `port` the check needs no index; else the index must be there and address a port.
  bool addresses_a_port = check.port_index
                              ? *check.port_index >= 0 && static_cast<std::size_t>(*check.port_index) < ports
                              : check.port.has_value();
  if (addresses_a_port) return;
  broken.add(item("/healthChecks", index),
             "Health check port indices must address an element of the ports array or container port mappings.");
}

void check_readiness_check(const ReadinessCheck& check, std::size_t index, const std::vector<AppPort>& ports,
                           Broken& broken) {
  auto path = [&](std::string_view member) { return item("/readinessChecks", index, member); };
  broken.unless_within(path("intervalSeconds"), check.interval.count(), 0, kSecondsMax);
  broken.unless_within(path("timeoutSeconds"), check.timeout.count(), 0, kSecondsMax);
  if (check.timeout >= check.interval) {
    broken.add(path("timeoutSeconds"), "got " + number_text(check.timeout.count()) + ", expected less than " +
                                           number_text(check.interval.count()));
  }
  bool is_known =
      std::any_of(ports.begin(), ports.end(), [&](const AppPort& port) { return port.name == check.port_name; });
  if (!is_known) broken.add(path("portName"), "No port definition reference for portName " + check.port_name);
  for (std::size_t at = 0; at < check.ready_statuses.size(); ++at) {
    broken.unless_within(item(path("httpStatusCodesForReady"), at), check.ready_statuses[at], 100, 599);
  }
}

}  // namespace

void check_health(const App& app, Broken& broken) {
  std::vector<AppPort> ports = ports_of(app);
  for (std::size_t index = 0; index < app.health_checks.size(); ++index) {
    if (app.health_checks[index].ip_protocol != "IPv6" || uses_host_network(app)) continue;
    broken.add(item("/healthChecks", index, "ipProtocol"),
               "IPv6 needs host networking: containers have IPv4 addresses");
  }
  for (std::size_t index = 0; index < app.health_checks.size(); ++index) {
    check_health_check(app.health_checks[index], index, ports.size(), broken);
  }
  auto mesos = std::count_if(app.health_checks.begin(), app.health_checks.end(),
                             [](const HealthCheck& check) { return is_mesos(check.protocol); });
  if (mesos > 1) broken.add("/", "AppDefinition can contain at most one Mesos health check");
  if (app.readiness_checks.size() > 1) {
    broken.add("/readinessChecks", "got " + std::to_string(app.readiness_checks.size()) + ", expected 1 or less");
  }
  for (std::size_t index = 0; index < app.readiness_checks.size(); ++index) {
    check_readiness_check(app.readiness_checks[index], index, ports, broken);
  }
}

}  // namespace lotse::model
