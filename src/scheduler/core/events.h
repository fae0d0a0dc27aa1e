// What may happen to the scheduler: the inputs of step(). Values only. A `Token` names whoever waits for the answer
// (an HTTP request of the shell); 0: nobody waits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model/agent_protocol.h"
#include "model/app.h"
#include "model/routes.h"

namespace lotse::scheduler {

using Token = std::uint64_t;

// A group made or changed by name. What is not said stays as it is.
struct PutGroup {
  model::AppId id;
  std::optional<std::vector<model::AppId>> dependencies;  // absolute; of apps or groups
  std::optional<bool> enforce_role;
};

// One change of the root group: whole, checked definitions (no version yet), removals and restarts, one deployment.
struct ChangeApps {
  Token token = 0;
  std::vector<model::App> set;
  std::vector<model::AppId> create_only;  // ids of `set` that must not exist yet (POST): 409 otherwise
  std::vector<model::AppId> remove;
  std::vector<model::AppId> restart;  // restart even where nothing differs
  bool force = false;
  std::vector<PutGroup> put_groups;
  std::vector<model::AppId> remove_groups;  // with those below; their apps are in `remove`
  model::AppId group;                       // whose change this is, for group_change_success; empty: the apps' parent
  bool is_dry_run = false;                  // only say what would be done
};
struct KillTasks {  // DELETE tasks; wipe has no meaning without persistent volumes and acts as a kill
  Token token = 0;
  std::vector<model::TaskId> tasks;
  bool scale = false;  // also lower `instances`: a deployment
  bool force = false;
};
struct CancelDeployment {
  Token token = 0;
  std::string deployment;
  bool force = false;  // true: only stop; false: a new deployment back to the state before
};
struct ResetDelay {
  Token token = 0;
  model::AppId app;
};

struct SetCallback {  // a URL that wants every event by POST, or does not any more
  Token token = 0;
  std::string url;
  bool is_wanted = true;
};

struct DrainAgent {  // no new tasks for it, and those it has move away; or not any more
  Token token = 0;
  model::AgentId agent;
  bool is_wanted = true;
};

struct AgentRegistered {
  Token token = 0;
  model::AgentRegistration registration;
};
struct AgentConnected {
  model::AgentId agent;
};  // its command stream (re)opened: send what is unconfirmed again
struct AgentReported {
  Token token = 0;
  model::AgentId agent;
  model::StatusReport report;
};

struct ProxyJoined {
  std::string proxy, boot;
};  // GET /v1/routes: the lease is taken before the snapshot is cut
struct ProxyReported {
  Token token = 0;
  std::string proxy;
  model::ProxyReport report;
};

struct Tick {};  // the time named by the last WakeAt has come (or any other time: harmless)

// DNS tells what revision `revision` of this epoch has, and nothing that it took out. Only where there is DNS.
struct DnsFollowed {
  std::uint64_t revision = 0;
};

using Event =
    std::variant<ChangeApps, KillTasks, CancelDeployment, ResetDelay, SetCallback, DrainAgent, AgentRegistered,
                 AgentConnected, AgentReported, ProxyJoined, ProxyReported, DnsFollowed, Tick>;

}  // namespace lotse::scheduler
