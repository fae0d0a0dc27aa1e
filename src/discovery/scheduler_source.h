// The scheduler's route stream (GET /v1/routes, SSE) and our side of the route barrier: chunks become one snapshot,
// updates must follow each other, a lower term is refused, and what all workers have applied is acknowledged by the
// lease. Tells its owner until when the table is known to be current. Main thread. DESIGN: "Route stream", "barrier".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "discovery/lease.h"
#include "discovery/source.h"
#include "http/client.h"
#include "http/sse.h"
#include "http/url.h"
#include "net/timers.h"

namespace lotse::discovery {

// What a report says about the proxy. Implemented by whoever owns both (cli).
class ProxyState {
 public:
  virtual std::uint64_t in_flight(const model::TaskId& task) const = 0;  // picked, queued or on a connection
  virtual std::vector<model::TaskId> pending_tasks() const = 0;          // own health check not yet passed
  virtual double requests_per_second() const = 0;
  virtual std::string address() const = 0;  // of the listeners; may be empty

 protected:
  ~ProxyState() = default;
};

class SchedulerSource final : private http::SseListener, private Lease::Owner {
 public:
  struct Options {
    std::string name = "scheduler";  // in logs and metrics
    http::Endpoint scheduler;
    std::string proxy_id, boot;                           // boot: a uuid, new at each process start
    std::uint64_t term = 0;                               // the highest seen before (disk table)
    model::GoneWhy first_missing = model::GoneWhy::lost;  // why endpoints go that the first snapshot lacks
    Duration heartbeat = std::chrono::seconds(3);
    Duration lease = std::chrono::seconds(10);
    Duration answer_timeout = std::chrono::seconds(3);
    Duration silence_max = std::chrono::seconds(15);
    Duration retry_max = std::chrono::seconds(3);
    std::size_t endpoints_max = 2'000'000;  // of a snapshot: more is refused, the stream is opened again
  };
  SchedulerSource(http::Client& client, Options options, SourceSink& sink, const ProxyState& proxy,
                  std::function<void()> on_fresh_changed);
  ~SchedulerSource();
  SchedulerSource(const SchedulerSource&) = delete;

  void start();
  void report_now();  // a draining task's count came to 0, or what is pending changed

  Instant fresh_until() const;                               // Instant{}: the table is not known to be current
  bool has_snapshot() const { return has_snapshot_; }        // on all workers
  bool has_failed_once() const { return has_failed_once_; }  // was asked, and the stream did not open or ended
  std::uint64_t term() const { return term_; }
  model::Revision applied() const { return applied_; }
  bool is_connected() const { return is_connected_; }

  struct Counters {
    std::uint64_t resyncs = 0, fenced = 0, updates = 0, snapshots = 0, lost = 0;
  };
  const Counters& counters() const { return counters_; }
  const Lease& lease() const { return lease_; }
  Duration age() const;  // since the last word was known to be the last

 private:
  void on_open() override;
  void on_event(const http::SseEvent& event) override;
  void on_lost(const Problem& why) override;
  model::ProxyReport make_report() override;
  bool on_term(std::uint64_t term) override;
  void on_lease_renewed(Instant sent, bool is_unbroken) override;
  void on_lease_refused(const std::string& why) override;

  void take_chunk(model::SnapshotChunk chunk);
  void apply_snapshot();
  void take_update(model::RouteUpdate update);
  void note_draining(const std::vector<model::Endpoint>& set);
  void on_applied(model::Revision revision);
  void resync(const std::string& why);
  void reconnect();
  void note_lapse();

  net::Loop& loop_;
  Options options_;
  SourceSink& sink_;
  const ProxyState& proxy_;
  std::function<void()> on_fresh_changed_;

  std::uint64_t term_ = 0;                // the highest seen
  std::optional<model::Revision> taken_;  // what the next update must follow; nullopt: wants a snapshot
  model::Revision applied_;               // by all workers: what is acknowledged
  std::vector<model::Endpoint> assembling_;
  std::optional<model::SnapshotChunk> last_chunk_;  // its set moved away
  std::set<model::TaskId> draining_;                // in what was taken; asked for their counts in each report

  bool is_connected_ = false, has_snapshot_ = false, has_failed_once_ = false;
  // The table is current when it holds all there was when our lease began, and the lease has had no gap since: whatever
  // came later waits for our acknowledgement (the route barrier), so an endpoint of ours cannot have a new owner.
  Instant request_since_{};           // the present connection was asked for no earlier than this
  std::optional<Instant> proven_at_;  // request_since_ of the last snapshot that all workers have
  Instant covered_from_{};            // the lease is without a gap from here to its end
  Instant lost_at_{}, last_resync_{};
  Duration resync_delay_{};
  std::string last_trouble_;  // logged once until it changes
  Counters counters_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
  net::Timer resync_timer_, lapse_timer_;
  Lease lease_;
  http::SseSource stream_;
};

}  // namespace lotse::discovery
