// Tasks over Marathon's API: /v2/tasks, an app's tasks, and killing them (MARATHON.md section 2). Kills go by the
// route barrier, which is the core's business. Owned by the API; loop thread.
#pragma once

#include <string>
#include <vector>

#include "http/server.h"
#include "scheduler/server/engine.h"

namespace lotse::scheduler {

class TasksApi {
 public:
  explicit TasksApi(Engine& engine) : engine_(engine) {}
  void add_to(http::Router& router);  // /v2/tasks; what is below /v2/apps comes from AppsApi

  void list_of_app(const http::ServerRequest& request, const model::AppId& id, http::Responder responder);
  void list_below(const model::AppId& group, http::Responder responder);
  void kill_of_app(const http::ServerRequest& request, const model::AppId& id, http::Responder responder);
  void kill_one(const http::ServerRequest& request, const model::AppId& id, const model::TaskId& task,
                http::Responder responder);

 private:
  enum class Shape { list, single };  // {"tasks":[...]} or {"task":{...}}
  void list(const http::ServerRequest& request, http::Responder responder);
  void kill_listed(http::ServerRequest& request, http::Responder responder);
  void kill(const http::ServerRequest& request, std::vector<const Task*> tasks, Shape shape, http::Responder responder);
  std::string as_text(const App* only) const;

  Engine& engine_;
};

}  // namespace lotse::scheduler
