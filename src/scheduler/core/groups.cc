#include "scheduler/core/groups.h"

#include <algorithm>
#include <utility>

#include "scheduler/core/records.h"

namespace lotse::scheduler {
namespace {

constexpr std::size_t kHistoryDefinitionsMax = 20'000;  // kept over all earlier changes: a few dozen megabytes

std::string prefix_of(std::string_view group) { return group == "/" ? "/" : std::string(group) + "/"; }

// The first app below `group`, after the change.
std::optional<model::AppId> app_below(const State& state, const AppsAfter& after, const model::AppId& group) {
  const std::string prefix = prefix_of(group);
  for (auto app = state.apps.lower_bound(prefix); app != state.apps.end() && app->first.starts_with(prefix); ++app) {
    if (definition_after(state, after, app->first) != nullptr) return app->first;
  }
  for (auto app = after.lower_bound(prefix); app != after.end() && app->first.starts_with(prefix); ++app) {
    if (app->second != nullptr) return app->first;
  }
  return std::nullopt;
}

void add_apps_below(const State& state, const AppsAfter& after, const model::AppId& group,
                    std::set<model::AppId>& apps) {
  const std::string prefix = prefix_of(group);
  for (auto app = state.apps.lower_bound(prefix); app != state.apps.end() && app->first.starts_with(prefix); ++app) {
    if (definition_after(state, after, app->first) != nullptr) apps.insert(app->first);
  }
  for (auto app = after.lower_bound(prefix); app != after.end() && app->first.starts_with(prefix); ++app) {
    if (app->second != nullptr) apps.insert(app->first);
  }
}

const std::vector<model::AppId>* group_dependencies(const State& state, const std::vector<PutGroup>& groups,
                                                    const model::AppId& id) {
  for (const PutGroup& put : groups) {
    if (put.id == id && put.dependencies) return &*put.dependencies;
  }
  auto known = state.groups.find(id);
  return known == state.groups.end() ? nullptr : &known->second.dependencies;
}

model::ApiError clash(const model::AppId& id) {
  return {.status = 422,
          .message = "Object is not valid",
          .details = {{"/id", {"Groups and Applications may not have the same identifier: " + id}}}};
}

std::optional<model::ApiError> refuse_app_above(const State& state, const AppsAfter& after, const model::AppId& id) {
  for (model::AppId above = parent_group(id); above != "/"; above = parent_group(above)) {
    if (definition_after(state, after, above) != nullptr) return clash(above);
  }
  return std::nullopt;
}

// The tree while one change is made to it: remembers how each group was, and writes what differs.
class TreeEditor {
 public:
  TreeEditor(Turn& turn, RootChange& undo) : turn_(turn), undo_(undo) {}

  Group& make(const model::AppId& id) {
    for (model::AppId above = parent_group(id); above != "/"; above = parent_group(above)) {
      if (!turn_.state.groups.contains(above)) touch(above);
    }
    return touch(id);
  }
  Group& touch(const model::AppId& id) {
    remember(id);
    Group& group = turn_.state.groups[id];
    group.version = undo_.version;
    return group;
  }
  void erase(const model::AppId& id) {
    if (!turn_.state.groups.contains(id)) return;
    remember(id);
    turn_.state.groups.erase(id);
  }
  void save() {
    for (const auto& [id, before] : undo_.groups) {
      auto group = turn_.state.groups.find(id);
      auto& record = turn_.records[group_key(id)];
      record.reset();
      if (group != turn_.state.groups.end()) record = encode_group(id, group->second);
    }
  }

