// Marathon's placement constraints: which agents may take an app's next task, given where its others run, and which
// tasks should go first when it shrinks. Pure.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/agent_protocol.h"
#include "model/app.h"

namespace lotse::scheduler {

// The value of a constraint's field on an agent: "hostname"/"@hostname" its host, "@zone"/"@region" or a name: its
// attribute. nullopt: it has none.
std::optional<std::string> field_value(const model::AgentRegistration& agent, std::string_view field);

// One app's constraints while tasks are placed. Only tasks of the configuration to be launched count: a rolling
// replacement with UNIQUE would otherwise wait for itself.
class ConstraintCheck {
 public:
  ConstraintCheck(const std::vector<model::Constraint>& constraints, int instances);
  ~ConstraintCheck();
  ConstraintCheck(const ConstraintCheck&) = delete;
  ConstraintCheck& operator=(const ConstraintCheck&) = delete;

  void saw(const model::AgentRegistration& agent);  // an agent of the cluster: GROUP_BY without a number counts these
  void placed(const model::AgentRegistration& agent);  // a task runs, or will run, there
  bool allows(const model::AgentRegistration& agent) const;
  // How many tasks the agent's GROUP_BY groups have: an emptier group is better.
  int crowding(const model::AgentRegistration& agent) const;
  bool empty() const;
  bool groups() const;  // is there a GROUP_BY?

 private:
  struct Rule;
  std::vector<Rule> rules_;
};

// Of `places` (the agents of an app's tasks, one for each), the indices in the order in which they should go so that
// the groups of every GROUP_BY stay even; `preferred` is the order among equals (indices). Without GROUP_BY:
// `preferred`.
std::vector<std::size_t> evening_order(const std::vector<model::Constraint>& constraints,
                                       const std::vector<const model::AgentRegistration*>& places,
                                       const std::vector<std::size_t>& preferred, std::size_t wanted);

}  // namespace lotse::scheduler
