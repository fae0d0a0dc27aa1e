#include "agent/prober.h"

#include <fmt/core.h>

#include "agent/tcp_connect.h"
#include "http/client_async.h"
#include "http/message.h"

namespace lotse::agent {
namespace {

http::Client::Options client_options() {
  http::Client::Options options;
  options.idle_connections_max = 0;  // each probe shows that a new connection works, as a client's first would
  options.user_agent = "lotse health check";
  return options;
}

// Failures that mean no connection came about. A timeout may be either: the app hangs, or the address is a dead end.
std::optional<Errc> connect_code(Errc code) {
  switch (code) {
    case Errc::refused:
    case Errc::unreachable:
    case Errc::timed_out:
    case Errc::permission_denied:
      return code;
    default:
      return std::nullopt;
  }
}

ProbeFailure failure_from(const ProbeAddress& address, const Error& error) {
  return {fmt::format("{}:{}: {}", address.ip, address.port, to_string(error.code)), connect_code(error.code)};
}

}  // namespace

Prober::Prober(net::Loop& loop) : loop_(loop), slots_(loop, kProbesMax), client_(loop, client_options()) {}

Async<ProbeResult> Prober::tcp(ProbeAddress address, Duration timeout) {
  Slots::Acquire acquire(slots_);
  Slots::Permit permit = co_await acquire;
  ++probes_;
  TcpConnect connect(loop_, address, timeout);
  Result<Unit> connected = co_await connect;
  if (connected) co_return Unit{};
  ++failures_;
  co_return fail(failure_from(address, connected.error()));
}

Async<Result<int, ProbeFailure>> Prober::http_status(ProbeAddress address, std::string path, Duration timeout) {
  Slots::Acquire acquire(slots_);
  Slots::Permit permit = co_await acquire;
  ++probes_;
  http::ClientRequest request;
  request.endpoint = http::Endpoint{.host = address.ip, .port = address.port, .unix_path = {}};
  request.target = path.starts_with('/') ? path : "/" + path;
  request.timeout = timeout;
  request.body_bytes_max = 1024 * 1024;  // who answers more than that to a health check has answered
  http::Fetch fetch(client_, std::move(request));
  Result<http::ClientResponse> answer = co_await fetch;
  if (!answer) {
    ++failures_;
    co_return fail(failure_from(address, answer.error()));
  }
  co_return answer->status;
}

Async<ProbeResult> Prober::http(ProbeAddress address, std::string path, Duration timeout) {
  auto asking = http_status(address, path, timeout);
  auto status = co_await asking;
  if (!status) co_return fail(status.error());
  if (*status >= 200 && *status < 400) co_return Unit{};
  ++failures_;
  co_return fail(ProbeFailure{fmt::format("{} {} from http://{}:{}{}", *status, http::reason_of(*status), address.ip,
                                          address.port, path.starts_with('/') ? path : "/" + path),
                              std::nullopt});
}

Async<ProbeResult> Prober::command(Runtime& runtime, model::LaunchTask launch, std::string command, Duration timeout) {
  Slots::Acquire acquire(slots_);
  Slots::Permit permit = co_await acquire;
  ++probes_;
  auto running = runtime.run_command(std::move(launch), std::move(command), timeout);
  Outcome<CommandResult> result = co_await running;
  if (result && result->exit_code == 0) co_return Unit{};
  ++failures_;
  if (!result) co_return fail(ProbeFailure{"command: " + result.error().words, std::nullopt});
  std::string cause = fmt::format("command: exit code {}", result->exit_code);
  if (!result->output.empty()) cause += ": " + result->output.substr(0, 200);
  co_return fail(ProbeFailure{std::move(cause), std::nullopt});
}

std::optional<Problem> unsupported_check(const model::App& app) {
  for (std::size_t i = 0; i < app.health_checks.size(); ++i) {
    model::HealthProtocol protocol = app.health_checks[i].protocol;
    if (protocol == model::HealthProtocol::https || protocol == model::HealthProtocol::mesos_https) {
      return Problem{fmt::format("healthChecks({})", i),
                     "this agent cannot check over HTTPS; use HTTP, TCP or COMMAND"};
    }
  }
  for (const model::ReadinessCheck& check : app.readiness_checks) {
    if (check.protocol == "HTTPS") {
      return Problem{"readinessChecks(0)", "this agent cannot check over HTTPS; use HTTP"};
    }
  }
  return std::nullopt;
}

}  // namespace lotse::agent
