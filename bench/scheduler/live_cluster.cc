#include "bench/scheduler/live_cluster.h"

#include <algorithm>
#include <future>

#include "base/check.h"
#include "bench/scheduler/pure_cluster.h"
#include "model/app_json.h"

namespace lotse::bench {
namespace {

constexpr Duration kHeartbeat = std::chrono::seconds(3);
constexpr std::size_t kConnectionsMax = 256;
constexpr int kDeploysAtOnce = 32;

}  // namespace

LiveAgent::LiveAgent(LiveCluster& cluster, int number) : cluster_(cluster) {
  registration_.id = "node-" + std::to_string(number);
  registration_.data_id = "data-" + registration_.id;
  registration_.incarnation = 1;
  registration_.host = "10.0.0." + std::to_string(number + 1);
  registration_.api = registration_.host + ":5051";
  registration_.cpus = 128;
  registration_.mem_mib = 256 * 1024;
  registration_.disk_mib = 1024 * 1024;
  registration_.has_tasks = true;
  registration_.runtime = "process";
}

void LiveAgent::beat() {
  model::AgentRegistration seen = registration_;
  for (const auto& [task, app] : tasks_) seen.tasks.push_back({task, model::TaskState::running});
  cluster_.send("PUT", "/v1/agents/" + seen.id, model::serialize(seen), [this](const http::ClientResponse& answer) {
    CHECK(answer.status == 200);
    if (stream_ == nullptr) follow();
  });
}

void LiveAgent::follow() {
  http::ClientRequest request = cluster_.request("GET", "/v1/agents/" + registration_.id + "/commands");
  request.fields.emplace_back("Accept", "text/event-stream");
  stream_ = cluster_.client().stream(std::move(request), *this);
}

void LiveAgent::on_body(std::string_view bytes) {
  model::StatusReport running, health;
  const bool is_stream = parser_.feed(bytes, [&](const http::SseEvent& event) {
    if (event.type != "command") return;
    auto command = model::parse_agent_command(event.data);
    CHECK(command);
    take(*command, running, health);
  });
  CHECK(is_stream);
  if (!running.statuses.empty()) post(std::move(running));
  if (!health.health.empty()) post(std::move(health));
}

void LiveAgent::take(const model::AgentCommand& command, model::StatusReport& running, model::StatusReport& health) {
  auto say = [&](const model::TaskId& task, model::TaskState state) {
    running.statuses.push_back({.number = next_number_++,
                                .task = task,
                                .state = state,
                                .time = "2026-01-01T00:00:00.000Z",
                                .ip_address = "172.17.0.2"});
  };
  if (command.launch && tasks_.emplace(command.launch->task, command.launch->app.id).second) {
    say(command.launch->task, model::TaskState::running);
    health.health.push_back({.task = command.launch->task, .is_ready = true, .alive = true});
  } else if (command.kill) {
    const bool was_there = tasks_.erase(command.kill->task) > 0;
    say(command.kill->task, was_there ? model::TaskState::killed : model::TaskState::lost);
  }
}

void LiveAgent::report_health(const model::TaskId& task, bool alive) {
  model::StatusReport report;
  report.health.push_back({.task = task, .is_ready = true, .alive = alive});
  post(std::move(report));
}

void LiveAgent::post(model::StatusReport report) {
  report.data_id = registration_.data_id;
  report.incarnation = registration_.incarnation;
  cluster_.send("POST", "/v1/agents/" + registration_.id + "/status", model::serialize(report),
                [](const http::ClientResponse& answer) { CHECK(answer.status == 200); });
}

void LiveProxy::follow() {
  http::ClientRequest request = cluster_.request("GET", "/v1/routes?proxy=bench&boot=one");
  request.fields.emplace_back("Accept", "text/event-stream");
  stream_ = cluster_.client().stream(std::move(request), *this);
}

void LiveProxy::on_body(std::string_view bytes) {
  bool has_news = false;
  const bool is_stream = parser_.feed(bytes, [&](const http::SseEvent& event) {
    if (event.type == "snapshot") {
      auto chunk = model::parse_snapshot_chunk(event.data);
      CHECK(chunk);
      applied_ = {chunk->term, chunk->revision};
      has_snapshot_ |= chunk->last;
    } else if (event.type == "update") {
      auto update = model::parse_route_update(event.data);
      CHECK(update);
      applied_.number = update->to;
      if (on_update) on_update(*update);
    } else {
      return;
    }
    has_news = true;
  });
  CHECK(is_stream);
  if (has_news && has_snapshot_) report();
}

void LiveProxy::report() {
  model::ProxyReport report;
  report.boot = "one";
  report.term = applied_.epoch;
  report.applied = applied_;
  cluster_.send("PUT", "/v1/proxies/bench", model::serialize(report));
}

LiveCluster::LiveCluster(std::string directory, int agents)
    : client_(loop_, {.idle_connections_max = kConnectionsMax}), heartbeat_(loop_.timers(), [this] { beat(); }) {
  std::promise<net::Address> started;
  thread_ = std::thread([this, &started, directory = std::move(directory)] {
    net::Loop loop;
    scheduler_loop_ = &loop;
    scheduler::SchedulerOptions options;
    options.listen = "127.0.0.1:0";
    options.data = directory;
    scheduler_ = std::make_unique<scheduler::Scheduler>(loop, std::move(options));
    auto address = scheduler_->start();
    CHECK(address);
    started.set_value(*address);
    loop.run();
    scheduler_.reset();
  });
  const net::Address address = started.get_future().get();
  endpoint_.host = address.ip();
  endpoint_.port = address.port();
  for (int i = 0; i < agents; ++i) agents_.push_back(std::make_unique<LiveAgent>(*this, i));
  beat();
  run_until([this] { return calls_.empty(); });
  proxy_.follow();
  run_until([this] { return proxy_.has_snapshot() && calls_.empty(); });
}

LiveCluster::~LiveCluster() {
  calls_.clear();
  agents_.clear();
  scheduler_loop_->stop();
  thread_.join();
}

void LiveCluster::beat() {
  heartbeat_.start(kHeartbeat);
  for (auto& agent : agents_) agent->beat();
  if (proxy_.has_snapshot()) proxy_.report();
}

http::ClientRequest LiveCluster::request(std::string method, std::string target, std::string body) const {
  http::ClientRequest request;
  request.method = std::move(method);
  request.endpoint = endpoint_;
  request.target = std::move(target);
  request.body = std::move(body);
  if (!request.body.empty()) request.fields.emplace_back("Content-Type", "application/json");
  return request;
}

void LiveCluster::send(std::string method, std::string target, std::string body, OnAnswer on_answer) {
  const std::uint64_t id = next_call_++;
  auto call = client_.send(request(std::move(method), std::move(target), std::move(body)),
                           [this, id, on_answer = std::move(on_answer)](const Result<http::ClientResponse>& answer) {
                             CHECK(answer);
                             loop_.defer([done = std::shared_ptr<http::Call>(std::move(calls_.at(id)))] {});
                             calls_.erase(id);
                             if (on_answer) on_answer(*answer);
                           });
  calls_.emplace(id, std::move(call));
}

http::ClientResponse LiveCluster::fetch(std::string method, std::string target, std::string body) {
  std::optional<http::ClientResponse> got;
  send(std::move(method), std::move(target), std::move(body),
       [&](const http::ClientResponse& answer) { got = answer; });
  run_until([&] { return got.has_value(); });
  return std::move(*got);
}

void LiveCluster::run_until(const std::function<bool()>& is_done) {
  while (!is_done()) loop_.run_once();
}

std::size_t LiveCluster::tasks() const {
  std::size_t count = 0;
  for (const auto& agent : agents_) count += agent->tasks().size();
  return count;
}

// No more deployments at once than are allowed: being refused and asking again would be what is measured.
void LiveCluster::deploy(int apps, int instances) {
  int sent = 0, answered = 0;
  auto running = [&] { return static_cast<int>(tasks()) / instances; };
  run_until([&] {
    for (; sent < apps && sent - std::min(answered, running()) < kDeploysAtOnce; ++sent) {
      const model::App app = bench_app(sent, instances);
      send("PUT", "/v2/apps" + app.id, model::serialize_app(app), [&](const http::ClientResponse& answer) {
        CHECK(answer.status == 201);
        ++answered;
      });
    }
    return answered == apps && running() == apps;
  });
  settle();
}

void LiveCluster::settle() {
  while (fetch("GET", "/v2/deployments").body != "[]") {}
}

}  // namespace lotse::bench
