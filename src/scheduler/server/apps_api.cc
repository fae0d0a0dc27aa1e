#include "scheduler/server/apps_api.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>

#include "model/app_json.h"
#include "scheduler/server/label_selector.h"
#include "scheduler/server/responses.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

AppPath path_of(const http::ServerRequest& request) {
  return request.captures.empty() ? AppPath{} : parse_app_path(request.captures.back());
}

bool contains_ignoring_case(std::string_view text, std::string_view part) {
  auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

std::string_view allowed_on(AppPathKind kind) {
  switch (kind) {
    case AppPathKind::all:
      return "GET, POST, PUT, PATCH";
    case AppPathKind::app:
      return "GET, PUT, PATCH, DELETE";
    case AppPathKind::tasks:
      return "GET, DELETE";
    case AppPathKind::task:
      return "DELETE";
    case AppPathKind::restart:
      return "POST";
    default:
      return "GET";
  }
}

}  // namespace

AppEmbeds embeds_of(const http::ServerRequest& request, std::string_view prefix) {
  AppEmbeds embeds;
  for (const auto& [name, value] : request.parameters) {
    if (name != "embed") continue;
    std::string_view what = value;
    if (what.starts_with(prefix)) {
      what.remove_prefix(prefix.size());
    } else if (prefix == "apps." && what.starts_with("app.")) {
      what.remove_prefix(4);
    } else {
      continue;
    }
    embeds.tasks |= what == "tasks" || what == "failures";
    embeds.last_task_failure |= what == "lastTaskFailure" || what == "failures";
    embeds.readiness |= what == "readiness";
    embeds.task_stats |= what == "taskStats";
  }
  return embeds;
}

bool is_below(std::string_view app, std::string_view group) {
  if (group == "/") return true;
  return app.size() > group.size() && app.starts_with(group) && app[group.size()] == '/';
}

void AppsApi::add_to(http::Router& router) {
  using Method = void (AppsApi::*)(http::ServerRequest&, http::Responder);
  auto add = [this, &router](std::string_view name, Method method) {
    auto handler = [this, method](http::ServerRequest& request, http::Responder responder) {
      (this->*method)(request, std::move(responder));
    };
    router.add(name, "/v2/apps", handler);
    router.add(name, "/v2/apps/{rest...}", handler);
  };
  add("GET", &AppsApi::get);
  add("POST", &AppsApi::post);
  add("PUT", &AppsApi::put_or_patch);
  add("PATCH", &AppsApi::put_or_patch);
  add("DELETE", &AppsApi::remove);
}

void AppsApi::get(http::ServerRequest& request, http::Responder responder) {
  AppPath path = path_of(request);
  switch (path.kind) {
    case AppPathKind::all:
      return list(request, std::move(responder));
    case AppPathKind::app:
      return show(request, path.id, std::move(responder));
    case AppPathKind::below:
      return list_below(request, path.id, std::move(responder));
    case AppPathKind::tasks:
      return tasks_.list_of_app(request, path.id, std::move(responder));
    case AppPathKind::below_tasks:
      return tasks_.list_below(path.id, std::move(responder));
    case AppPathKind::versions:
      return list_versions(path.id, std::move(responder));
    case AppPathKind::version:
      return show_version(path.id, path.item, std::move(responder));
    default:
      return respond_method_not_allowed(responder, allowed_on(path.kind));
  }
}

void AppsApi::post(http::ServerRequest& request, http::Responder responder) {
  AppPath path = path_of(request);
  if (path.kind == AppPathKind::all) return changes_.create(request, std::move(responder));
  if (path.kind == AppPathKind::restart) return changes_.restart(request, path.id, std::move(responder));
  respond_method_not_allowed(responder, allowed_on(path.kind));
}

void AppsApi::put_or_patch(http::ServerRequest& request, http::Responder responder) {
  AppPath path = path_of(request);
  if (path.kind == AppPathKind::all) return changes_.update_list(request, std::move(responder));
  if (path.kind == AppPathKind::app) return changes_.update(request, path.id, std::move(responder));
  respond_method_not_allowed(responder, allowed_on(path.kind));
}

