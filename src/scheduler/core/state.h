// All that the scheduler knows, in memory. The shell owns one, changes it only through step(), and reads it freely for
// GETs on the same thread. The durable half is rebuilt from records (records.h); what is not stored says so.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/agent_protocol.h"
#include "model/app.h"
#include "model/routes.h"
#include "model/task.h"
#include "scheduler/core/deployment_plan.h"
#include "scheduler/core/timers.h"

namespace lotse::scheduler {

struct Settings {  // design section 3, "Times"
  Duration proxy_lease = std::chrono::seconds(10);
  Duration proxy_lease_margin = std::chrono::seconds(2);  // the proxy counts from sending, we from receiving
  Duration agent_suspect_after = std::chrono::seconds(10);
  Duration agent_lost_after = std::chrono::seconds(60);
  Duration drain_deadline =
      std::chrono::seconds(60);  // from the last acknowledgement; label lotse.drainSeconds overrides
  // Longer than the 60 s for which a proxy holds a lost endpoint (P3), or that could meet the port's next owner (P2).
  Duration port_quarantine = std::chrono::seconds(75);
  Duration launch_timeout = std::chrono::minutes(5);  // Marathon's task_launch_timeout: from launched to running
  Duration resend_after = std::chrono::seconds(10);   // a command without effect is sent again
  Duration missing_grace =
      std::chrono::seconds(5);  // a confirmed task the agent does not list: its end may be on its way
  Duration agent_forget_after = std::chrono::hours(24);  // lost for so long, and with no task that may come back
  Duration stable_after = std::chrono::seconds(10);      // a healthy run of this length clears the app's launch delay
  Duration dns_ttl{};  // a task is killed no sooner after it left DNS; 0: there is no DNS
  int service_port_first = 10000, service_port_last = 20000;
  std::size_t versions_max = 50;            // kept per app, besides those in use
  std::size_t deployments_max = 100;        // running at once: 403 beyond
  std::size_t ended_deployments_max = 200;  // of which is known how they ended
};

// Why a task leaves, and how far it is. A task that leaves never comes back.
enum class Leaving : std::uint8_t {
  no,
  draining,  // published as draining; the kill waits for the route barrier
  killing,   // the kill was sent; sent again until a terminal status comes
};

struct Task {
  model::TaskId id;
  model::AppId app;
  Definition definition;  // of the version it runs; never nullptr
  model::AgentId agent;
  std::string host;             // where its ports are reached
  std::vector<int> host_ports;  // one for each of ports_of(*definition); 0: not published
  model::TaskState state =
      model::TaskState::staging;  // staging | starting | running | unreachable; lost: see is_zombie
  bool is_zombie = false;     // expunged while its agent was lost: still holds its resources until the agent says it
                              // is gone. In no app's `tasks`; not to be shown.
  bool is_confirmed = false;  // some word of the agent showed that the launch arrived
  std::uint64_t confirmed_incarnation = 0;  // of the agent, then
  bool is_published = false;  // its endpoints were in the table at some time: killing it needs the barrier
  Leaving leaving = Leaving::no;
  std::string leaving_reason;
  WallTime staged_at;
  std::string started_at;  // the agent's wall clock, timestamp; empty: not yet
  std::string ip_address;
  std::optional<WallTime> unreachable_since;

  // Health: stored unsynced.
  bool is_ready = false;
  std::optional<bool> alive;
  std::vector<model::HealthResult> results;
  std::optional<bool> readiness_passed;

