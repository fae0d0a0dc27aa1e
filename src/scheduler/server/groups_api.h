// /v2/groups: the tree that app ids make, read, changed as a whole, and as it was before (MARATHON.md section 2). Turns
// bodies into one ChangeApps by way of group_update.h; what follows from it is the core's. Owned by the API; loop
// thread.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "http/server.h"
#include "model/api_error.h"
#include "scheduler/server/engine.h"

namespace lotse::scheduler {

class GroupsApi {
 public:
  explicit GroupsApi(Engine& engine) : engine_(engine) {}
  void add_to(http::Router& router);

 private:
  void get(const http::ServerRequest& request, http::Responder responder);
  void create(const http::ServerRequest& request, http::Responder responder);
  void update(const http::ServerRequest& request, http::Responder responder);
  void patch(const http::ServerRequest& request, http::Responder responder);
  void remove(const http::ServerRequest& request, http::Responder responder);
  void show_version(const model::AppId& group, const model::Version& version, http::Responder responder);
  void submit(const http::ServerRequest& request, Result<ChangeApps, model::ApiError> change,
              http::Responder responder);
  std::vector<const App*> apps_below(const model::AppId& group) const;
  bool exists(const model::AppId& group) const;

  Engine& engine_;
};

// A group and all below it, put together in one walk over apps and groups.
struct GroupNode {
  std::vector<const App*> apps;   // directly in it
  std::set<model::AppId> groups;  // directly below it
  model::Version version;         // of the latest change in it or below
};
struct GroupTree {
  std::map<model::AppId, GroupNode> nodes;
};
GroupTree tree_of(const State& state, const model::AppId& top);

}  // namespace lotse::scheduler
