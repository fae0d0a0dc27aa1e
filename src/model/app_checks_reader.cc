#include <nlohmann/json.hpp>

#include "model/app_reader.h"

namespace lotse::model {
namespace {

using Field = DefinitionField;

void read_health_check(const Field& field, App& app) {
  HealthCheck check;
  if (!field.expect_object()) return;
  Field command = field["command"];
  if (command.expect_object()) {
    command["value"].required().to(check.command);
    check.protocol = HealthProtocol::command;
  }
  field["protocol"].to_one_of(kHealthProtocols, check.protocol);
  field["path"].to(check.path);
  field["portIndex"].to(check.port_index);
  field["port"].to(check.port);
  field["gracePeriodSeconds"].to(check.grace_period);
  field["intervalSeconds"].to(check.interval);
  field["timeoutSeconds"].to(check.timeout);
  field["delaySeconds"].to(check.delay);
  field["maxConsecutiveFailures"].to(check.max_consecutive_failures);
  field["ignoreHttp1xx"].to(check.ignore_http_1xx);
  bool is_ipv6 = false;
  constexpr std::pair<std::string_view, bool> kIpProtocols[] = {{"IPv4", false}, {"IPv6", true}};
  field["ipProtocol"].to_one_of(kIpProtocols, is_ipv6);
  check.ip_protocol = is_ipv6 ? "IPv6" : "IPv4";
  if (check.protocol != HealthProtocol::command && !check.port && !check.port_index) check.port_index = 0;
  app.health_checks.push_back(std::move(check));
}

void read_readiness_check(const Field& field, App& app) {
  ReadinessCheck check;
  if (!field.expect_object()) return;
  field["name"].to(check.name);
  bool is_https = false;
  constexpr std::pair<std::string_view, bool> kProtocols[] = {{"HTTP", false}, {"HTTPS", true}};
  field["protocol"].to_one_of(kProtocols, is_https);
  check.protocol = is_https ? "HTTPS" : "HTTP";
  field["path"].to(check.path);
  field["portName"].to(check.port_name);
  field["intervalSeconds"].to(check.interval);
  field["timeoutSeconds"].to(check.timeout);
  field["httpStatusCodesForReady"].to(check.ready_statuses);
  if (check.ready_statuses.empty()) check.ready_statuses = {200};
  field["preserveLastResponse"].to(check.preserve_last_response);
  app.readiness_checks.push_back(std::move(check));
}

}  // namespace

void read_checks(const DefinitionField& definition, App& app) {
  definition["healthChecks"].each([&](const Field& item) { read_health_check(item, app); });
  definition["readinessChecks"].each([&](const Field& item) { read_readiness_check(item, app); });
}

}  // namespace lotse::model
