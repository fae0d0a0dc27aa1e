// Groups as Marathon's clients read them: the tree that app ids make. A group exists while an app is below it; nothing
// else of it is stored, so groups are read and destroyed here, and changed by changing their apps. Owned by the API;
// loop thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "http/server.h"
#include "scheduler/server/engine.h"

namespace lotse::scheduler {

class GroupsApi {
 public:
  explicit GroupsApi(Engine& engine) : engine_(engine) {}
  void add_to(http::Router& router);

 private:
  void get(const http::ServerRequest& request, http::Responder responder);
  void remove(const http::ServerRequest& request, http::Responder responder);
  void refuse_change(http::Responder responder);
  std::vector<const App*> apps_below(const model::AppId& group) const;

  Engine& engine_;
};

}  // namespace lotse::scheduler
