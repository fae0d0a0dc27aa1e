#include "scheduler/server/app_changes.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "model/app_id.h"
#include "model/app_json.h"
#include "model/app_rules.h"
#include "scheduler/server/app_view.h"
#include "scheduler/server/group_update.h"
#include "scheduler/server/responses.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

// One entry of a list of apps: "(2)/cpus" says whose.
model::ApiError at_index(model::ApiError error, std::size_t index) {
  for (model::ErrorDetail& detail : error.details) detail.path = "(" + std::to_string(index) + ")" + detail.path;
  return error;
}

Result<model::AppId, model::ApiError> id_in(const json& body) {
  if (!body.is_object() || !body.contains("id") || !body["id"].is_string()) {
    return fail(model::ApiError{422, "Invalid JSON", {{"/id", {"error.path.missing"}}}, "", {}});
  }
  auto id = model::resolve_app_id(body["id"].get_ref<const std::string&>());
  if (!id) return fail(rule_broken("/id", id.error().what));
  return *id;
}

// std::function wants copyable captures; a Responder only moves.
std::shared_ptr<http::Responder> shared(http::Responder responder) {
  return std::make_shared<http::Responder>(std::move(responder));
}

}  // namespace

AppChanges::UpdateMode AppChanges::mode_of(const http::ServerRequest& request) {
  bool is_patch = request.method == "PATCH";
  return {is_patch || request.flag("partialUpdate", true), !is_patch};
}

void AppChanges::create(http::ServerRequest& request, http::Responder responder) {
  auto body = model::parse_json(request.body);
  if (!body) return respond_error(responder, body.error());
  auto app = model::parse_app(*body);
  if (!app) return respond_error(responder, app.error());
  give_role(engine_.state(), *app);
  if (auto error = model::check_app(*app)) return respond_error(responder, *error);
  model::AppId id = app->id;
  ChangeApps change;
  change.set.push_back(std::move(*app));
  change.create_only.push_back(id);
  change.force = request.flag("force", false);
  engine_.submit(std::move(change), [this, id, client = request.peer.ip(), uri = request.path,
                                     waiting = shared(std::move(responder))](const Answer& answer) {
    const auto* result = std::get_if<DeploymentResult>(&answer);
    const App* created = find_app(engine_.state(), id);
    if (result == nullptr || created == nullptr) return respond_deployment(*waiting, answer);
    announce(client, uri, {id});
    json info = app_info(engine_.state(), *created, {}, engine_.now());
    for (const char* count : {"tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy"}) info[count] = 0;
    info["tasks"] = json::array();
    info["deployments"] = json::array({{{"id", result->deployment}}});
    http::Fields fields{{"Location", id}, {"Marathon-Deployment-Id", result->deployment}};
    respond_json(*waiting, 201, info, std::move(fields));
  });
}

void AppChanges::update(http::ServerRequest& request, const model::AppId& id, http::Responder responder) {
  auto body = model::parse_json(request.body);
  if (!body) return respond_error(responder, body.error());
  bool existed = find_app(engine_.state(), id) != nullptr;
  auto app = updated(*body, id, mode_of(request));
  if (!app) return respond_error(responder, app.error());
  ChangeApps change;
  change.set.push_back(std::move(*app));
  change.force = request.flag("force", false);
  engine_.submit(std::move(change), [this, id, existed, client = request.peer.ip(), uri = request.path,
                                     waiting = shared(std::move(responder))](const Answer& answer) {
    if (std::holds_alternative<DeploymentResult>(answer)) announce(client, uri, {id});
    http::Fields fields;
    if (!existed) fields.emplace_back("Location", id);
    respond_deployment(*waiting, answer, existed ? 200 : 201, std::move(fields));
  });
}

