// The JSON body of Docker's POST /containers/create for a task. Pure: what a container looks like is decided here and
// nowhere else, and is tested without Docker. The labels are how a restarted agent finds what is its own.
#pragma once

#include <string>

#include "base/result.h"
#include "model/agent_protocol.h"

namespace lotse::agent {

struct ContainerContext {
  std::string cluster, agent_id, data_id;
  std::string host;          // advertised, for $HOST
  std::string sandbox_path;  // on this machine; mounted at kSandboxInContainer
  double cores = 1;          // of the machine: NanoCpus beyond it is an error for Docker
};

inline constexpr const char* kSandboxInContainer = "/mnt/mesos/sandbox";
inline constexpr const char* kLabelCluster = "lotse.cluster";
inline constexpr const char* kLabelAgent = "lotse.agent";
inline constexpr const char* kLabelDataId = "lotse.agent.data";  // the identity that is matched: ids may be reused
inline constexpr const char* kLabelTask = "lotse.task";
inline constexpr const char* kLabelApp = "lotse.app";
inline constexpr const char* kLabelVersion = "lotse.version";
inline constexpr const char* kLabelLaunch = "lotse.launch";  // the launch without its environment, for adoption

std::string container_name(const model::TaskId& task);

// The Problem is for lastTaskFailure: something the definition asks for that this agent cannot honour.
Result<std::string, Problem> container_body(const model::LaunchTask& launch, const ContainerContext& context);

// "redis" -> "redis:latest": without a tag Docker's API would pull every tag there is.
std::string with_tag(const std::string& image);

// What adoption reads back from a container's labels; missing or damaged labels give a launch with what there is.
model::LaunchTask launch_from_labels(const model::Labels& labels);

}  // namespace lotse::agent
