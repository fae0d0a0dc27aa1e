// Carries out one probe of one health check: HTTP, TCP or command. No memory and no verdicts (health_state.h). At most
// kProbesMax are under way at once, as in Marathon. Owned by the agent; one loop thread.
#pragma once

#include <string>

#include "agent/probe_targets.h"
#include "agent/runtime.h"
#include "agent/slots.h"
#include "http/client.h"

namespace lotse::agent {

struct ProbeFailure {
  std::string cause;                 // for lastFailureCause
  std::optional<Errc> connect_code;  // set when no connection came about: another address may be tried
};
using ProbeResult = Result<Unit, ProbeFailure>;

class Prober {
 public:
  static constexpr std::size_t kProbesMax = 256;

  explicit Prober(net::Loop& loop);
  Async<ProbeResult> tcp(ProbeAddress address, Duration timeout);
  Async<Result<int, ProbeFailure>> http_status(ProbeAddress address, std::string path, Duration timeout);
  Async<ProbeResult> http(ProbeAddress address, std::string path, Duration timeout);  // 200..399
  Async<ProbeResult> command(Runtime& runtime, model::LaunchTask launch, std::string command, Duration timeout);

  std::uint64_t probes() const { return probes_; }
  std::uint64_t failures() const { return failures_; }

 private:
  net::Loop& loop_;
  std::uint64_t probes_ = 0, failures_ = 0;
  Slots slots_;
  http::Client client_;
};

// Why this agent cannot carry out a definition's checks at all; nullopt: it can. Known before the launch, so that the
// task fails with a sentence instead of never becoming healthy.
std::optional<Problem> unsupported_check(const model::App& app);

}  // namespace lotse::agent