void AppChanges::update_list(http::ServerRequest& request, http::Responder responder) {
  auto body = model::parse_json(request.body);
  if (!body) return respond_error(responder, body.error());
  if (!body->is_array()) {
    return respond_error(responder, {422, "Invalid JSON", {{"/", {"error.expected.jsarray"}}}, "", {}});
  }
  ChangeApps change;
  std::vector<model::AppId> ids;
  std::set<model::AppId> seen;
  for (std::size_t i = 0; i < body->size(); ++i) {
    auto id = id_in((*body)[i]);
    if (!id) return respond_error(responder, at_index(id.error(), i));
    if (!seen.insert(*id).second) return respond_error(responder, at_index(rule_broken("/id", "is there twice"), i));
    auto app = updated((*body)[i], *id, mode_of(request));
    if (!app) return respond_error(responder, at_index(app.error(), i));
    change.set.push_back(std::move(*app));
    ids.push_back(*id);
  }
  change.force = request.flag("force", false);
  engine_.submit(std::move(change), [this, ids, client = request.peer.ip(), uri = request.path,
                                     waiting = shared(std::move(responder))](const Answer& answer) {
    if (std::holds_alternative<DeploymentResult>(answer)) announce(client, uri, ids);
    respond_deployment(*waiting, answer);
  });
}

Result<model::App, model::ApiError> AppChanges::updated(const json& body, const model::AppId& id,
                                                        UpdateMode mode) const {
  const App* current = find_app(engine_.state(), id);
  if (current == nullptr && !mode.may_create) return fail(unknown_app(id));
  if (body.is_object() && body.contains("version") && !body["version"].is_null()) {
    if (current == nullptr) return fail(unknown_app(id));
    return earlier_version(body, *current);
  }
  bool is_patch = current != nullptr && mode.is_partial;
  auto app = is_patch ? model::patch_app(*current->current, body) : model::parse_app(body, id);
  if (!app) return app;
  if (app->id != id) return fail(rule_broken("/id", "does not match the id of the path, " + id));
  if (current == nullptr) give_role(engine_.state(), *app);
  if (auto error = model::check_app(*app)) return fail(std::move(*error));
  return app;
}

// A rollback: only the version is named.
Result<model::App, model::ApiError> AppChanges::earlier_version(const json& body, const App& app) const {
  for (const auto& [name, value] : body.items()) {
    if (name != "id" && name != "version") {
      return fail(rule_broken("/", "The 'version' field may only be combined with the 'id' field."));
    }
  }
  const json& version = body["version"];
  if (!version.is_string()) {
    return fail(model::ApiError{422, "Invalid JSON", {{"/version", {"error.expected.jsstring"}}}, "", {}});
  }
  auto found = app.versions.find(version.get<std::string>());
  if (found == app.versions.end()) return fail(unknown_app_version(app.id, version.get<std::string>()));
  return *found->second;
}

void AppChanges::remove(http::ServerRequest& request, const model::AppId& id, http::Responder responder) {
  if (find_app(engine_.state(), id) == nullptr) return respond_error(responder, unknown_app(id));
  ChangeApps change;
  change.remove.push_back(id);
  change.force = request.flag("force", true);
  engine_.submit(std::move(change), [waiting = shared(std::move(responder))](const Answer& answer) {
    respond_deployment(*waiting, answer);
  });
}

void AppChanges::restart(http::ServerRequest& request, const model::AppId& id, http::Responder responder) {
  if (find_app(engine_.state(), id) == nullptr) return respond_error(responder, unknown_app(id));
  ChangeApps change;
  change.restart.push_back(id);
  change.force = request.flag("force", false);
  engine_.submit(std::move(change), [waiting = shared(std::move(responder))](const Answer& answer) {
    respond_deployment(*waiting, answer);
  });
}

void AppChanges::announce(const std::string& client, const std::string& uri, const std::vector<model::AppId>& apps) {
  if (!events_.has_subscribers()) return;
  for (const model::AppId& id : apps) {
    const App* app = find_app(engine_.state(), id);
    if (app == nullptr) continue;
    events_.send("api_post_event", {{"eventType", "api_post_event"},
                                    {"timestamp", format_timestamp(engine_.now().wall)},
                                    {"clientIp", client},
                                    {"uri", uri},
                                    {"appDefinition", model::to_json(*app->current)}});
  }
}

}  // namespace lotse::scheduler
