// Docker's Engine API over its unix socket, call by call, as coroutines. Knows HTTP and JSON of Docker, nothing of
// tasks. At most kCallsMax short calls are under way at once; the rest waits in line. A failure says whether the call
// happened: that is what the caller must know. One loop thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/docker_answers.h"
#include "agent/runtime.h"
#include "agent/slots.h"
#include "base/async.h"
#include "http/client.h"

namespace lotse::agent {

class DockerClient {
 public:
  static constexpr std::size_t kCallsMax = 16;
  static constexpr std::size_t kPullsMax = 4;
  static constexpr std::size_t kStopsMax = 256;  // each may last a task's whole grace period

  DockerClient(net::Loop& loop, std::string socket_path);

  Async<Outcome<std::vector<ListedContainer>>> list(std::string label);           // stopped ones too
  Async<Outcome<std::optional<ContainerReport>>> inspect(std::string container);  // nullopt: absent
  // nullopt: the image is not here. Outcome::unknown also when the name is taken: look whose it is.
  Async<Outcome<std::optional<std::string>>> create(std::string name, std::string body);
  Async<Outcome<Unit>> start(std::string container);
  Async<Outcome<Unit>> stop(std::string container, Duration grace);
  Async<Outcome<Unit>> remove(std::string container);
  Async<Outcome<Unit>> pull(std::string image, std::string registry_auth);  // the field's value; empty: nobody
  Async<Outcome<CommandResult>> exec(std::string container, std::string command, Duration timeout);
  Async<std::string> log_tail(std::string container, std::size_t bytes_max);
  std::unique_ptr<LogFollower> follow_log(const std::string& container, LogCallbacks callbacks);

  http::ClientRequest request(std::string method, std::string target, std::string body = {}) const;
  http::Client& http() { return client_; }
  net::Loop& loop() { return loop_; }
  RuntimeError error_from(const Error& error) const;    // "Cannot connect to the Docker daemon at unix://...: ..."
  std::uint64_t failures() const { return failures_; }  // calls without an answer or with a 5xx

 private:
  using Answer = Outcome<http::ClientResponse>;
  Async<Answer> call(http::ClientRequest request);
  Async<Answer> call_in(Slots& slots, http::ClientRequest request);
  static RuntimeError refusal(const http::ClientResponse& answer);

  net::Loop& loop_;
  http::Endpoint endpoint_;
  std::uint64_t failures_ = 0;
  Slots calls_, pulls_, stops_;
  http::Client client_;
};

}  // namespace lotse::agent
