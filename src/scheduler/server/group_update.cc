#include "scheduler/server/group_update.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "model/app_id.h"
#include "model/app_json.h"
#include "model/app_rules.h"
#include "scheduler/core/groups.h"
#include "scheduler/server/responses.h"

namespace lotse::scheduler {
namespace {

using model::ApiError;
using nlohmann::json;
using Problems = Result<Unit, ApiError>;

constexpr double kInstancesMax = 1e6;  // a factor may be a slip of the keyboard

ApiError wrong_type(const std::string& path, std::string_view code) {
  return {422, "Invalid JSON", {{path, {std::string(code)}}}, "", {}};
}

bool says(const json& object, const char* key) {
  auto at = object.find(key);
  return at != object.end() && !at->is_null();
}

// Details of something inside a list: "/apps(2)" before each path.
ApiError at(const std::string& place, ApiError error) {
  for (model::ErrorDetail& detail : error.details) detail.path = place + (detail.path == "/" ? "" : detail.path);
  return error;
}

std::string item(const std::string& place, const char* list, std::size_t index) {
  return place + "/" + list + "(" + std::to_string(index) + ")";
}

std::string top_level(const model::AppId& id) { return id.substr(0, id.find('/', 1)); }

// Builds the change while it walks through the body.
class GroupWalk {
 public:
  explicit GroupWalk(const State& state) : state_(state) {}

  Problems group(const model::AppId& id, const json& body, const std::string& place) {
    if (!body.is_object()) return fail(wrong_type(place.empty() ? "/" : place, "error.expected.jsobject"));
    if (says(body, "pods") && !(body["pods"].is_array() && body["pods"].empty())) {
      return fail(rule_broken(place + "/pods", "pods are not supported: use apps"));
    }
    PutGroup put{.id = id};
    if (auto read = settings(put, body, place); !read) return read;
    if (id != "/") change_.put_groups.push_back(put);
    if (says(body, "apps")) {
      if (auto read = apps(id, body["apps"], place); !read) return read;
    }
    if (says(body, "groups")) return groups(id, body["groups"], place);
    return Unit{};
  }
  ChangeApps take() { return std::move(change_); }

 private:
  Problems settings(PutGroup& put, const json& body, const std::string& place) {
    if (says(body, "enforceRole")) {
      if (!body["enforceRole"].is_boolean()) {
        return fail(wrong_type(place + "/enforceRole", "error.expected.jsboolean"));
      }
      put.enforce_role = body["enforceRole"].get<bool>();
      if (*put.enforce_role && parent_group(put.id) != "/") {
        return fail(rule_broken(place + "/enforceRole", "enforceRole can only be set for top-level groups"));
      }
      if (*put.enforce_role) enforced_.insert(put.id);
    }
    if (!says(body, "dependencies")) return Unit{};
    const json& list = body["dependencies"];
    if (!list.is_array()) return fail(wrong_type(place + "/dependencies", "error.expected.jsarray"));
    put.dependencies.emplace();
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string path = item(place, "dependencies", i);
      if (!list[i].is_string()) return fail(wrong_type(path, "error.expected.jsstring"));
      auto id = model::resolve_app_id(list[i].get_ref<const std::string&>(), put.id);
      if (!id) return fail(rule_broken(path, id.error().what));
      put.dependencies->push_back(std::move(*id));
    }
    return Unit{};
  }

  Problems apps(const model::AppId& group, const json& list, const std::string& place) {
    if (!list.is_array()) return fail(wrong_type(place + "/apps", "error.expected.jsarray"));
    std::set<model::AppId> named;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string path = item(place, "apps", i);
      auto app = this->app(group, list[i]);
      if (!app) return fail(at(path, app.error()));
      if (!named.insert(app->id).second) return fail(rule_broken(path + "/id", "is there twice"));
      change_.set.push_back(std::move(*app));
    }
    for_each_app_below(group, [&](const App& app) {
      if (parent_group(app.id) == group && !named.contains(app.id)) change_.remove.push_back(app.id);
    });
    return Unit{};
  }

