#include "scheduler/server/route_streams.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "http/sse.h"
#include "model/api_error.h"

namespace lotse::scheduler {
namespace {

// JSON keys, quotes and numbers of one endpoint at most; the text of its members comes on top.
constexpr std::size_t kEndpointOverheadBytes = 256;

std::size_t estimated_bytes(const model::Endpoint& endpoint) {
  std::size_t bytes = kEndpointOverheadBytes + endpoint.app.size() + endpoint.port_name.size() + endpoint.task.size() +
                      endpoint.version.size() + endpoint.host.size() + endpoint.zone.size() + endpoint.agent.size();
  for (const auto& [name, value] : endpoint.labels) bytes += name.size() + value.size() + 8;
  return bytes;
}

}  // namespace

RouteStreams::RouteStreams(net::Loop& loop, Options options)
    : loop_(loop), options_(options), heartbeat_(loop.timers(), [this] { beat(); }) {
  heartbeat_.start(options_.heartbeat);
}

RouteStreams::~RouteStreams() { *alive_ = false; }

void RouteStreams::reset(model::Revision revision, std::vector<model::Endpoint> table) {
  subscribers_.clear();
  ring_.clear();
  ring_bytes_ = 0;
  cached_ = nullptr;
  table_.clear();
  revision_ = revision;
  reset_at_ = revision.number;
  for (model::Endpoint& endpoint : table) {
    Key key{endpoint.task, endpoint.app, endpoint.port, endpoint.host, endpoint.host_port};
    table_[std::move(key)] = std::make_shared<const model::Endpoint>(std::move(endpoint));
  }
}

void RouteStreams::publish(const model::RouteUpdate& update) {
  if (update.from != revision_.number) {
    // Cannot happen while the engine releases in order; a follower that misses one must come back for a snapshot.
    log::error("scheduler", "route update {} -> {} does not follow revision {}", update.from, update.to,
               revision_.number);
    subscribers_.clear();
    ring_.clear();
    ring_bytes_ = 0;
  }
  for (const model::GoneTask& gone : update.gone) {
    auto from = table_.lower_bound(Key{gone.task, "", 0, "", 0});
    auto to = from;
    while (to != table_.end() && std::get<0>(to->first) == gone.task) ++to;
    table_.erase(from, to);
  }
  for (const model::Endpoint& endpoint : update.set) {
    Key key{endpoint.task, endpoint.app, endpoint.port, endpoint.host, endpoint.host_port};
    table_[std::move(key)] = std::make_shared<const model::Endpoint>(endpoint);
  }
  revision_.number = update.to;
  cached_ = nullptr;

  auto frame = std::make_shared<std::string>();
  http::append_sse_event(*frame, "update", model::serialize(update), model::to_string(revision_));
  ring_bytes_ += frame->size();
  ring_.push_back({update.from, update.to, std::move(frame)});
  while (ring_.size() > options_.deltas_max || (ring_bytes_ > options_.delta_bytes_max && ring_.size() > 1)) {
    ring_bytes_ -= ring_.front().frame->size();
    ring_.pop_front();
  }
  std::vector<std::uint64_t> ids;
  for (const auto& [id, subscriber] : subscribers_) ids.push_back(id);
  for (std::uint64_t id : ids) pump(id);
}

void RouteStreams::follow(http::Responder responder, std::optional<model::Revision> last) {
  auto subscriber = std::make_unique<Subscriber>();
  bool is_known = last && last->epoch == revision_.epoch && last->number <= revision_.number &&
                  last->number > reset_at_ && ring_.front().from <= last->number;
  subscriber->revision = is_known ? last->number : revision_.number;
  if (!is_known) subscriber->snapshot = current_snapshot();
  add(std::move(responder), std::move(subscriber));
}

void RouteStreams::answer_json(http::Responder responder) {
  auto subscriber = std::make_unique<Subscriber>();
  subscriber->is_json = true;
  subscriber->revision = revision_.number;
  subscriber->snapshot = current_snapshot();
  add(std::move(responder), std::move(subscriber));
}

void RouteStreams::add(http::Responder responder, std::unique_ptr<Subscriber> subscriber) {
  if (subscribers_.size() >= options_.subscribers_max) {
    http::ServerResponse response;
    response.status = 503;
    response.body = model::to_json(model::ApiError{503, "Too many route streams are open", {}, "", {}});
    return responder.respond(std::move(response));
  }
  http::StreamOptions stream;
  // Room for the piece that is added while the queue is just below its mark, and for the largest delta.
  stream.queue_bytes_max = options_.queued_bytes_max + options_.delta_bytes_max;
  if (subscriber->is_json) stream.content_type = "application/json";
  subscriber->stream = responder.stream(std::move(stream));
  if (subscriber->stream == nullptr) return;
  std::uint64_t id = next_id_++;
  subscriber->stream->set_callbacks([this, id] { pump(id); }, [this, id] { remove_later(id); });
  bool is_json = subscriber->is_json;
  Subscriber& added = *(subscribers_[id] = std::move(subscriber));
  if (!is_json && !added.stream->write(": heartbeat\n\n")) return remove_later(id);
  pump(id);
}

void RouteStreams::pump(std::uint64_t id) {
  auto found = subscribers_.find(id);
  if (found == subscribers_.end()) return;
  Subscriber& subscriber = *found->second;
  bool is_open = subscriber.stream->is_open();
  if (is_open && subscriber.stream->queued_bytes() < options_.queued_bytes_max) {
    if (subscriber.snapshot != nullptr) {
      is_open = subscriber.is_json ? write_json_piece(subscriber) : write_snapshot_piece(subscriber);
      // One piece a turn: others on the loop are not kept waiting for the whole table.
      if (is_open) post_pump(id, subscriber);
    } else {
      is_open = !subscriber.is_json && write_deltas(subscriber);
    }
  }
  queued_peak_ = std::max(queued_peak_, subscriber.stream->queued_bytes());
  if (!is_open) remove_later(id);
}

bool RouteStreams::write_snapshot_piece(Subscriber& subscriber) {
  std::string frame = next_chunk_frame(subscriber);
  if (subscriber.next_endpoint == subscriber.snapshot->size()) subscriber.snapshot = nullptr;
  return subscriber.stream->write(frame);
}

// Fills one chunk up to the bound. The estimate leaves escapes out, so a chunk that came out too large is halved.
std::string RouteStreams::next_chunk_frame(Subscriber& subscriber) {
  const Snapshot& snapshot = *subscriber.snapshot;
  std::size_t first = subscriber.next_endpoint, end = first, bytes = 256;
  while (end < snapshot.size()) {
    bytes += estimated_bytes(*snapshot[end]);
    if (bytes > model::kSnapshotChunkBytesMax && end > first) break;
    ++end;
  }
  while (true) {
    model::SnapshotChunk chunk;
    chunk.term = revision_.epoch;
    chunk.revision = subscriber.revision;
    chunk.index = subscriber.next_chunk;
    chunk.last = end == snapshot.size();
    for (std::size_t i = first; i < end; ++i) chunk.set.push_back(*snapshot[i]);
    std::string data = model::serialize(chunk);
    if (data.size() > model::kSnapshotChunkBytesMax && end > first + 1) {
      end = first + (end - first) / 2;
      continue;
    }
    // Only the last chunk has the id: who loses the connection before it must not resume from this revision.
    std::string frame;
    model::Revision revision{revision_.epoch, subscriber.revision};
    http::append_sse_event(frame, "snapshot", data, chunk.last ? model::to_string(revision) : std::string{});
    subscriber.next_endpoint = end;
    ++subscriber.next_chunk;
    return frame;
  }
}

bool RouteStreams::write_json_piece(Subscriber& subscriber) {
  const Snapshot& snapshot = *subscriber.snapshot;
  std::string piece;
  if (subscriber.next_chunk++ == 0) {
    piece = "{\"term\":" + std::to_string(revision_.epoch) + ",\"revision\":" + std::to_string(subscriber.revision) +
            ",\"endpoints\":[";
  }
  while (subscriber.next_endpoint < snapshot.size() && piece.size() < options_.queued_bytes_max) {
    if (subscriber.next_endpoint > 0) piece += ",";
    piece += model::serialize(*snapshot[subscriber.next_endpoint++]);
  }
  if (subscriber.next_endpoint == snapshot.size()) {
    piece += "]}\n";
    subscriber.snapshot = nullptr;
  }
  return subscriber.stream->write(piece);
}

bool RouteStreams::write_deltas(Subscriber& subscriber) {
  while (subscriber.revision < revision_.number && subscriber.stream->queued_bytes() < options_.queued_bytes_max) {
    auto next = std::lower_bound(ring_.begin(), ring_.end(), subscriber.revision,
                                 [](const Delta& delta, std::uint64_t revision) { return delta.from < revision; });
    // Fell out of the ring: this follower is slower than what happens. It reconnects and gets a snapshot.
    if (next == ring_.end() || next->from != subscriber.revision) return false;
    subscriber.revision = next->to;
    if (!subscriber.stream->write(*next->frame)) return false;
  }
  return true;
}

void RouteStreams::post_pump(std::uint64_t id, Subscriber& subscriber) {
  if (subscriber.is_pump_posted) return;
  subscriber.is_pump_posted = true;
  loop_.post([this, id, is_alive = alive_] {
    if (!*is_alive) return;
    auto found = subscribers_.find(id);
    if (found == subscribers_.end()) return;
    found->second->is_pump_posted = false;
    pump(id);
  });
}

// The stream may be on the call stack: it is destroyed after the current callbacks.
void RouteStreams::remove_later(std::uint64_t id) {
  loop_.defer([this, id, is_alive = alive_] {
    if (*is_alive) subscribers_.erase(id);
  });
}

void RouteStreams::beat() {
  heartbeat_.start(options_.heartbeat);
  for (auto& [id, subscriber] : subscribers_) {
    if (subscriber->is_json || subscriber->stream->queued_bytes() > 0) continue;  // bytes on their way are life enough
    if (!subscriber->stream->write(": heartbeat\n\n")) remove_later(id);
  }
}

std::shared_ptr<const RouteStreams::Snapshot> RouteStreams::current_snapshot() {
  if (cached_ == nullptr) {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->reserve(table_.size());
    for (const auto& [key, endpoint] : table_) snapshot->push_back(endpoint);
    cached_ = std::move(snapshot);
  }
  return cached_;
}

}  // namespace lotse::scheduler
