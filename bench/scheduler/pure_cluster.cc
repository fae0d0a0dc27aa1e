#include "bench/scheduler/pure_cluster.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <filesystem>

#include "base/check.h"

namespace lotse::bench {

using scheduler::AgentRegistered;
using scheduler::AgentReported;
using scheduler::ChangeApps;

PureCluster::PureCluster(std::string directory, ClusterSize size) : size_(size) {
  scheduler::StoreRecords records;
  auto store = scheduler::Store::open(loop_, {.directory = std::move(directory)}, records);
  CHECK(store);
  store_ = std::move(*store);
  scheduler::Settings settings;
  settings.agent_suspect_after = settings.agent_lost_after = std::chrono::hours(1);  // they are silent while we measure
  auto state = scheduler::restore(records, store_->term(), store_->cluster(), settings, loop_.clock().both());
  CHECK(state);
  engine_ = std::make_unique<scheduler::Engine>(loop_, *store_, std::move(*state), settings);
  engine_->set_output(*this);
  engine_->start();
}

PureCluster::~PureCluster() {
  engine_.reset();
  store_.reset();
}

void PureCluster::run_until(const std::function<bool()>& is_done) {
  while (!is_done()) loop_.run_once();
}

void PureCluster::register_agents() {
  for (int i = 0; i < size_.agents; ++i) {
    FakeAgent agent;
    model::AgentRegistration& seen = agent.registration;
    seen.id = "node-" + std::to_string(i);
    seen.data_id = "data-" + seen.id;
    seen.incarnation = 1;
    seen.host = "10." + std::to_string(i / 65536) + "." + std::to_string(i / 256 % 256) + "." + std::to_string(i % 256);
    seen.api = seen.host + ":5051";
    seen.cpus = size_.agent_cpus;
    seen.mem_mib = 64 * 1024;
    seen.disk_mib = 1024 * 1024;
    seen.attributes = {{"rack", "r" + std::to_string(i % 50)}, {"zone", "z" + std::to_string(i % 3)}};
    engine_->submit(AgentRegistered{0, seen});
    agents_[seen.id] = std::move(agent);
  }
  run_until([this] { return engine_->waiting() == 0; });
}

void PureCluster::heartbeats() {
  for (auto& [id, agent] : agents_) {
    model::AgentRegistration seen = agent.registration;
    seen.has_tasks = true;
    for (const auto& [task, state] : agent.tasks) seen.tasks.push_back({task, state});
    engine_->submit(AgentRegistered{0, std::move(seen)});
  }
  run_until([this] { return engine_->waiting() == 0; });
}

void PureCluster::deploy_all() {
  next_app_ = 0;
  deploy_more();
  run_until([this] { return next_app_ == size_.apps && is_deployed(); });
}

bool PureCluster::is_deployed() const {
  return state().deployments.empty() && launched_.empty() && engine_->waiting() == 0;
}

void PureCluster::deploy_more() {
  while (next_app_ < size_.apps && static_cast<int>(state().deployments.size()) < size_.deployments_at_once) {
    ChangeApps change;
    change.set.push_back(bench_app(next_app_++, size_.instances));
    engine_->submit(std::move(change), [](const scheduler::Answer& answer) {
      CHECK(std::holds_alternative<scheduler::DeploymentResult>(answer));
    });
  }
}

void PureCluster::send_to_agent(const model::AgentId& agent, const model::AgentCommand& command) {
  command_bytes_ += writer_.text_of(command).size();
  if (!command.launch) return;
  if (launched_.empty()) loop_.defer([this] { answer_launches(); });
  launched_.emplace_back(agent, command.launch->task);
}

void PureCluster::publish_routes(const model::RouteUpdate& update) { route_bytes_ += model::serialize(update).size(); }

void PureCluster::answer_launches() {
  for (const auto& [id, task] : std::exchange(launched_, {})) {
    FakeAgent& agent = agents_.at(id);
    agent.tasks[task] = model::TaskState::running;
    model::StatusReport status{.data_id = agent.registration.data_id, .incarnation = 1};
    status.statuses.push_back({.number = agent.next_number++,
                               .task = task,
                               .state = model::TaskState::running,
                               .time = format_timestamp(loop_.clock().wall()),
                               .ip_address = "172.17.0.2"});
    engine_->submit(AgentReported{0, id, std::move(status)});
    model::StatusReport health{.data_id = agent.registration.data_id, .incarnation = 1};
    health.health.push_back({.task = task, .is_ready = true, .alive = true});
    engine_->submit(AgentReported{0, id, std::move(health)});
  }
  deploy_more();
}

model::App bench_app(int number, int instances) {
  model::App app;
  app.id = "/bench/group-" + std::to_string(number / 50) + "/app-" + std::to_string(number);
  app.cmd = "exec /usr/local/bin/server --port $PORT0";
  app.instances = instances;
  app.cpus = 0.1;
  app.mem_mib = 64;
  app.env = {{"JAVA_OPTS", "-Xmx48m"}, {"STAGE", "production"}};
  app.labels = {{"owner", "team-" + std::to_string(number % 20)}, {"HAPROXY_GROUP", "external"}};
  app.port_definitions = {model::PortDefinition{.name = "http"}};
  app.health_checks = {model::HealthCheck{.path = "/health", .port_index = 0}};
  return app;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::size_t heap_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::string make_folder() {
  std::string path = std::filesystem::temp_directory_path() / "lotse-bench-XXXXXX";
  CHECK(::mkdtemp(path.data()) != nullptr);
  return path;
}

void remove_folder(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

}  // namespace lotse::bench