  // Not stored.
  std::optional<model::ReadinessResult> readiness;  // the last answer to its readiness check
  Instant launched;                                 // or, after a restart or a loss of its agent, seen again
  Instant command_sent;                             // its launch or kill, last
  std::optional<Instant> missing_since;             // confirmed, but not in the agent's list
  std::optional<Instant> unreachable_instant;
  std::optional<Instant> healthy_since;  // running, ready and its checks alive; for the launch delay
  std::uint64_t up_revision = 0;         // of this epoch: since when its endpoints are published `up`; 0: they are not
  std::uint64_t draining_revision = 0;   // of this epoch; 0: not published as draining
  std::optional<Instant> left_dns;       // draining: since when DNS does not tell it
  std::optional<Instant> drain_acknowledged;  // when the last live proxy applied draining_revision
};

struct TaskFailure {  // lastTaskFailure
  model::TaskId task;
  model::TaskState state = model::TaskState::failed;
  std::string message, host, timestamp;
  model::AgentId agent;
  model::Version version;
};

// The launch delay of an app (MARATHON.md section 5). Stored unsynced.
struct Backoff {
  int failures = 0;       // in a row
  Instant until{};        // no launch before
  WallTime until_wall{};  // the same, for people and for the store
};

struct QueueEntry {  // the app waits for instances: GET /v2/queue
  int count = 0;     // instances still to be launched
  WallTime since;
  Definition definition;  // what would be launched
};

struct App {
  model::AppId id;
  Definition current;                             // the target; never nullptr
  model::Version good_version;                    // of its last deployment that succeeded; empty: none has
  bool is_removed = false;                        // deleted, its tasks are being stopped: for the API it does not exist
  std::map<model::Version, Definition> versions;  // with the current one
  std::optional<TaskFailure> last_failure;
  Backoff backoff;
  // Not stored.
  std::set<model::TaskId> tasks;                 // neither terminal nor zombie
  std::map<model::AgentId, int> tasks_on_agent;  // all of `tasks`, counted
  std::string deployment;                        // the running one that locks it; empty: none
  std::optional<QueueEntry> queued;
};

struct EndedDeployment {  // for those who wait for one: which way it went
  std::string id;
  model::Version version;
  bool is_success = false;
  std::string reason;    // of a failure
  std::string rollback;  // the deployment that goes back; empty: none
};

struct Group {
  std::vector<model::AppId> dependencies;  // absolute; of apps or groups. What is below waits for them
  bool enforce_role = false;               // apps below get the top-level group's name as their role
  model::Version version;                  // of the last change to itself, or of what left it
};

struct RootChange {        // what one change replaced, so that the tree before it can be shown and restored
  model::Version version;  // that it made
  std::map<model::AppId, Definition> apps;              // before; nullptr: it did not exist
  std::map<model::AppId, std::optional<Group>> groups;  // before
};

enum class AgentHealth : std::uint8_t {
  live,
  suspect,
  lost
};  // suspect: no new tasks; lost: its tasks are unreachable

struct Resources {  // integers, so that what was taken and given back is even again
  std::int64_t micro_cpus = 0, mem_kib = 0, disk_kib = 0;
  Resources& operator+=(const Resources& other);
  Resources& operator-=(const Resources& other);
  bool operator==(const Resources&) const = default;
};
Resources make_resources(double cpus, double mem_mib, double disk_mib);
Resources resources_of(const model::App& app);

struct Agent;
struct State;
// What an agent has, and what tasks take of it. These keep State::agents_by_free_cpus true.
void set_total(State& state, Agent& agent, const Resources& total);
void take_resources(State& state, Agent& agent, const Resources& resources);
void give_back_resources(State& state, Agent& agent, const Resources& resources);
void forget_resources(State& state, Agent& agent);  // before the agent itself is forgotten

struct PortRelease {  // ports of an ended task, not to be drawn again yet
  model::AppId app;
  std::vector<int> ports;
  WallTime released;
  Instant released_instant;    // after a restart: the start
  std::uint64_t revision = 0;  // of this epoch, that removed its endpoints; every live proxy must have applied it
};

struct Agent {
  model::AgentRegistration registration;  // the last one, without its tasks
  std::uint64_t acknowledged = 0;         // the highest status number committed for registration.data_id
  bool is_draining = false;               // by request: no new tasks, and those it has are replaced elsewhere first
  std::map<model::TaskId, PortRelease> releases;
  // Not stored.
  AgentHealth health = AgentHealth::live;  // after a start suspect, until it is heard or its full time is over
  Instant last_heard;
  std::optional<Instant> listed;             // when this incarnation last said all its tasks
  std::set<model::TaskId> tasks;             // with zombies: whatever holds resources
  Resources total, used;                     // changed by use_resources() and the like only, for the index
  std::optional<std::int64_t> indexed_free;  // its place in State::agents_by_free_cpus
  std::set<int> ports_used;
  std::map<int, model::TaskId> ports_quarantined;  // port -> key of releases
};

struct Proxy {  // one lease: one boot of a proxy
  std::string id, boot;
  // Not stored.
  Instant lease_until;
  std::optional<model::Revision> applied;  // absent: it has not reported yet, and blocks the barrier
  std::set<model::TaskId> pending;
  std::map<model::TaskId, std::uint64_t> in_flight;
  std::string address;
  double requests_per_second = 0;
};
using ProxyKey = std::pair<std::string, std::string>;  // id, boot

struct State {
  Settings settings;
  std::uint64_t term = 0;  // the epoch of routes, too
  std::string cluster;
  std::uint64_t revision = 1;   // of the table; 1: as it was at the start
  model::Version last_version;  // every new one is later
  std::map<model::AppId, App> apps;
  std::map<model::AppId, Group> groups;          // all but "/"
  std::map<model::Version, RootChange> history;  // the last Settings::versions_max changes
  std::set<std::string> callbacks;               // URLs that get every event by POST
  std::map<model::TaskId, Task> tasks;
  std::map<model::AgentId, Agent> agents;
  std::map<std::string, Deployment> deployments;  // running ones, by id; versions order them in time
  std::map<ProxyKey, Proxy> proxies;              // those that hold a lease
  std::deque<EndedDeployment> ended_deployments;  // the last ones, newest at the end. Not stored
  // Not stored: what follows from the rest.
  std::map<model::TaskId, std::vector<model::Endpoint>> table;            // as published in `revision`
  std::set<model::AgentId> draining_agents;                               // agents with `is_draining`
  std::set<std::pair<std::int64_t, model::AgentId>> agents_by_free_cpus;  // micro CPUs that no task has; every agent
  std::set<model::AppId> queue;                                           // apps with `queued`
  std::set<model::TaskId> draining;                                       // tasks with Leaving::draining
  std::map<int, int> service_ports;                                       // port -> how many apps claim it
  Timers timers;
  bool is_fresh = false;         // just restored: the first step looks at everything
  bool is_carried_over = false;  // leases and health are newer than the store: the first step writes them
};

// For the API: nullptr when the app does not exist or is being deleted.
const App* find_app(const State& state, const model::AppId& id);
// For the API: nullptr when unknown or a zombie.
const Task* find_task(const State& state, const model::TaskId& id);

// What the API shows: killing for a task that leaves, else its state.
model::TaskState shown_state(const Task& task);

// running, ready, and its health checks (if it has any) alive: the agent's half of "healthy".
bool is_healthy(const Task& task);
// The other half: every live proxy may send requests to it (design section 4, rule 1). True for a task without ports.
bool is_usable_by_all_proxies(const State& state, const Task& task);

// Why an app's next task finds no place: reason -> number of agents ("InsufficientCpus", "UnfulfilledConstraint", ...).
// Agents where it would fit are counted under "". For GET /v2/queue; walks all agents.
std::map<std::string, int> explain_placement(const State& state, const model::App& app, Instant now);

// The same, agent by agent in the order of their ids; of the first `most`.
std::vector<std::pair<model::AgentId, std::string>> explain_agents(const State& state, const model::App& app,
                                                                   Instant now, std::size_t most);

}  // namespace lotse::scheduler
