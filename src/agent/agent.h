// The agent of one node: takes launch and kill commands from the scheduler, runs tasks in Docker or as processes,
// watches them, checks their health and reports. This header is all that cli needs; the parts are wired in agent.cc.
// It keeps no promise in memory only: identity, task records and unacknowledged statuses are on its disk, so it may be
// killed at any point and started again. Owned by cli; one loop thread, shared with nobody who must not wait for a
// disk.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/fetch_budget.h"
#include "base/result.h"
#include "model/agent_protocol.h"
#include "net/address.h"

namespace lotse::net {
class Loop;
}

namespace lotse::agent {

enum class RuntimeChoice : std::uint8_t {
  automatic,  // Docker when it answers (now or later), processes for everything with a `cmd` until then
  docker,     // images need Docker; without it their launches fail with Docker's words
  process,    // never talks to Docker
};
Result<RuntimeChoice, Problem> parse_runtime_choice(std::string_view text);  // auto | docker | process

struct AgentOptions {
  std::string scheduler = "http://127.0.0.1:8080";
  std::string listen = "127.0.0.1:5051";      // the agent's own API; port 0 picks one
  std::string host;                           // where tasks are reached; empty: our address towards the scheduler
  std::string data = "/var/lib/lotse/agent";  // locked; made when missing
  std::string id;                             // empty: the stored one, at the first start the host name
  model::PortRange ports;
  std::map<std::string, std::string> attributes;
  RuntimeChoice runtime = RuntimeChoice::automatic;
  std::string docker_socket = "/var/run/docker.sock";
  std::string docker_config;  // config.json with the credentials of registries; read at each pull; empty: none
  std::optional<double> cpus, mem_mib, disk_mib;          // absent: what the machine has
  FetchBounds fetch;                                      // --fetch-*
  bool kill_tasks_on_stop = false;                        // `lotse dev`: stop() ends and removes every task of ours
  Duration stop_deadline = std::chrono::seconds(30);      // stop() with kill_tasks_on_stop gives up after this
  Duration heartbeat_interval = std::chrono::seconds(3);  // registrations; the scheduler suspects us after 10 s
};

struct AgentCallbacks {
  // The scheduler refused us: 409 (another data directory holds our id), another cluster, a lower term. Once per
  // change of the words; the agent goes on trying, its tasks run on. cli may end the program with the text.
  std::function<void(const Problem&)> on_refused;
  std::function<void()> on_registered;  // the first accepted registration
};

class Agent {
 public:
  Agent(net::Loop& loop, AgentOptions options, AgentCallbacks callbacks = {});
  ~Agent();  // at once and without a word: tasks run on and are found again by the next start
  Agent(const Agent&) = delete;

  // Locks the data directory, raises the incarnation, listens, and begins to connect. The Problem is for people: data
  // directory held by another process, address in use, bad option. Returns the API's bound address.
  Result<net::Address, Problem> start();

  // `on_stopped` comes from the loop, once; then destroy the agent. With kill_tasks_on_stop it first ends and removes
  // every task, telling `on_progress` one line each ("stopping 3 tasks", "2 tasks left"); without, it is quick.
  void stop(std::function<void(const std::string&)> on_progress, std::function<void()> on_stopped);

  const std::string& id() const;  // after start()

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lotse::agent