  Result<model::App, ApiError> app(const model::AppId& group, const json& body) const {
    if (!body.is_object()) return fail(wrong_type("/", "error.expected.jsobject"));
    json definition = body;
    if (says(body, "id") && body["id"].is_string()) {
      auto id = model::resolve_app_id(body["id"].get_ref<const std::string&>(), group);
      if (!id) return fail(rule_broken("/id", id.error().what));
      if (parent_group(*id) != group) {
        return fail(rule_broken("/id", "Identifier is not child of '" + group + "'. Hint: use relative paths."));
      }
      definition["id"] = *id;
    }
    if (says(body, "dependencies") && body["dependencies"].is_array()) {
      for (json& dependency : definition["dependencies"]) {
        if (!dependency.is_string()) continue;
        if (auto id = model::resolve_app_id(dependency.get_ref<const std::string&>(), group)) dependency = *id;
      }
    }
    auto app = model::parse_app(definition);
    if (!app) return app;
    app->version.clear();
    give_role(state_, *app);
    if (app->role == "*" && enforced_.contains(top_level(app->id))) app->role = top_level(app->id).substr(1);
    if (auto error = model::check_app(*app)) return fail(std::move(*error));
    return app;
  }

  Problems groups(const model::AppId& group, const json& list, const std::string& place) {
    if (!list.is_array()) return fail(wrong_type(place + "/groups", "error.expected.jsarray"));
    std::set<model::AppId> named;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string path = item(place, "groups", i);
      if (!list[i].is_object()) return fail(wrong_type(path, "error.expected.jsobject"));
      if (!says(list[i], "id")) return fail(wrong_type(path + "/id", "error.path.missing"));
      if (!list[i]["id"].is_string()) return fail(wrong_type(path + "/id", "error.expected.jsstring"));
      auto id = model::resolve_app_id(list[i]["id"].get_ref<const std::string&>(), group);
      if (!id) return fail(rule_broken(path + "/id", id.error().what));
      if (parent_group(*id) != group) {
        return fail(rule_broken(path + "/id", "Identifier is not child of '" + group + "'. Hint: use relative paths."));
      }
      if (!named.insert(*id).second) return fail(rule_broken(path + "/id", "is there twice"));
      if (auto read = this->group(*id, list[i], path); !read) return read;
    }
    for (const auto& [id, known] : state_.groups) {
      if (parent_group(id) == group && !named.contains(id)) remove(id);
    }
    return Unit{};
  }

  void remove(const model::AppId& group) {
    change_.remove_groups.push_back(group);
    for_each_app_below(group, [&](const App& app) { change_.remove.push_back(app.id); });
  }

  template <typename Visit>
  void for_each_app_below(const model::AppId& group, Visit visit) const {
    const std::string prefix = group == "/" ? "/" : group + "/";
    for (auto app = state_.apps.lower_bound(prefix); app != state_.apps.end() && app->first.starts_with(prefix);
         ++app) {
      if (!app->second.is_removed) visit(app->second);
    }
  }

  const State& state_;
  ChangeApps change_;
  std::set<model::AppId> enforced_;
};

// Is `key` the only thing said, apart from the id?
Problems expect_alone(const json& body, const std::string& key) {
  for (const auto& [name, value] : body.items()) {
    if (name != key && name != "id" && !value.is_null()) {
      return fail(rule_broken("/" + key, "not allowed in conjunction with other properties"));
    }
  }
  return Unit{};
}

