#include "agent/scheduler_link.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/json_fields.h"
#include "base/log.h"
#include "http/url.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kRegisterRetry = 500ms;  // until the first success, and after a loss
constexpr Duration kReportRetryFirst = 200ms;
constexpr Duration kReportRetryMax = 3s;
constexpr Duration kAnswerTimeout = 5s;
constexpr std::size_t kStatusesPerReport = 500;
constexpr std::size_t kHealthPerReport = 500;

std::string words_of(const http::ClientResponse& answer) {
  std::string message = text_of(nlohmann::json::parse(answer.body, nullptr, false), "message");
  return message.empty() ? fmt::format("the scheduler answered {}", answer.status) : message;
}

}  // namespace

SchedulerLink::SchedulerLink(net::Loop& loop, http::Endpoint scheduler, Duration heartbeat_interval, DataDir& data,
                             Outbox& outbox, Callbacks callbacks)
    : loop_(loop),
      scheduler_(std::move(scheduler)),
      heartbeat_interval_(heartbeat_interval),
      data_(data),
      outbox_(outbox),
      callbacks_(std::move(callbacks)),
      client_(loop),
      heartbeat_timer_(loop.timers(), [this] { register_now(); }),
      report_timer_(loop.timers(), [this] { report(); }),
      report_retry_(kReportRetryFirst) {}

http::ClientRequest SchedulerLink::request(std::string method, std::string_view rest, std::string body) const {
  http::ClientRequest request;
  request.method = std::move(method);
  request.endpoint = scheduler_;
  request.target = "/v1/agents/" + http::percent_encode(data_.id()) + std::string(rest);
  request.timeout = kAnswerTimeout;
  if (!body.empty()) request.fields.emplace_back("Content-Type", "application/json");
  request.body = std::move(body);
  return request;
}

void SchedulerLink::start() { register_now(); }

void SchedulerLink::stop_commands() {
  takes_commands_ = false;
  commands_.reset();
}

void SchedulerLink::register_now() {
  if (registering_) {
    registers_again_ = true;
    return;
  }
  registers_again_ = false;
  registering_ =
      client_.send(request("PUT", "", model::serialize(callbacks_.registration())),
                   [this](Result<http::ClientResponse> answer) { on_registration_answer(std::move(answer)); });
}

void SchedulerLink::on_registration_answer(Result<http::ClientResponse> answer) {
  auto finished = std::move(registering_);  // alive until we return: it is calling us
  heartbeat_timer_.start(heartbeat_interval_);
  if (!answer) {
    ++counters_.registration_failures;
    lose("cannot reach the scheduler: " + describe(answer.error()));
  } else if (answer->status == 409) {
    ++counters_.registration_failures;
    refuse(Problem{"", words_of(*answer)});
  } else if (answer->status != 200) {
    ++counters_.registration_failures;
    lose("cannot register: " + words_of(*answer));
  } else if (auto parsed = model::parse_agent_answer(answer->body); !parsed) {
    ++counters_.registration_failures;
    lose("the answer to our registration makes no sense: " + parsed.error().text());
  } else if (admit(parsed->term, parsed->cluster)) {
    accept_registration(*parsed);
  }
  if (!is_registered_) heartbeat_timer_.start(std::min(kRegisterRetry, heartbeat_interval_));
  if (registers_again_) register_now();
}

void SchedulerLink::accept_registration(const model::AgentAnswer& answer) {
  ++counters_.registrations;
  outbox_.acknowledge(answer.acknowledged);
  last_refusal_.clear();
  if (!std::exchange(is_registered_, true)) {
    log::info("agent", "registered as {} with the scheduler at {}", data_.id(), scheduler_.authority());
    last_loss_.clear();
    report_retry_ = kReportRetryFirst;
  }
  if (!commands_) open_commands();
  report_soon();
  if (!std::exchange(was_registered_, true) && callbacks_.on_registered) callbacks_.on_registered();
}

bool SchedulerLink::admit(std::uint64_t term, const std::string& cluster) {
  auto verdict = data_.admit(term, cluster);
  if (!verdict) {  // what we cannot store we must not obey: after a restart we would obey the old one again
    lose("cannot store the scheduler's term: " + verdict.error().text());
    return false;
  }
  switch (*verdict) {
    case DataDir::Verdict::accepted:
      return true;
    case DataDir::Verdict::fenced:
      refuse(Problem{
          "", fmt::format("the scheduler at {} has term {}, but this agent has already obeyed one of term {}: it "
                          "was replaced, or its data is older than that",
                          scheduler_.authority(), term, data_.term())});
      return false;
    case DataDir::Verdict::other_cluster:
      refuse(
          Problem{"", fmt::format("the scheduler at {} leads the cluster {}, but the data directory {} belongs to the "
                                  "cluster {}; give this agent another one, or remove it",
                                  scheduler_.authority(), cluster, data_.path(), data_.cluster())});
      return false;
  }
  return false;
}

void SchedulerLink::refuse(Problem problem) {
  is_registered_ = false;
  commands_.reset();
  if (std::exchange(last_refusal_, problem.text()) == problem.text()) return;
  log::error("agent", "refused: {}", problem.text());
  if (callbacks_.on_refused) callbacks_.on_refused(problem);
}

