#include "agent/health_monitor.h"

#include <algorithm>

#include "net/awaitables.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;
using model::HealthProtocol;

constexpr Duration kPortInterval = 50ms;
constexpr Duration kPortPatience = 5s;  // it may never listen; then it is as ready as it will be
constexpr Duration kPortTimeout = 500ms;
constexpr Duration kReadinessEarly = 500ms;

Duration seconds_to_duration(model::Seconds seconds, Duration least) {
  double count = std::clamp(seconds.count(), 0.0, 1e7);
  return std::max(std::chrono::duration_cast<Duration>(model::Seconds(count)), least);
}

}  // namespace

HealthMonitor::HealthMonitor(net::Loop& loop, Prober& prober, Runtime& runtime, Subject subject,
                             std::function<void()> on_changed)
    : loop_(loop),
      prober_(prober),
      runtime_(runtime),
      subject_(std::move(subject)),
      on_changed_(std::move(on_changed)) {
  const model::App& app = subject_.launch.app;
  const model::TaskHealth& known = subject_.known;
  for (std::size_t i = 0; i < app.health_checks.size(); ++i) {
    states_.emplace_back(app.health_checks[i], subject_.running_since);
    if (i < known.results.size()) states_.back().restore(known.results[i]);
    targets_.push_back(target_of_check(subject_.launch, app.health_checks[i], subject_.container_ip, subject_.host));
  }
  ports_accept_ = !known.task.empty() && known.is_ready;
  if (!app.readiness_checks.empty()) readiness_passed_ = known.readiness_passed.value_or(false);
}

void HealthMonitor::start() {
  for (std::size_t i = 0; i < states_.size(); ++i) watchers_.push_back(watch_check(i));
  if (states_.empty() && !ports_accept_) watchers_.push_back(watch_ports());
  if (readiness_passed_ == false) watchers_.push_back(watch_readiness());
  for (auto& watcher : watchers_) watcher.start();
}

model::TaskHealth HealthMonitor::health() const {
  model::TaskHealth health;
  health.task = subject_.launch.task;
  health.is_ready = states_.empty() ? ports_accept_
                                    : std::all_of(states_.begin(), states_.end(),
                                                  [](const HealthState& state) { return state.has_succeeded(); });
  health.alive = alive_of(states_);
  if (std::any_of(states_.begin(), states_.end(), [](const auto& state) { return state.has_result(); })) {
    for (const HealthState& state : states_) health.results.push_back(state.result());
  }
  health.readiness_passed = readiness_passed_;
  health.wants_kill = std::any_of(states_.begin(), states_.end(), [](const auto& state) { return state.wants_kill(); });
  return health;
}

Async<Unit> HealthMonitor::watch_check(std::size_t index) {
  Duration delay = states_[index].first_delay();
  Duration early = delay;
  for (;;) {
    net::Sleep sleep(loop_, delay);
    co_await sleep;
    auto probing = probe(index);
    ProbeResult result = co_await probing;
    HealthState& state = states_[index];
    Now now = loop_.clock().both();
    if (!result && result.error().connect_code) targets_[index].on_connect_failed(*result.error().connect_code);
    bool has_changed = result ? state.on_success(now) : state.on_failure(now, result.error().cause);
    if (has_changed) on_changed_();
    early = std::min(2 * early, state.next_delay());  // from the first probe on, ever slower up to the usual pace
    delay = state.has_succeeded() ? state.next_delay() : early;
  }
}

Async<ProbeResult> HealthMonitor::probe(std::size_t index) {
  const model::HealthCheck& check = subject_.launch.app.health_checks[index];
  Duration timeout = states_[index].timeout();
  if (check.protocol == HealthProtocol::command) {
    auto running = prober_.command(runtime_, subject_.launch, check.command, timeout);
    ProbeResult result = co_await running;
    co_return result;
  }
  if (targets_[index].is_empty())
    co_return fail(ProbeFailure{"the check addresses no port of this task", std::nullopt});
  ProbeAddress address = targets_[index].current();
  bool is_tcp = check.protocol == HealthProtocol::tcp || check.protocol == HealthProtocol::mesos_tcp;
  auto probing = is_tcp ? prober_.tcp(address, timeout) : prober_.http(address, check.path.value_or("/"), timeout);
  ProbeResult result = co_await probing;
  co_return result;
}

Async<Unit> HealthMonitor::watch_ports() {
  std::vector<ProbeTarget> waiting = targets_of_published_ports(subject_.launch, subject_.container_ip, subject_.host);
  Instant deadline = subject_.running_since + kPortPatience;
  while (!waiting.empty() && loop_.now() < deadline) {
    auto probing = prober_.tcp(waiting.back().current(), kPortTimeout);
    ProbeResult result = co_await probing;
    if (result) {
      waiting.pop_back();
      continue;
    }
    if (result.error().connect_code) waiting.back().on_connect_failed(*result.error().connect_code);
    net::Sleep sleep(loop_, kPortInterval);
    co_await sleep;
  }
  ports_accept_ = true;
  on_changed_();
  co_return Unit{};
}

Async<Unit> HealthMonitor::watch_readiness() {
  const model::ReadinessCheck& check = subject_.launch.app.readiness_checks.front();
  std::vector<model::AppPort> ports = model::ports_of(subject_.launch.app);
  auto named = std::find_if(ports.begin(), ports.end(), [&](const auto& port) { return port.name == check.port_name; });
  ProbeTarget target = target_of_port(subject_.launch, static_cast<std::size_t>(named - ports.begin()),
                                      subject_.container_ip, subject_.host);
  Duration interval = seconds_to_duration(check.interval, 100ms), timeout = seconds_to_duration(check.timeout, 100ms);
  while (!target.is_empty()) {
    auto asking = prober_.http_status(target.current(), check.path, timeout);
    auto status = co_await asking;
    if (!status && status.error().connect_code) target.on_connect_failed(*status.error().connect_code);
    const std::vector<int>& ready = check.ready_statuses;
    if (status && std::find(ready.begin(), ready.end(), *status) != ready.end()) {
      readiness_passed_ = true;
      on_changed_();
      co_return Unit{};
    }
    net::Sleep sleep(loop_, std::min(interval, kReadinessEarly));
    co_await sleep;
  }
  co_return Unit{};
}

}  // namespace lotse::agent
