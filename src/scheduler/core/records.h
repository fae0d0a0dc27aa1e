// How the durable half of State lies in the store: one JSON object for each thing, under a key that says what it is.
// Pure codec; which record is written when is decided by step(), what a restart makes of them by restore().
//   app/<id>  version/<version><id>  task/<id>  health/<task>  backoff/<app>  agent/<id>  release/<agent>/<task>
//   deployment/<id>  progress/<deployment>  proxy/<id>/<boot>  group/<id>  history/<version>  callback/<url>
//   last_version
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "scheduler/core/state.h"

namespace lotse::scheduler {

std::string app_key(const model::AppId& id);
std::string version_key(const model::AppId& id, const model::Version& version);
std::string task_key(const model::TaskId& id);
std::string health_key(const model::TaskId& id);
std::string backoff_key(const model::AppId& id);
std::string agent_key(const model::AgentId& id);
std::string release_key(const model::AgentId& agent, const model::TaskId& task);
std::string deployment_key(const std::string& id);
std::string progress_key(const std::string& deployment);
std::string proxy_key(const std::string& id, const std::string& boot);
std::string callback_key(const std::string& url);
std::string group_key(const model::AppId& id);
std::string history_key(const model::Version& version);
inline constexpr std::string_view kLastVersionKey = "last_version";

std::string encode_app(const App& app);  // without its versions
std::string encode_version(const model::App& definition);
std::string encode_task(const Task& task);
std::string encode_health(const Task& task);
std::string encode_backoff(const App& app);
std::string encode_agent(const Agent& agent);  // without its releases
std::string encode_release(const model::AgentId& agent, const model::TaskId& task, const PortRelease& release);
std::string encode_deployment(const Deployment& deployment);
std::string encode_progress(const Deployment& deployment);
std::string encode_proxy(const Proxy& proxy);
std::string encode_callback(const std::string& url);
std::string encode_group(const model::AppId& id, const Group& group);
std::string encode_root_change(const RootChange& change);

// Puts one record into `state`. Records may come in any order; a task's definition is resolved afterwards by
// link_records(), which also says what does not fit together.
class RecordReader {
 public:
  explicit RecordReader(State& state) : state_(state) {}
  Result<Unit, Problem> read(std::string_view key, std::string_view value);
  Result<Unit, Problem> link();

 private:
  State& state_;
  std::map<model::TaskId, model::Version> task_versions_;
  std::map<model::AppId, model::Version> app_versions_;
  std::map<model::TaskId, Task> health_;
  std::map<model::AppId, Backoff> backoff_;
  std::map<std::string, Progress> progress_;  // by deployment
  std::map<std::pair<model::AgentId, model::TaskId>, PortRelease> releases_;
};

}  // namespace lotse::scheduler