 private:
  void remember(const model::AppId& id) {
    auto known = turn_.state.groups.find(id);
    undo_.groups.try_emplace(id, known == turn_.state.groups.end() ? std::nullopt : std::optional(known->second));
  }
  Turn& turn_;
  RootChange& undo_;
};

void trim_history(Turn& turn) {
  auto& history = turn.state.history;
  std::size_t definitions = 0;
  for (const auto& [version, change] : history) definitions += change.apps.size();
  const std::size_t most = std::max<std::size_t>(1, turn.state.settings.versions_max);
  while (history.size() > 1 && (history.size() > most || definitions > kHistoryDefinitionsMax)) {
    definitions -= history.begin()->second.apps.size();
    turn.records[history_key(history.begin()->first)] = std::nullopt;
    history.erase(history.begin());
  }
}

bool is_in(std::string_view id, std::string_view group) { return id == group || is_below_group(id, group); }

}  // namespace

model::AppId parent_group(std::string_view id) {
  const auto slash = id.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(id.substr(0, slash));
}

bool is_below_group(std::string_view id, std::string_view group) {
  if (group == "/") return id.size() > 1;
  return id.size() > group.size() && id.starts_with(group) && id[group.size()] == '/';
}

Definition definition_after(const State& state, const AppsAfter& after, const model::AppId& id) {
  if (auto changed = after.find(id); changed != after.end()) return changed->second;
  const App* found = find_app(state, id);
  return found == nullptr ? nullptr : found->current;
}

std::vector<model::AppId> dependencies_after(const State& state, const AppsAfter& after,
                                             const std::vector<PutGroup>& groups, const model::AppId& id) {
  const Definition definition = definition_after(state, after, id);
  if (definition == nullptr) return {};
  std::set<model::AppId> result;
  auto add = [&](const model::AppId& dependency) {
    if (definition_after(state, after, dependency) != nullptr) result.insert(dependency);
    add_apps_below(state, after, dependency, result);
  };
  for (const model::AppId& dependency : definition->dependencies) add(dependency);
  for (model::AppId group = parent_group(id);; group = parent_group(group)) {
    if (const auto* dependencies = group_dependencies(state, groups, group)) {
      for (const model::AppId& dependency : *dependencies) add(dependency);
    }
    if (group == "/") break;
  }
  result.erase(id);
  return {result.begin(), result.end()};
}

std::optional<model::ApiError> refuse_id_clash(const State& state, const AppsAfter& after,
                                               const std::vector<PutGroup>& groups) {
  for (const auto& [id, definition] : after) {
    if (definition == nullptr) continue;
    if (app_below(state, after, id)) return clash(id);
    if (auto error = refuse_app_above(state, after, id)) return error;
  }
  for (const PutGroup& group : groups) {
    if (definition_after(state, after, group.id) != nullptr) return clash(group.id);
    if (auto error = refuse_app_above(state, after, group.id)) return error;
  }
  return std::nullopt;
}

void edit_groups(Turn& turn, const AppsAfter& before, const AppsAfter& after, const GroupEdit& edit,
                 const model::Version& version) {
  RootChange undo{.version = version, .apps = before};
  TreeEditor tree(turn, undo);
  for (const model::AppId& id : edit.remove) {
    std::vector<model::AppId> gone;
    for (const auto& [group, known] : turn.state.groups) {
      if (is_in(group, id)) gone.push_back(group);
    }
    for (const model::AppId& group : gone) tree.erase(group);
    if (parent_group(id) != "/" && turn.state.groups.contains(parent_group(id))) tree.touch(parent_group(id));
  }
  for (const PutGroup& put : edit.put) {
    if (put.id == "/") continue;
    Group& group = tree.make(put.id);
    if (put.dependencies) group.dependencies = *put.dependencies;
    if (put.enforce_role) group.enforce_role = *put.enforce_role;
  }
  for (const auto& [id, definition] : after) {
    const model::AppId parent = parent_group(id);
    if (definition != nullptr) {
      tree.erase(id);  // a group without apps gives way to an app of its name
      if (parent != "/" && !turn.state.groups.contains(parent)) tree.make(parent);
    } else if (turn.state.groups.contains(parent)) {
      tree.touch(parent);  // nothing that is left in it tells that it changed
    }
  }
  tree.save();
  if (undo.apps.empty() && undo.groups.empty()) return;
  turn.records[history_key(version)] = encode_root_change(undo);
  turn.state.history[version] = std::move(undo);
  trim_history(turn);
}

std::optional<GroupSnapshot> group_at(const State& state, const model::AppId& group, const model::Version& version) {
  if (!state.history.contains(version)) return std::nullopt;
  AppsAfter apps;
  std::map<model::AppId, std::optional<Group>> groups;
  for (auto change = state.history.rbegin(); change != state.history.rend() && change->first > version; ++change) {
    for (const auto& [id, definition] : change->second.apps) apps[id] = definition;
    for (const auto& [id, known] : change->second.groups) groups[id] = known;
  }
  GroupSnapshot snapshot;
  for (const auto& [id, app] : state.apps) {
    if (is_below_group(id, group) && !app.is_removed && !apps.contains(id)) snapshot.apps[id] = app.current;
  }
  for (const auto& [id, definition] : apps) {
    if (is_below_group(id, group) && definition != nullptr) snapshot.apps[id] = definition;
  }
  for (const auto& [id, known] : state.groups) {
    if (is_in(id, group) && !groups.contains(id)) snapshot.groups[id] = known;
  }
  for (const auto& [id, known] : groups) {
    if (is_in(id, group) && known) snapshot.groups[id] = *known;
  }
  if (group != "/" && !snapshot.groups.contains(group)) return std::nullopt;
  return snapshot;
}

std::vector<model::Version> group_versions(const State& state, const model::AppId& group) {
  std::vector<model::Version> versions;
  for (auto change = state.history.rbegin(); change != state.history.rend(); ++change) {
    const RootChange& undo = change->second;
    const bool concerns =
        std::any_of(undo.apps.begin(), undo.apps.end(), [&](const auto& app) { return is_in(app.first, group); }) ||
        std::any_of(undo.groups.begin(), undo.groups.end(),
                    [&](const auto& known) { return is_in(known.first, group); });
    if (!concerns) continue;
    // Nothing is newer than a change that made it.
    const auto made = undo.groups.find(group);
    versions.push_back(change->first);
    if (made != undo.groups.end() && !made->second) break;
  }
  return versions;
}

}  // namespace lotse::scheduler
