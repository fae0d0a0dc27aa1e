// Runs tasks as Docker containers, and knows which containers on this Docker are ours. Keeps itself connected: news of
// a container comes within milliseconds over the event stream; after each connection everything is listed first.
// Owned by the agent; one loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/docker_body.h"
#include "agent/docker_client.h"
#include "agent/docker_events.h"
#include "agent/fetcher.h"
#include "agent/registry_logins.h"
#include "agent/runtime.h"

namespace lotse::agent {

class DockerRuntime final : public Runtime {
 public:
  struct Callbacks {
    std::function<void(const model::TaskId&)> on_news;  // its container changed: look
    // All our containers, at each connection and every minute.
    std::function<void(const std::vector<ListedContainer>&)> on_listed;
    std::function<void()> on_availability;  // problem() changed
  };
  DockerRuntime(net::Loop& loop, const std::string& socket_path, std::function<ContainerContext()> context,
                Fetcher& fetcher, std::string docker_config, std::string data_id, Callbacks callbacks);

  void connect();
  const std::string& problem() const { return problem_; }  // empty: Docker answers
  bool has_listed() const { return has_listed_; }          // at least once
  bool was_tried() const { return was_tried_; }            // the first attempt has succeeded or failed
  std::uint64_t failures() const { return docker_.failures(); }

  Async<Outcome<Observation>> look(model::TaskId task) override;
  Async<Outcome<Unit>> create(model::LaunchTask launch, std::function<void(bool)> on_interruptible) override;
  Async<Outcome<Unit>> start(model::LaunchTask launch) override;
  Async<Outcome<Unit>> stop(model::TaskId task, Duration grace) override;
  Async<Outcome<Unit>> remove(model::TaskId task) override;
  void forget(const model::TaskId& task) override;
  Async<Outcome<CommandResult>> run_command(model::LaunchTask launch, std::string command, Duration timeout) override;
  Async<std::string> log_tail(model::TaskId task, std::size_t bytes_max) override;
  std::unique_ptr<LogFollower> follow_log(const model::TaskId& task, LogCallbacks callbacks) override;

 private:
  Async<Outcome<Unit>> pull(std::string image, std::string sandbox_path);
  void on_up();
  void on_down(const std::string& words);
  void on_event(const DockerEvent& event);
  void list_soon(Duration delay);
  Async<Unit> list();

  net::Loop& loop_;
  std::function<ContainerContext()> context_;  // asked per launch: the cluster is learned late
  Fetcher& fetcher_;
  RegistryLogins logins_;
  std::string data_id_;
  Callbacks callbacks_;
  std::string problem_ = "The Docker daemon was not reached yet";
  bool has_listed_ = false, was_tried_ = false;
  DockerClient docker_;
  net::Timer list_timer_;
  DockerEvents events_;
  Async<Unit> listing_;
};

}  // namespace lotse::agent
