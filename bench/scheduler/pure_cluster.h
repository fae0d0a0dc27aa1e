// A scheduler without HTTP: the core, its engine and the store on a real directory, and agents that are function calls.
// For figures of thousands of agents, whose sockets would be what is measured. Agents run everything they are sent,
// and report `running` and then health, each in a report of its own, as real ones do. One loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/server/command_writer.h"
#include "scheduler/server/engine.h"

namespace lotse::bench {

struct ClusterSize {
  int agents = 5000;
  int apps = 1000;
  int instances = 100;  // of each app
  int agent_cpus = 16;
  int deployments_at_once = 20;
};

class PureCluster final : public scheduler::EngineOutput {
 public:
  PureCluster(std::string directory, ClusterSize size);
  ~PureCluster();

  void register_agents();
  void heartbeats();  // one of every agent, with the list of what it runs
  void deploy_all();  // every app, a few deployments at a time, until all their tasks run

  const scheduler::State& state() const { return engine_->state(); }
  const scheduler::StoreStats& store() const { return store_->stats(); }
  std::uint64_t steps() const { return engine_->steps(); }
  std::uint64_t command_bytes() const { return command_bytes_; }  // of launches and kills, as they would be sent

  void send_to_agent(const model::AgentId& agent, const model::AgentCommand& command) override;
  void publish_routes(const model::RouteUpdate& update) override;
  void emit(const scheduler::Emit&) override {}
  void routes_reset() override {}
  void writable_again() override {}

 private:
  struct FakeAgent {
    model::AgentRegistration registration;
    std::uint64_t next_number = 1;
    std::map<model::TaskId, model::TaskState> tasks;
  };
  void answer_launches();
  void deploy_more();
  void run_until(const std::function<bool()>& is_done);
  bool is_deployed() const;

  net::Loop loop_;
  ClusterSize size_;
  std::unique_ptr<scheduler::Store> store_;
  std::unique_ptr<scheduler::Engine> engine_;
  std::map<model::AgentId, FakeAgent> agents_;
  std::vector<std::pair<model::AgentId, model::TaskId>> launched_;
  scheduler::CommandWriter writer_;
  int next_app_ = 0;
  std::uint64_t command_bytes_ = 0, route_bytes_ = 0;
};

model::App bench_app(int number, int instances);
double cpu_seconds();       // of this process so far, all its threads
std::size_t heap_bytes();   // in use
std::string make_folder();  // a new one below $TMPDIR; the caller removes it
void remove_folder(const std::string& path);

}  // namespace lotse::bench
