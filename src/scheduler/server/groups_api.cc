#include "scheduler/server/groups_api.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "scheduler/server/app_path.h"
#include "scheduler/server/app_view.h"
#include "scheduler/server/apps_api.h"
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

// The name of the group directly below `group` that `app` is in; empty: it is in `group` itself.
std::string child_group(const model::AppId& app, const model::AppId& group) {
  std::size_t start = group == "/" ? 1 : group.size() + 1;
  std::size_t end = app.find('/', start);
  return end == std::string::npos ? std::string{} : app.substr(0, end);
}

// `apps` are all below `group`, in the order of their ids. As deep as an id has segments, which ids bound.
json group_info(const State& state, const model::AppId& group, const std::vector<const App*>& apps,
                const GroupEmbeds& embeds, Now now) {
  json info = {{"id", group}, {"dependencies", json::array()}, {"enforceRole", false}};
  json direct = json::array(), groups = json::array();
  std::map<std::string, std::vector<const App*>> children;
  model::Version version;
  for (const App* app : apps) {
    version = std::max(version, app->current->version);
    std::string child = child_group(app->id, group);
    if (!child.empty()) {
      children[child].push_back(app);
    } else if (embeds.apps) {
      direct.push_back(app_info(state, *app, embeds.of_apps, now));
    }
  }
  if (embeds.groups) {
    for (const auto& [id, below] : children) groups.push_back(group_info(state, id, below, embeds, now));
  }
  info["version"] = version.empty() ? format_timestamp(WallTime{}) : version;
  if (embeds.apps) info["apps"] = std::move(direct);
  if (embeds.groups) info["groups"] = std::move(groups);
  if (embeds.pods) info["pods"] = json::array();
  return info;
}

model::ApiError unknown_group(std::string_view id) {
  return {404, "Group '" + std::string(id) + "' does not exist", {}, "", {}};
}

model::AppId group_in(const http::ServerRequest& request) {
  return request.captures.empty() ? "/" : id_from_path(request.captures.back());
}

}  // namespace

void GroupsApi::add_to(http::Router& router) {
  using http::Responder;
  using http::ServerRequest;
  for (const char* pattern : {"/v2/groups", "/v2/groups/{rest...}"}) {
    router.add("GET", pattern,
               [this](ServerRequest& request, Responder responder) { get(request, std::move(responder)); });
    router.add("DELETE", pattern,
               [this](ServerRequest& request, Responder responder) { remove(request, std::move(responder)); });
    for (const char* method : {"POST", "PUT", "PATCH"}) {
      router.add(method, pattern, [this](ServerRequest&, Responder responder) { refuse_change(std::move(responder)); });
    }
  }
}

std::vector<const App*> GroupsApi::apps_below(const model::AppId& group) const {
  std::vector<const App*> apps;
  for (const auto& [id, app] : engine_.state().apps) {
    if (!app.is_removed && is_below(id, group)) apps.push_back(&app);
  }
  return apps;
}

void GroupsApi::get(const http::ServerRequest& request, http::Responder responder) {
  model::AppId group = group_in(request);
  GroupEmbeds embeds = group_embeds_of(request);
  bool wants_apps = group.ends_with("/apps");  // /v2/groups/{id}/apps; the root's is /v2/groups/apps
  if (wants_apps) group = group.size() == 5 ? "/" : group.substr(0, group.size() - 5);
  std::vector<const App*> apps = apps_below(group);
  if (apps.empty() && group != "/") return respond_error(responder, unknown_group(group));
  if (!wants_apps) {
    return respond_json(responder, 200, group_info(engine_.state(), group, apps, embeds, engine_.now()));
  }
  json list = json::array();
  for (const App* app : apps) list.push_back(app_info(engine_.state(), *app, embeds.of_apps, engine_.now()));
  respond_json(responder, 200, list);
}

void GroupsApi::remove(const http::ServerRequest& request, http::Responder responder) {
  model::AppId group = group_in(request);
  ChangeApps change;
  for (const App* app : apps_below(group)) change.remove.push_back(app->id);
  if (change.remove.empty() && group != "/") return respond_error(responder, unknown_group(group));
  change.force = request.flag("force", false);
  auto waiting = std::make_shared<http::Responder>(std::move(responder));
  engine_.submit(std::move(change), [waiting](const Answer& answer) { respond_deployment(*waiting, answer); });
}

void GroupsApi::refuse_change(http::Responder responder) {
  respond_error(responder,
                {501, "Groups cannot be changed as a whole here; PUT a list of apps to /v2/apps", {}, "", {}});
}

}  // namespace lotse::scheduler
