// The tree of groups that app ids make: which groups exist, what their apps wait for, and how the tree was before
// earlier changes. A group is made with the first app below it, or by name, and stays until it is deleted.
// Reads and changes State for app_changes.cc; plans nothing and starts nothing.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "scheduler/core/turn.h"

namespace lotse::scheduler {

using AppsAfter = std::map<model::AppId, Definition>;  // what a change makes of apps; nullptr: gone

model::AppId parent_group(std::string_view id);                    // "/shop/api" -> "/shop" -> "/"; "/" stays
bool is_below_group(std::string_view id, std::string_view group);  // "/shop/api" is below "/shop" and "/"

// The definition of an app once the change is done; nullptr: there is none.
Definition definition_after(const State& state, const AppsAfter& after, const model::AppId& id);

// What `id` waits for, after the change: its own dependencies and those of the groups it is in. A dependency that names
// a group means every app below it.
std::vector<model::AppId> dependencies_after(const State& state, const AppsAfter& after,
                                             const std::vector<PutGroup>& groups, const model::AppId& id);

// An id names an app or a group, never both: what is wrong with the change in that respect.
std::optional<model::ApiError> refuse_id_clash(const State& state, const AppsAfter& after,
                                               const std::vector<PutGroup>& groups);

struct GroupEdit {
  std::vector<PutGroup> put;
  std::vector<model::AppId> remove;  // with every group below
};
// Makes the tree what the change says, and notes how it was. `apps`: what the change does, as it was before.
void edit_groups(Turn& turn, const AppsAfter& before, const AppsAfter& after, const GroupEdit& edit,
                 const model::Version& version);

// How everything in `group` was at `version`; nullopt: that version is not known (any more), or the group was not.
struct GroupSnapshot {
  std::map<model::AppId, Definition> apps;  // never nullptr
  std::map<model::AppId, Group> groups;     // itself included, unless it is "/"
};
std::optional<GroupSnapshot> group_at(const State& state, const model::AppId& group, const model::Version& version);
// The versions at which something in `group` changed, newest first.
std::vector<model::Version> group_versions(const State& state, const model::AppId& group);

}  // namespace lotse::scheduler
