#include "tests/scheduler/server/cluster_fixture.h"

namespace lotse::scheduler {

FakeAgent::FakeAgent(HttpPeer& peer, std::string id) : sender_(peer) {
  registration.id = id;
  registration.data_id = "data-of-" + id;
  registration.incarnation = 1;
  registration.host = "10.0.0.1";
  registration.api = "10.0.0.1:5051";
  registration.cpus = 4;
  registration.mem_mib = 4096;
  registration.disk_mib = 10'000;
  registration.has_tasks = true;
}

int FakeAgent::register_once() {
  registration.tasks.clear();
  for (const auto& [task, launch] : running) registration.tasks.push_back({task, model::TaskState::running});
  auto answer = sender_.peer().fetch("PUT", "/v1/agents/" + registration.id, model::serialize(registration));
  if (answer.status == 200) {
    auto parsed = model::parse_agent_answer(answer.body);
    EXPECT_TRUE(parsed) << answer.body;
    if (parsed) {
      registration.term = parsed->term;
      registration.cluster = parsed->cluster;
      next_number_ = std::max(next_number_, parsed->acknowledged + 1);
    }
  }
  return answer.status;
}

void FakeAgent::connect() {
  seen_ = 0;
  stream_ = sender_.peer().follow("/v1/agents/" + registration.id + "/commands");
}

void FakeAgent::work() {
  for (; stream_ != nullptr && seen_ < stream_->events().size(); ++seen_) {
    auto command = model::parse_agent_command(stream_->events()[seen_].data);
    ASSERT_TRUE(command) << stream_->events()[seen_].data;
    commands.push_back(*command);
    if (!starts_tasks) continue;
    if (command->launch && !running.contains(command->launch->task)) {
      running[command->launch->task] = *command->launch;
      report(command->launch->task, model::TaskState::running);
      report_health(command->launch->task, are_tasks_healthy);
    } else if (command->kill) {
      bool was_running = running.erase(command->kill->task) > 0;
      report(command->kill->task, was_running ? model::TaskState::killed : model::TaskState::lost);
    }
  }
}

void FakeAgent::report(const model::TaskId& task, model::TaskState state, std::string message) {
  model::StatusReport report;
  model::TaskStatus status;
  status.number = next_number_++;
  status.task = task;
  status.state = state;
  status.message = std::move(message);
  status.time = "2026-01-01T00:00:00.000Z";
  status.ip_address = "172.17.0.2";
  report.statuses.push_back(std::move(status));
  post(std::move(report));
}

void FakeAgent::report_health(const model::TaskId& task, bool alive) {
  model::StatusReport report;
  model::TaskHealth health;
  health.task = task;
  health.is_ready = alive;
  auto found = running.find(task);
  if (found != running.end() && !found->second.app.health_checks.empty()) {
    health.alive = alive;
    model::HealthResult result;
    result.alive = alive;
    result.first_success = alive ? "2026-01-01T00:00:01.000Z" : "";
    health.results.push_back(result);
  }
  report.health.push_back(std::move(health));
  post(std::move(report));
}

void FakeAgent::post(model::StatusReport report) {
  report.data_id = registration.data_id;
  report.incarnation = registration.incarnation;
  sender_.send("POST", "/v1/agents/" + registration.id + "/status", model::serialize(report),
               [this](const http::ClientResponse& answer) {
                 auto parsed = model::parse_status_answer(answer.body);
                 if (answer.status == 200 && parsed) {
                   acknowledged = std::max(acknowledged, parsed->acknowledged);
                 } else {
                   ++refused_reports;
                 }
               });
}

FakeProxy::FakeProxy(HttpPeer& peer, std::string id) : sender_(peer), id_(std::move(id)), boot_("boot-of-" + id_) {}

void FakeProxy::connect() {
  seen_ = 0;
  has_snapshot = false;
  stream_ = sender_.peer().follow("/v1/routes?proxy=" + id_ + "&boot=" + boot_);
}

void FakeProxy::work() {
  if (!applies || stream_ == nullptr) return;
  bool has_news = false;
  for (; seen_ < stream_->events().size(); ++seen_) {
    const http::SseEvent& event = stream_->events()[seen_];
    if (event.type == "snapshot") {
      auto chunk = model::parse_snapshot_chunk(event.data);
      ASSERT_TRUE(chunk);
      if (chunk->index == 0) table.clear();
      for (const auto& endpoint : chunk->set) table[endpoint.task] = endpoint;
      applied = {chunk->term, chunk->revision};
      has_snapshot |= chunk->last;
    } else {
      auto update = model::parse_route_update(event.data);
      ASSERT_TRUE(update);
      ASSERT_EQ(update->from, applied.number);
      for (const auto& gone : update->gone) table.erase(gone.task);
      for (const auto& endpoint : update->set) table[endpoint.task] = endpoint;
      applied.number = update->to;
    }
    has_news = true;
  }
  if (has_news && has_snapshot) report();
}

void FakeProxy::report() {
  model::ProxyReport report;
  report.boot = boot_;
  report.term = applied.epoch;
  report.applied = applied;
  for (const auto& [task, count] : in_flight) report.draining.push_back({task, count});
  sender_.send("PUT", "/v1/proxies/" + id_, model::serialize(report), [this](const http::ClientResponse& answer) {
    ++(answer.status == 200 ? reports_answered : reports_refused);
  });
}

void ClusterTest::start() {
  options_.listen = "127.0.0.1:0";
  options_.data = data_.path();
  options_.version = "9.9.9";
  scheduler_ = std::make_unique<Scheduler>(loop_, options_);
  auto address = scheduler_->start();
  ASSERT_TRUE(address) << address.error().text();
  address_ = *address;
  peer_ = std::make_unique<HttpPeer>(loop_, address_);
}

void ClusterTest::stop() {
  agents_.clear();
  proxies_.clear();
  peer_.reset();
  scheduler_.reset();
}

FakeAgent& ClusterTest::add_agent(const std::string& id) {
  auto agent = std::make_unique<FakeAgent>(*peer_, id);
  EXPECT_EQ(agent->register_once(), 200);
  agent->connect();
  agents_.push_back(std::move(agent));
  return *agents_.back();
}

FakeProxy& ClusterTest::add_proxy(const std::string& id) {
  auto proxy = std::make_unique<FakeProxy>(*peer_, id);
  proxy->connect();
  proxies_.push_back(std::move(proxy));
  FakeProxy& added = *proxies_.back();
  EXPECT_TRUE(wait_until([&] { return added.has_snapshot && added.reports_answered > 0; }));
  return added;
}

bool ClusterTest::wait_until(const std::function<bool()>& is_done) {
  return run_until(loop_, [&] {
    for (auto& agent : agents_) agent->work();
    for (auto& proxy : proxies_) proxy->work();
    return is_done();
  });
}

bool ClusterTest::wait_until_deployed() {
  Instant end = loop_.clock().now() + kPatience;
  while (loop_.clock().now() < end) {
    bool is_idle = wait_until([] { return true; });  // lets everybody work
    if (is_idle && peer_->get("/v2/deployments").empty()) return true;
  }
  return false;
}

nlohmann::json ClusterTest::put_app(const std::string& id, const nlohmann::json& definition, int status) {
  http::ClientResponse answer = peer_->fetch("PUT", "/v2/apps" + id, definition.dump());
  EXPECT_EQ(answer.status, status) << answer.body;
  return json_of(answer);
}

}  // namespace lotse::scheduler