void AppsApi::remove(http::ServerRequest& request, http::Responder responder) {
  AppPath path = path_of(request);
  if (path.kind == AppPathKind::app) return changes_.remove(request, path.id, std::move(responder));
  if (path.kind == AppPathKind::tasks) return tasks_.kill_of_app(request, path.id, std::move(responder));
  if (path.kind == AppPathKind::task) return tasks_.kill_one(request, path.id, path.item, std::move(responder));
  respond_method_not_allowed(responder, allowed_on(path.kind));
}

void AppsApi::list(const http::ServerRequest& request, http::Responder responder) {
  std::optional<LabelSelector> selector;
  if (auto text = request.parameter("label"); text && !text->empty()) {
    auto parsed = LabelSelector::parse(*text);
    if (!parsed) return respond_error(responder, {400, "Invalid label selector: " + parsed.error().what, {}, "", {}});
    selector = std::move(*parsed);
  }
  auto cmd = request.parameter("cmd"), id_part = request.parameter("id");
  AppEmbeds embeds = embeds_of(request, "apps.");
  auto is_wanted = [&](const App& app) {
    if (id_part && !contains_ignoring_case(app.id, *id_part)) return false;
    if (cmd && !contains_ignoring_case(app.current->cmd.value_or(""), *cmd)) return false;
    return !selector || selector->matches(app.current->labels);
  };
  respond_apps("apps", embeds, is_wanted, std::move(responder));
}

template <typename IsWanted>
void AppsApi::respond_apps(std::string_view name, const AppEmbeds& embeds, IsWanted is_wanted,
                           http::Responder responder) {
  model::JsonWriter out;
  out.begin_object();
  out.key(name);
  out.begin_array();
  for (const auto& [id, app] : engine_.state().apps) {
    if (app.is_removed || !is_wanted(app)) continue;
    out.raw(app_text(engine_.state(), app, embeds, engine_.now(), texts_.of(app)));
  }
  out.end_array();
  out.end_object();
  respond_text(responder, 200, out.take(), "application/json");
}

void AppsApi::show(const http::ServerRequest& request, const model::AppId& id, http::Responder responder) {
  const App* app = find_app(engine_.state(), id);
  if (app == nullptr) return respond_error(responder, unknown_app(id));
  AppEmbeds embeds = embeds_of(request, "apps.");
  embeds.tasks = embeds.last_task_failure = true;  // always, for one app
  model::JsonWriter out;
  out.begin_object();
  out.key("app");
  out.raw(app_text(engine_.state(), *app, embeds, engine_.now(), texts_.of(*app)));
  out.end_object();
  respond_text(responder, 200, out.take(), "application/json");
}

void AppsApi::list_below(const http::ServerRequest& request, const model::AppId& group, http::Responder responder) {
  AppEmbeds embeds = embeds_of(request, "apps.");
  auto is_wanted = [&](const App& app) { return is_below(app.id, group); };
  respond_apps("*", embeds, is_wanted, std::move(responder));
}

void AppsApi::list_versions(const model::AppId& id, http::Responder responder) {
  const App* app = find_app(engine_.state(), id);
  if (app == nullptr) return respond_error(responder, unknown_app(id));
  json versions = json::array();
  for (auto version = app->versions.rbegin(); version != app->versions.rend(); ++version) {
    versions.push_back(version->first);
  }
  respond_json(responder, 200, {{"versions", std::move(versions)}});
}

void AppsApi::show_version(const model::AppId& id, const model::Version& version, http::Responder responder) {
  const App* app = find_app(engine_.state(), id);
  if (app == nullptr) return respond_error(responder, unknown_app(id));
  auto found = app->versions.find(version);
  if (found == app->versions.end()) return respond_error(responder, unknown_app_version(id, version));
  respond_json(responder, 200, model::to_json(*found->second));
}

}  // namespace lotse::scheduler
