// Merges what all sources say into one table and publishes its changes: an identical update is a no-op, a mass loss is
// held back (P3), a burst becomes one batch. Does not talk to anyone but its sources (they call the sinks) and one
// subscriber. Owned by Discovery. Main thread of the proxy. docs/architecture.md, "Discovery".
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "discovery/loss_guard.h"
#include "discovery/source.h"
#include "net/timers.h"

namespace lotse::discovery {

struct CatalogChange {
  std::uint64_t sequence = 0;            // rising
  std::vector<model::Endpoint> set;      // new, or replaces the one of the same identity
  std::vector<model::Endpoint> removed;  // only the identity counts
};

class Catalog {
 public:
  struct Options {
    LossGuard::Options guard;
    Duration hold = std::chrono::seconds(60);       // a loss that the source confirms for so long is believed
    Duration batch = std::chrono::milliseconds(5);  // the first event after quiet is published at once
  };
  // `on_applied` is to be called, on this thread, once every worker has the change.
  using Subscriber = std::function<void(CatalogChange change, std::function<void()> on_applied)>;

  Catalog(const Clock& clock, net::Timers& timers, Options options, Subscriber subscriber);
  ~Catalog();

  SourceSink& source(const std::string& name);  // made at the first call; the same one afterwards
  void remove_source(const std::string& name);  // a config edit: its endpoints go at once. The sink is gone
  void set_guard(LossGuard::Options guard);     // from the next loss on

  void accept_losses();  // POST /v1/accept: what is held back goes now

  std::vector<EndpointPtr> endpoints_of(const std::string& name) const;  // in no particular order, held ones too
  std::uint64_t version_of(const std::string& name) const;               // rises when endpoints_of changes
  std::size_t held() const;
  std::size_t endpoints() const { return published_.size(); }
  void write_metrics(std::string& out) const;

 private:
  struct IdentityHash {
    using is_transparent = void;
    std::size_t operator()(const EndpointPtr& endpoint) const { return (*this)(*endpoint); }
    std::size_t operator()(const model::Endpoint& endpoint) const;
  };
  struct IdentityEqual {
    using is_transparent = void;
    bool operator()(const EndpointPtr& a, const EndpointPtr& b) const { return a->same_identity(*b); }
    bool operator()(const model::Endpoint& a, const EndpointPtr& b) const { return a.same_identity(*b); }
    bool operator()(const EndpointPtr& a, const model::Endpoint& b) const { return a->same_identity(b); }
  };
  using EndpointSet = std::unordered_set<EndpointPtr, IdentityHash, IdentityEqual>;
  struct Slot;
  struct Batch {
    std::uint64_t sequence = 0;
    bool is_applied = false;
    Instant first_event;
    std::vector<std::function<void()>> on_applied;
  };

  void touch(const EndpointPtr& endpoint);  // its merged state may have changed
  void after_event(std::function<void()> on_applied);
  void flush();
  void on_batch_applied(std::uint64_t sequence);
  void complete_batches();
  EndpointPtr find_in_sources(const model::Endpoint& identity) const;
  void schedule_hold_check();
  void check_held();

  const Clock& clock_;
  Options options_;
  Subscriber subscriber_;
  std::map<std::string, std::unique_ptr<Slot>> slots_;
  EndpointSet published_;
  std::vector<EndpointPtr> touched_;  // since the last flush, in order
  EndpointSet touched_set_;
  std::vector<std::function<void()>> waiting_;  // for the next flush
  Instant first_event_{};
  std::deque<Batch> batches_;  // published, not yet applied everywhere; callbacks run in order
  std::uint64_t sequence_ = 0;
  Instant last_flush_{};
  bool has_flushed_ = false;
  net::Timer flush_timer_, hold_timer_;
  struct Lag {
    Duration last{}, max{}, sum{};
    std::uint64_t count = 0;
  } lag_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();  // late on_applied calls find out that we are gone
};

}  // namespace lotse::discovery
