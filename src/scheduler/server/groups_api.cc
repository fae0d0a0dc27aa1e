#include "scheduler/server/groups_api.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "model/app_id.h"
#include "model/app_json.h"
#include "scheduler/core/groups.h"
#include "scheduler/server/app_path.h"
#include "scheduler/server/app_view.h"
#include "scheduler/server/apps_api.h"
#include "scheduler/server/group_update.h"
#include "scheduler/server/responses.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

struct GroupEmbeds {
  bool apps = true, groups = true, pods = true;  // without any embed: all three
  AppEmbeds of_apps;
};

GroupEmbeds group_embeds_of(const http::ServerRequest& request) {
  std::set<std::string> named;
  for (const auto& [name, value] : request.parameters) {
    if (name == "embed") named.insert(value);
  }
  GroupEmbeds embeds;
  if (!named.empty()) {
    embeds.apps =
        std::any_of(named.begin(), named.end(), [](const auto& name) { return name.starts_with("group.apps"); });
    embeds.groups = named.contains("group.groups");
    embeds.pods = named.contains("group.pods");
  }
  embeds.of_apps = embeds_of(request, "group.apps.");
  return embeds;
}

json group_info(const State& state, const model::AppId& id, const GroupTree& tree, const GroupEmbeds& embeds, Now now) {
  json info = {{"id", id}, {"dependencies", json::array()}, {"enforceRole", false}};
  const GroupNode& node = tree.nodes.at(id);
  if (embeds.apps) {
    info["apps"] = json::array();
    for (const App* app : node.apps) info["apps"].push_back(app_info(state, *app, embeds.of_apps, now));
  }
  if (embeds.groups) {
    info["groups"] = json::array();
    for (const model::AppId& child : node.groups) info["groups"].push_back(group_info(state, child, tree, embeds, now));
  }
  if (embeds.pods) info["pods"] = json::array();
  info["version"] = node.version.empty() ? format_timestamp(WallTime{}) : node.version;
  if (auto known = state.groups.find(id); known != state.groups.end()) {
    info["dependencies"] = known->second.dependencies;
    info["enforceRole"] = known->second.enforce_role;
  }
  return info;
}

// A group as it was: definitions only, since nothing runs in the past.
json snapshot_info(const model::AppId& id, const GroupSnapshot& then, const model::Version& version) {
  json info = {{"id", id},
               {"dependencies", json::array()},
               {"enforceRole", false},
               {"version", version},
               {"apps", json::array()},
               {"groups", json::array()},
               {"pods", json::array()}};
  for (const auto& [app, definition] : then.apps) {
    if (parent_group(app) == id) info["apps"].push_back(model::to_json(*definition));
  }
  for (const auto& [group, known] : then.groups) {
    if (group == id) {
      info["dependencies"] = known.dependencies;
      info["enforceRole"] = known.enforce_role;
    } else if (parent_group(group) == id) {
      info["groups"].push_back(snapshot_info(group, then, known.version));
    }
  }
  return info;
}

model::AppId group_in(const http::ServerRequest& request) {
  return request.captures.empty() ? "/" : id_from_path(request.captures.back());
}

// What follows a group's id in a path: /apps, /versions, /versions/{v}.
struct GroupPath {
  enum class Kind : std::uint8_t { group, apps, versions, version };
  Kind kind = Kind::group;
  model::AppId id;
  model::Version version;
};

GroupPath parse_group_path(const model::AppId& whole) {
  auto head_of = [&](std::size_t end) { return end == 0 ? model::AppId("/") : whole.substr(0, end); };
  const std::size_t last = whole.rfind('/');
  const std::string_view name = std::string_view(whole).substr(last + 1);
  if (name == "apps") return {GroupPath::Kind::apps, head_of(last), {}};
  if (name == "versions") return {GroupPath::Kind::versions, head_of(last), {}};
  constexpr std::string_view kVersions = "/versions";
  if (last >= kVersions.size() && whole.compare(last - kVersions.size(), kVersions.size(), kVersions) == 0) {
    return {GroupPath::Kind::version, head_of(last - kVersions.size()), std::string(name)};
  }
  return {GroupPath::Kind::group, whole, {}};
}

// PUT /v2/groups with an id in the body means that group; below a path the id is only looked at by people.
model::AppId named_group(const json& body, const model::AppId& group) {
  if (group != "/" || !body.is_object() || !body.contains("id") || !body["id"].is_string()) return {};
  auto id = model::resolve_app_id(body["id"].get_ref<const std::string&>());
  return id ? *id : model::AppId();
}

std::shared_ptr<http::Responder> shared(http::Responder responder) {
  return std::make_shared<http::Responder>(std::move(responder));
}

}  // namespace

GroupTree tree_of(const State& state, const model::AppId& top) {
  GroupTree tree;
  GroupNode& root = tree.nodes[top];
  root.version = top == "/" ? state.last_version : model::Version();
  for (const auto& [id, group] : state.groups) {
    if (id != top && !is_below_group(id, top)) continue;
    GroupNode& node = tree.nodes[id];
    node.version = std::max(node.version, group.version);
    if (id != top) tree.nodes[parent_group(id)].groups.insert(id);
  }
  for (const auto& [id, app] : state.apps) {
    if (app.is_removed || !is_below_group(id, top)) continue;
    GroupNode& node = tree.nodes[parent_group(id)];
    node.apps.push_back(&app);
    node.version = std::max(node.version, app.current->version);
  }
  for (auto node = tree.nodes.rbegin(); node != tree.nodes.rend(); ++node) {  // children come before their parents
    if (node->first == top) continue;
    GroupNode& parent = tree.nodes[parent_group(node->first)];
    parent.version = std::max(parent.version, node->second.version);
  }
  return tree;
}

