// /v2/apps: reading apps, versions and tasks, and the way of every change to AppChanges (MARATHON.md section 2).
// Reads the State directly; changes nothing itself. Owned by the API; loop thread.
#pragma once

#include <memory>
#include <string>

#include "http/server.h"
#include "scheduler/server/app_changes.h"
#include "scheduler/server/app_path.h"
#include "scheduler/server/app_view.h"
#include "scheduler/server/definition_texts.h"
#include "scheduler/server/engine.h"
#include "scheduler/server/event_streams.h"
#include "scheduler/server/tasks_api.h"

namespace lotse::scheduler {

class AppsApi {
 public:
  AppsApi(Engine& engine, EventStreams& events, TasksApi& tasks)
      : engine_(engine), tasks_(tasks), changes_(engine, events) {}
  void add_to(http::Router& router);

 private:
  void get(http::ServerRequest& request, http::Responder responder);
  void post(http::ServerRequest& request, http::Responder responder);
  void put_or_patch(http::ServerRequest& request, http::Responder responder);
  void remove(http::ServerRequest& request, http::Responder responder);

  void list(const http::ServerRequest& request, http::Responder responder);
  void show(const http::ServerRequest& request, const model::AppId& id, http::Responder responder);
  void list_below(const http::ServerRequest& request, const model::AppId& group, http::Responder responder);
  void list_versions(const model::AppId& id, http::Responder responder);
  void show_version(const model::AppId& id, const model::Version& version, http::Responder responder);

  // {"<name>": [each app that `is_wanted`]}
  template <typename IsWanted>
  void respond_apps(std::string_view name, const AppEmbeds& embeds, IsWanted is_wanted, http::Responder responder);

  Engine& engine_;
  TasksApi& tasks_;
  DefinitionTexts texts_;
  AppChanges changes_;
};

// Which embeds a request names; `prefix` is "apps." or "group.apps.". As in Marathon, "app." means the same as "apps.".
AppEmbeds embeds_of(const http::ServerRequest& request, std::string_view prefix);
bool is_below(std::string_view app, std::string_view group);  // "/shop/api" is below "/shop" and "/"

}  // namespace lotse::scheduler
