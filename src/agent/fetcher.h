// Makes sandboxes beside the loop: each task that fetches has a thread of its own, a few at once, so that a slow
// server or a large archive stops nobody. A task that fetches nothing gets its folder at once. Destroying the frame
// that waits cancels the fetch; its half-made sandbox goes.
// Owned by the agent; loop thread.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "agent/runtime.h"
#include "agent/sandbox.h"
#include "agent/slots.h"

namespace lotse::agent {

class Fetcher {
 public:
  Fetcher(net::Loop& loop, const std::string& data_path, FetchBounds bounds);
  ~Fetcher();  // cancels what is under way and waits until it has noticed
  Fetcher(const Fetcher&) = delete;

  std::string sandbox_of(const model::TaskId& task) const { return sandboxes_path_ + "/" + task; }

  // `on_interruptible`: as in Runtime::create.
  Async<Outcome<Unit>> make_sandbox(model::LaunchTask launch, std::optional<SandboxOwner> owner,
                                    std::function<void(bool)> on_interruptible);
  void remove_sandbox(const model::TaskId& task);
  // At start: sandboxes of tasks nobody knows any more.
  void remove_unknown(const std::function<bool(const model::TaskId&)>& is_known);

  struct Counters {
    std::uint64_t fetches = 0, failures = 0, bytes = 0;
  };
  const Counters& counters() const { return counters_; }
  std::size_t waiting() const { return slots_.waiting(); }

 private:
  struct Job;
  class Run;
  std::shared_ptr<Job> begin(SandboxOrder order);
  void reap(Job& job);

  net::Loop& loop_;
  std::string sandboxes_path_, cache_path_;
  FetchBounds bounds_;
  Counters counters_;
  Slots slots_;
  std::list<std::shared_ptr<Job>> jobs_;
};

}  // namespace lotse::agent