Result<ChangeApps, ApiError> scaled(const State& state, const model::AppId& group, const json& factor) {
  if (!factor.is_number()) return fail(wrong_type("/scaleBy", "error.expected.jsnumber"));
  const double by = factor.get<double>();
  if (!(by >= 0)) return fail(rule_broken("/scaleBy", "is less than 0"));
  ChangeApps change;
  for (const auto& [id, app] : state.apps) {
    if (app.is_removed || !is_below_group(id, group)) continue;
    model::App& after = change.set.emplace_back(*app.current);
    const double wanted = std::ceil(after.instances * by - 1e-9);
    if (wanted > kInstancesMax) return fail(rule_broken("/scaleBy", "would be more than a million instances of " + id));
    after.instances = static_cast<int>(wanted);
  }
  return change;
}

Result<ChangeApps, ApiError> rolled_back(const State& state, const model::AppId& group, const json& version) {
  if (!version.is_string()) return fail(wrong_type("/version", "error.expected.jsstring"));
  const auto& wanted = version.get_ref<const std::string&>();
  auto then = group_at(state, group, wanted);
  if (!then) return fail(ApiError{422, "Group " + group + " not available in version " + wanted, {}, "", {}});
  ChangeApps change;
  for (const auto& [id, definition] : then->apps) change.set.push_back(*definition);
  for (const auto& [id, app] : state.apps) {
    if (!app.is_removed && is_below_group(id, group) && !then->apps.contains(id)) change.remove.push_back(id);
  }
  for (const auto& [id, known] : then->groups) {
    change.put_groups.push_back({.id = id, .dependencies = known.dependencies, .enforce_role = known.enforce_role});
  }
  for (const auto& [id, known] : state.groups) {
    if (is_below_group(id, group) && !then->groups.contains(id)) change.remove_groups.push_back(id);
  }
  return change;
}

}  // namespace

void give_role(const State& state, model::App& app) {
  if (app.role != "*") return;
  const std::string top = top_level(app.id);
  auto group = state.groups.find(top);
  if (top != app.id && group != state.groups.end() && group->second.enforce_role) app.role = top.substr(1);
}

Result<ChangeApps, ApiError> update_of_group(const State& state, const model::AppId& group, const json& body) {
  if (!body.is_object()) return fail(wrong_type("/", "error.expected.jsobject"));
  Result<ChangeApps, ApiError> change = ChangeApps{};
  if (says(body, "version")) {
    if (auto alone = expect_alone(body, "version"); !alone) return fail(alone.error());
    change = rolled_back(state, group, body["version"]);
  } else if (says(body, "scaleBy")) {
    if (auto alone = expect_alone(body, "scaleBy"); !alone) return fail(alone.error());
    if (group != "/" && !state.groups.contains(group)) return fail(unknown_group(group));
    change = scaled(state, group, body["scaleBy"]);
  } else {
    GroupWalk walk(state);
    if (auto read = walk.group(group, body, ""); !read) return fail(read.error());
    change = walk.take();
  }
  if (change) change->group = group;
  return change;
}

Result<ChangeApps, ApiError> creation_of_group(const State& state, const model::AppId& parent, const json& body) {
  if (!body.is_object()) return fail(wrong_type("/", "error.expected.jsobject"));
  model::AppId id = parent;
  if (says(body, "id")) {
    if (!body["id"].is_string()) return fail(wrong_type("/id", "error.expected.jsstring"));
    const auto& text = body["id"].get_ref<const std::string&>();
    if (text != "/") {
      auto resolved = model::resolve_app_id(text, parent);
      if (!resolved) return fail(rule_broken("/id", resolved.error().what));
      id = std::move(*resolved);
    }
  }
  if (id == "/" || state.groups.contains(id)) {
    return fail(ApiError{409, "Group " + id + " is already created. Use PUT to change this group.", {}, "", {}});
  }
  if (find_app(state, id) != nullptr) {
    return fail(ApiError{409, "An app with the path " + id + " already exists.", {}, "", {}});
  }
  for (const char* key : {"version", "scaleBy"}) {
    if (says(body, key)) return fail(rule_broken(std::string("/") + key, "only an existing group can be changed so"));
  }
  return update_of_group(state, id, body);
}

}  // namespace lotse::scheduler