// The command stream is left alone: it notices by itself, and may well live on when one heartbeat did not.
void SchedulerLink::lose(const std::string& why) {
  is_registered_ = false;
  if (std::exchange(last_loss_, why) != why) log::warn("agent", "{}; trying again", why);
}

void SchedulerLink::open_commands() {
  if (!takes_commands_) return;
  http::SseSource::Options options;
  options.event_bytes_max = 8 * 1024 * 1024;  // a command carries an app definition
  http::SseListener& listener = *this;
  commands_ = std::make_unique<http::SseSource>(client_, request("GET", "/commands", ""), listener, options);
  commands_->start();
}

void SchedulerLink::on_open() {
  for (const model::TaskId& task : callbacks_.tasks_with_health()) health_to_send_.insert(task);
  register_now();
  report_soon();
}

void SchedulerLink::on_lost(const Problem& why) { log::debug("agent", "command stream: {}", why.text()); }

void SchedulerLink::on_event(const http::SseEvent& event) {
  if (event.type != "command") return;
  auto command = model::parse_agent_command(event.data);
  if (!command) {
    ++counters_.refused_commands;
    log::error("agent", "a command makes no sense: {}", command.error().text());
    return;
  }
  auto verdict = data_.admit(command->term, command->cluster);
  if (verdict && *verdict == DataDir::Verdict::accepted) return take_command(*command);
  ++counters_.refused_commands;
  log::error("agent", "a command of term {} and cluster {} is refused: we are at term {}, cluster {}{}", command->term,
             command->cluster, data_.term(), data_.cluster(), verdict ? "" : "; " + verdict.error().text());
}

void SchedulerLink::take_command(const model::AgentCommand& command) {
  if (!takes_commands_) return;
  ++counters_.commands;
  if (command.launch) callbacks_.on_launch(*command.launch);
  if (command.kill) callbacks_.on_kill(*command.kill);
}

void SchedulerLink::on_status_added() { report_soon(); }

void SchedulerLink::flush_now() {
  if (Done flushed = outbox_.flush(); !flushed) log::error("agent", "a task status waits: {}", flushed.error().text());
  report_soon();
}

void SchedulerLink::on_health_changed(const model::TaskId& task) {
  health_to_send_.insert(task);
  report_soon();
}

void SchedulerLink::report_soon(Duration delay) {
  if (reporting_) return;  // its answer looks for more
  if (report_timer_.is_armed() && report_timer_.deadline() <= loop_.now() + delay) return;
  report_timer_.start(delay);
}

void SchedulerLink::report() {
  if (reporting_) return;
  if (outbox_.needs_flush()) {
    if (Done flushed = outbox_.flush(); !flushed) {  // not on disk: not told, or a crash would give its number twice
      log::error("agent", "task statuses wait: {}", flushed.error().text());
      return retry_report();
    }
  }
  if (!is_registered_) return;  // the next registration that is accepted calls again
  model::StatusReport report;
  report.data_id = data_.data_id();
  report.incarnation = data_.incarnation();
  report.statuses = outbox_.first(kStatusesPerReport);
  while (!health_to_send_.empty() && report.health.size() < kHealthPerReport) {
    auto task = health_to_send_.extract(health_to_send_.begin());
    auto health = callbacks_.health_of(task.value());
    if (health) report.health.push_back(std::move(*health));
    health_sent_.insert(std::move(task.value()));
  }
  if (report.statuses.empty() && report.health.empty()) {
    health_sent_.clear();
    return;
  }
  std::uint64_t last = report.statuses.empty() ? 0 : report.statuses.back().number;
  reporting_ =
      client_.send(request("POST", "/status", model::serialize(report)),
                   [this, last](Result<http::ClientResponse> answer) { on_report_answer(std::move(answer), last); });
}

void SchedulerLink::on_report_answer(Result<http::ClientResponse> answer, std::uint64_t last_sent) {
  auto finished = std::move(reporting_);
  auto parsed = answer && answer->status == 200 ? model::parse_status_answer(answer->body)
                                                : Result<model::StatusAnswer, Problem>(fail(Problem{
                                                      "", answer ? words_of(*answer) : describe(answer.error())}));
  if (!parsed || !admit(parsed->term, "")) {
    ++counters_.report_failures;
    if (!parsed) log::debug("agent", "status report: {}", parsed.error().text());
    health_to_send_.merge(health_sent_);
    health_sent_.clear();
    if (answer && answer->status == 404) register_now();  // a scheduler that has forgotten us
    return retry_report();
  }
  ++counters_.reports;
  health_sent_.clear();
  outbox_.acknowledge(parsed->acknowledged);
  if (parsed->acknowledged < last_sent) return retry_report();
  report_retry_ = kReportRetryFirst;
  report_soon();
}

void SchedulerLink::retry_report() {
  report_timer_.start(report_retry_);
  report_retry_ = std::min(2 * report_retry_, kReportRetryMax);
}

}  // namespace lotse::agent