void GroupsApi::add_to(http::Router& router) {
  using Method = void (GroupsApi::*)(const http::ServerRequest&, http::Responder);
  auto add = [this, &router](std::string_view name, Method method) {
    for (const char* pattern : {"/v2/groups", "/v2/groups/{rest...}"}) {
      router.add(name, pattern, [this, method](http::ServerRequest& request, http::Responder responder) {
        (this->*method)(request, std::move(responder));
      });
    }
  };
  add("GET", &GroupsApi::get);
  add("POST", &GroupsApi::create);
  add("PUT", &GroupsApi::update);
  add("PATCH", &GroupsApi::patch);
  add("DELETE", &GroupsApi::remove);
}

std::vector<const App*> GroupsApi::apps_below(const model::AppId& group) const {
  std::vector<const App*> apps;
  for (const auto& [id, app] : engine_.state().apps) {
    if (!app.is_removed && is_below_group(id, group)) apps.push_back(&app);
  }
  return apps;
}

bool GroupsApi::exists(const model::AppId& group) const {
  return group == "/" || engine_.state().groups.contains(group);
}

void GroupsApi::get(const http::ServerRequest& request, http::Responder responder) {
  const GroupPath path = parse_group_path(group_in(request));
  const GroupEmbeds embeds = group_embeds_of(request);
  const State& state = engine_.state();
  if (path.kind == GroupPath::Kind::version) return show_version(path.id, path.version, std::move(responder));
  if (!exists(path.id)) return respond_error(responder, unknown_group(path.id));
  if (path.kind == GroupPath::Kind::versions) {
    return respond_json(responder, 200, json(group_versions(state, path.id)));
  }
  if (path.kind == GroupPath::Kind::group) {
    return respond_json(responder, 200, group_info(state, path.id, tree_of(state, path.id), embeds, engine_.now()));
  }
  json list = json::array();
  for (const App* app : apps_below(path.id)) list.push_back(app_info(state, *app, embeds.of_apps, engine_.now()));
  respond_json(responder, 200, list);
}

void GroupsApi::show_version(const model::AppId& group, const model::Version& version, http::Responder responder) {
  auto then = group_at(engine_.state(), group, version);
  if (!then) {
    return respond_error(responder, {404, "Group '" + group + "' does not exist in version " + version, {}, "", {}});
  }
  respond_json(responder, 200, snapshot_info(group, *then, version));
}

void GroupsApi::create(const http::ServerRequest& request, http::Responder responder) {
  auto body = model::parse_json(request.body);
  if (!body) return respond_error(responder, body.error());
  auto change = creation_of_group(engine_.state(), group_in(request), *body);
  if (!change) return respond_error(responder, change.error());
  change->force = request.flag("force", false);
  const model::AppId id = change->group;
  engine_.submit(std::move(*change), [id, waiting = shared(std::move(responder))](const Answer& answer) {
    respond_deployment(*waiting, answer, 201, {{"Location", id}});
  });
}

void GroupsApi::update(const http::ServerRequest& request, http::Responder responder) {
  if (const GroupPath path = parse_group_path(group_in(request)); path.kind == GroupPath::Kind::version) {
    return submit(request, update_of_group(engine_.state(), path.id, {{"version", path.version}}),
                  std::move(responder));  // marathon-python's way to roll back
  }
  auto body = model::parse_json(request.body);
  if (!body) return respond_error(responder, body.error());
  model::AppId group = group_in(request);
  if (auto named = named_group(*body, group); !named.empty()) group = named;
  submit(request, update_of_group(engine_.state(), group, *body), std::move(responder));
}

// Only enforceRole, of a top-level group.
void GroupsApi::patch(const http::ServerRequest& request, http::Responder responder) {
  auto body = model::parse_json(request.body);
  if (!body) return respond_error(responder, body.error());
  const model::AppId group = group_in(request);
  if (!exists(group)) return respond_error(responder, unknown_group(group));
  const bool is_object = body->is_object();
  if (!is_object || !body->contains("enforceRole") || !(*body)["enforceRole"].is_boolean()) {
    return respond_error(responder, {422, "Invalid JSON", {{"/enforceRole", {"error.path.missing"}}}, "", {}});
  }
  if (body->size() > 1) return respond_error(responder, rule_broken("/", "only enforceRole can be patched"));
  if (group == "/") {
    return respond_error(responder, rule_broken("/enforceRole", "enforceRole can only be set for top-level groups"));
  }
  submit(request, update_of_group(engine_.state(), group, *body), std::move(responder));
}

void GroupsApi::remove(const http::ServerRequest& request, http::Responder responder) {
  const model::AppId group = group_in(request);
  if (!exists(group)) return respond_error(responder, unknown_group(group));
  ChangeApps change;
  change.group = group;
  for (const App* app : apps_below(group)) change.remove.push_back(app->id);
  if (group != "/") {
    change.remove_groups.push_back(group);
  } else {
    for (const auto& [id, known] : engine_.state().groups) change.remove_groups.push_back(id);
  }
  submit(request, std::move(change), std::move(responder));
}

void GroupsApi::submit(const http::ServerRequest& request, Result<ChangeApps, model::ApiError> change,
                       http::Responder responder) {
  if (!change) return respond_error(responder, change.error());
  change->force = request.flag("force", false);
  change->is_dry_run = request.flag("dryRun", false);
  engine_.submit(std::move(*change), [waiting = shared(std::move(responder))](const Answer& answer) {
    const auto* planned = std::get_if<PlannedSteps>(&answer);
    if (planned == nullptr) return respond_deployment(*waiting, answer);
    respond_text(*waiting, 200, "{\"steps\":" + planned->steps_json + "}", "application/json");
  });
}

}  // namespace lotse::scheduler
