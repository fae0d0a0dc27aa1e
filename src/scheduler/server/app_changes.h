// POST, PUT, PATCH and DELETE of apps, and their restart: turns bodies into whole, checked definitions and submits one
// ChangeApps (MARATHON.md sections 1 and 2). What follows from it is the core's. Owned by AppsApi; loop thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "http/server.h"
#include "model/api_error.h"
#include "scheduler/server/engine.h"
#include "scheduler/server/event_streams.h"

namespace lotse::scheduler {

class AppChanges {
 public:
  AppChanges(Engine& engine, EventStreams& events) : engine_(engine), events_(events) {}
  void create(http::ServerRequest& request, http::Responder responder);
  void update(http::ServerRequest& request, const model::AppId& id, http::Responder responder);  // PUT and PATCH
  void update_list(http::ServerRequest& request, http::Responder responder);
  void remove(http::ServerRequest& request, const model::AppId& id, http::Responder responder);
  void restart(http::ServerRequest& request, const model::AppId& id, http::Responder responder);

 private:
  // How a PUT or PATCH is meant.
  struct UpdateMode {
    bool is_partial = true;  // what is not named stays
    bool may_create = true;  // PUT; PATCH wants the app to exist
  };
  static UpdateMode mode_of(const http::ServerRequest& request);
  Result<model::App, model::ApiError> updated(const nlohmann::json& body, const model::AppId& id,
                                              UpdateMode mode) const;
  Result<model::App, model::ApiError> earlier_version(const nlohmann::json& body, const App& app) const;
  // api_post_event, as soon as the change is durable and before whatever follows from it.
  void announce(const std::string& client, const std::string& uri, const std::vector<model::AppId>& apps);

  Engine& engine_;
  EventStreams& events_;
};

}  // namespace lotse::scheduler
