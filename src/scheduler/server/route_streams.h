// The route stream (design section 3): what has left the scheduler, as one table and a ring of recent deltas, and every
// proxy that follows it. Fed with published updates only, so a snapshot is never ahead of the disk (P4). Leases are not
// here (core), nor is the request (proxies_api.h). Owned by the API; loop thread.
//
// A subscriber owns no copy of anything: it points into a snapshot shared by all who joined at that revision, then into
// the ring, and is fed as its socket drains. One that falls out of the ring is disconnected and comes back.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "http/server.h"
#include "model/routes.h"
#include "net/loop.h"
#include "net/timers.h"

namespace lotse::scheduler {

class RouteStreams {
 public:
  struct Options {
    std::size_t deltas_max = 4096;                   // of the ring; beyond, the oldest go
    std::size_t delta_bytes_max = 16 * 1024 * 1024;  // of the ring
    std::size_t queued_bytes_max = 256 * 1024;       // behind one socket: below it the next piece is produced
    std::size_t subscribers_max = 1024;              // beyond: 503
    Duration heartbeat = std::chrono::seconds(3);
  };
  explicit RouteStreams(net::Loop& loop) : RouteStreams(loop, Options{}) {}
  RouteStreams(net::Loop& loop, Options options);
  ~RouteStreams();

  // At start, and whenever the published history is broken off (a failed write): followers are disconnected and get a
  // snapshot when they return.
  void reset(model::Revision revision, std::vector<model::Endpoint> table);
  void publish(const model::RouteUpdate& update);

  // SSE. `last` is the client's Last-Event-ID: of this epoch and still in the ring, it spares the snapshot.
  void follow(http::Responder responder, std::optional<model::Revision> last);
  // The table as one JSON object, produced as the socket drains.
  void answer_json(http::Responder responder);

  model::Revision revision() const { return revision_; }
  std::size_t subscribers() const { return subscribers_.size(); }
  std::size_t endpoints() const { return table_.size(); }
  std::size_t queued_bytes_peak() const { return queued_peak_; }  // behind any one socket, ever
  void close_all() { subscribers_.clear(); }

 private:
  using Key = std::tuple<model::TaskId, model::AppId, int, std::string, std::uint16_t>;
  using Snapshot = std::vector<std::shared_ptr<const model::Endpoint>>;
  struct Delta {
    std::uint64_t from = 0, to = 0;
    std::shared_ptr<const std::string> frame;
  };
  struct Subscriber {
    std::unique_ptr<http::ServerStream> stream;
    std::shared_ptr<const Snapshot> snapshot;  // null: done, or spared
    std::size_t next_endpoint = 0;
    std::uint32_t next_chunk = 0;
    std::uint64_t revision = 0;  // what it has, once the snapshot is sent
    bool is_json = false;        // one answer that ends, instead of a stream
    bool is_pump_posted = false;
  };

  void add(http::Responder responder, std::unique_ptr<Subscriber> subscriber);
  void pump(std::uint64_t id);
  bool write_snapshot_piece(Subscriber& subscriber);  // false: the stream has gone
  bool write_json_piece(Subscriber& subscriber);
  std::string next_chunk_frame(Subscriber& subscriber);
  bool write_deltas(Subscriber& subscriber);
  void post_pump(std::uint64_t id, Subscriber& subscriber);
  void remove_later(std::uint64_t id);
  void beat();
  std::shared_ptr<const Snapshot> current_snapshot();

  net::Loop& loop_;
  Options options_;
  model::Revision revision_;
  std::uint64_t reset_at_ = 0;  // the revision reset() gave: nobody resumes from there or before
  std::map<Key, std::shared_ptr<const model::Endpoint>> table_;
  std::shared_ptr<const Snapshot> cached_;  // of revision_; null: not asked for yet
  std::deque<Delta> ring_;
  std::size_t ring_bytes_ = 0, queued_peak_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Subscriber>> subscribers_;
  std::uint64_t next_id_ = 1;
  net::Timer heartbeat_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace lotse::scheduler
