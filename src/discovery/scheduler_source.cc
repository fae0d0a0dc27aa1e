#include "discovery/scheduler_source.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "net/loop.h"

namespace lotse::discovery {
namespace {

constexpr Duration kResyncDelayMin = std::chrono::milliseconds(50), kResyncDelayMax = std::chrono::seconds(3);
constexpr Duration kResyncQuiet = std::chrono::seconds(10);  // without a resync: the next one is at once again

http::ClientRequest stream_request(const SchedulerSource::Options& options) {
  http::ClientRequest request;
  request.endpoint = options.scheduler;
  request.target = fmt::format("/v1/routes?proxy={}&boot={}", http::percent_encode(options.proxy_id),
                               http::percent_encode(options.boot));
  request.fields = {{"Accept", "text/event-stream"}};
  request.timeout = options.silence_max;
  return request;
}

http::SseSource::Options stream_options(const SchedulerSource::Options& options) {
  http::SseSource::Options stream;
  stream.silence_max = options.silence_max;
  stream.retry_max = options.retry_max;
  return stream;
}

Lease::Options lease_options(const SchedulerSource::Options& options) {
  Lease::Options lease;
  lease.scheduler = options.scheduler;
  lease.proxy_id = options.proxy_id;
  lease.heartbeat = options.heartbeat;
  lease.length = options.lease;
  lease.answer_timeout = options.answer_timeout;
  return lease;
}

}  // namespace

SchedulerSource::SchedulerSource(http::Client& client, Options options, SourceSink& sink, const ProxyState& proxy,
                                 std::function<void()> on_fresh_changed)
    : loop_(client.loop()),
      options_(std::move(options)),
      sink_(sink),
      proxy_(proxy),
      on_fresh_changed_(std::move(on_fresh_changed)),
      term_(options_.term),
      lost_at_(loop_.clock().now()),
      resync_timer_(loop_.timers(), [this] { reconnect(); }),
      lapse_timer_(loop_.timers(), [this] { note_lapse(); }),
      lease_(client, lease_options(options_), *this),
      stream_(client, stream_request(options_), *this, stream_options(options_)) {}

SchedulerSource::~SchedulerSource() = default;

// The lease first: then the first snapshot is cut while we hold it.
void SchedulerSource::start() {
  lease_.start();
  request_since_ = loop_.clock().now();
  stream_.start();
}

void SchedulerSource::report_now() { lease_.report_now(); }

// ---- the stream

void SchedulerSource::on_open() {
  is_connected_ = true;
  assembling_.clear();
  last_chunk_.reset();
  last_trouble_.clear();
  log::info("proxy", "{}: connected to {}", options_.name, options_.scheduler.authority());
  // GET /v1/routes takes the lease before the snapshot is cut. If that cannot be so long ago that it ran out before the
  // renewal that we hold now, the lease is without a gap since then.
  Instant now = loop_.clock().now();
  if (lease_.until() > now && now < request_since_ + lease_.length())
    covered_from_ = std::min(covered_from_, request_since_);
  sink_.on_contact(taken_.has_value());
  report_now();
  on_fresh_changed_();
}

void SchedulerSource::on_lost(const Problem& why) {
  if (why.text() != last_trouble_) {
    last_trouble_ = why.text();
    log::warn("proxy", "{}: no route stream from {}: {}; the last table stays", options_.name,
              options_.scheduler.authority(), last_trouble_);
  }
  has_failed_once_ = true;
  request_since_ = loop_.clock().now();  // of the next attempt
  if (!is_connected_) return;
  is_connected_ = false;
  ++counters_.lost;
  lost_at_ = request_since_;
  sink_.on_contact(false);
  on_fresh_changed_();
}

void SchedulerSource::on_event(const http::SseEvent& event) {
  if (resync_timer_.is_armed()) return;  // what an abandoned connection still says
  if (event.type == "snapshot") {
    auto chunk = model::parse_snapshot_chunk(event.data);
    if (!chunk) return resync("a snapshot that cannot be read: " + chunk.error().text());
    take_chunk(std::move(*chunk));
  } else if (event.type == "update") {
    auto update = model::parse_route_update(event.data);
    if (!update) return resync("an update that cannot be read: " + update.error().text());
    take_update(std::move(*update));
  }
}

void SchedulerSource::take_chunk(model::SnapshotChunk chunk) {
  if (!on_term(chunk.term)) return resync(fmt::format("a snapshot of term {}, but {} was seen", chunk.term, term_));
  bool is_first = chunk.index == 0;
  bool follows = last_chunk_ && chunk.index == last_chunk_->index + 1 && chunk.revision == last_chunk_->revision &&
                 chunk.term == last_chunk_->term;
  if (!is_first && !follows) return resync("a snapshot with a chunk missing");
  if (is_first) assembling_.clear();
  if (assembling_.size() + chunk.set.size() > options_.endpoints_max) return resync("a snapshot beyond the bound");
  std::move(chunk.set.begin(), chunk.set.end(), std::back_inserter(assembling_));
  chunk.set.clear();
  last_chunk_ = std::move(chunk);
  if (last_chunk_->last) apply_snapshot();
}

void SchedulerSource::apply_snapshot() {
  model::Revision revision{last_chunk_->term, last_chunk_->revision};
  last_chunk_.reset();
  taken_ = revision;
  ++counters_.snapshots;
  draining_.clear();
  note_draining(assembling_);
  log::info("proxy", "{}: snapshot {} with {} endpoints", options_.name, to_string(revision), assembling_.size());
  auto missing = std::exchange(options_.first_missing, model::GoneWhy::lost);
  sink_.on_snapshot(std::exchange(assembling_, {}), missing,
                    [this, revision, proof = request_since_, alive = std::weak_ptr(alive_)] {
                      if (alive.expired()) return;
                      proven_at_ = proof;
                      has_snapshot_ = true;
                      on_applied(revision);
                    });
}

void SchedulerSource::take_update(model::RouteUpdate update) {
  if (!on_term(update.term)) return resync(fmt::format("an update of term {}, but {} was seen", update.term, term_));
  if (!taken_ || update.term != taken_->epoch || update.from != taken_->number || update.to < update.from) {
    return resync(fmt::format("an update from {}-{}, but we have {}", update.term, update.from,
                              taken_ ? to_string(*taken_) : "nothing"));
  }
  taken_->number = update.to;
  ++counters_.updates;
  note_draining(update.set);
  for (const model::GoneTask& gone : update.gone) draining_.erase(gone.task);
  SourceUpdate change{std::move(update.set), std::move(update.gone)};
  sink_.on_update(std::move(change), [this, revision = *taken_, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) on_applied(revision);
  });
}

void SchedulerSource::note_draining(const std::vector<model::Endpoint>& set) {
  for (const model::Endpoint& endpoint : set) {
    if (endpoint.state == model::EndpointState::draining)
      draining_.insert(endpoint.task);
    else
      draining_.erase(endpoint.task);
  }
}

void SchedulerSource::on_applied(model::Revision revision) {
  applied_ = std::max(applied_, revision);
  report_now();
  on_fresh_changed_();
}

// Asks for everything: at once the first time, ever more slowly when that does not help.
void SchedulerSource::resync(const std::string& why) {
  Instant now = loop_.clock().now();
  ++counters_.resyncs;
  log::warn("proxy", "{}: {}; asking for a snapshot", options_.name, why);
  taken_.reset();
  assembling_.clear();
  last_chunk_.reset();
  stream_.forget_last_id();
  if (is_connected_) lost_at_ = now;
  is_connected_ = false;
  sink_.on_contact(false);
  if (last_resync_ + kResyncQuiet < now) resync_delay_ = {};
  last_resync_ = now;
  resync_timer_.start(resync_delay_);  // never from inside of the stream's own callback
  resync_delay_ = std::clamp(resync_delay_ * 2, kResyncDelayMin, kResyncDelayMax);
  on_fresh_changed_();
}

void SchedulerSource::reconnect() {
  request_since_ = loop_.clock().now();
  stream_.forget_last_id();  // again: what the old connection said since has brought a new one
  stream_.reconnect();
}

// ---- the lease

model::ProxyReport SchedulerSource::make_report() {
  model::ProxyReport report;
  report.boot = options_.boot;
  report.term = term_;
  report.applied = applied_;
  report.pending = proxy_.pending_tasks();
  for (const model::TaskId& task : draining_) {
    if (std::uint64_t count = proxy_.in_flight(task); count > 0) report.draining.push_back({task, count});
  }
  report.address = proxy_.address();
  report.requests_per_second = proxy_.requests_per_second();
  return report;
}

bool SchedulerSource::on_term(std::uint64_t term) {
  if (term < term_) {
    ++counters_.fenced;
    return false;
  }
  term_ = term;
  return true;
}

void SchedulerSource::on_lease_renewed(Instant sent, bool is_unbroken) {
  Instant now = loop_.clock().now();
  lapse_timer_.start(std::max(lease_.until() - now, Duration::zero()));
  if (!is_unbroken) {
    // As in on_open: the present connection's GET may bridge the gap.
    bool is_bridged = is_connected_ && now < request_since_ + lease_.length();
    covered_from_ = is_bridged ? std::min(sent, request_since_) : sent;
  }
  // In the gap the scheduler did not wait for us, and what it did then is only sure to be in a new snapshot.
  if (is_connected_ && request_since_ < covered_from_) return resync("the lease had run out");
  on_fresh_changed_();
}

void SchedulerSource::on_lease_refused(const std::string& why) {
  log::debug("proxy", "{}: lease not renewed: {}", options_.name, why);
  if (why != last_trouble_ && is_connected_) {
    last_trouble_ = why;
    log::warn("proxy", "{}: the lease was not renewed: {}", options_.name, why);
  }
}

void SchedulerSource::note_lapse() {
  if (loop_.clock().now() < lease_.until()) return;
  log::warn("proxy", "{}: the lease ran out; new connections ask the agent first", options_.name);
  // Away and without lease, Last-Event-ID will not do any more. Connected, the next renewal asks for a snapshot.
  if (!is_connected_) return resync("the lease ran out while the stream was away");
  on_fresh_changed_();
}

Instant SchedulerSource::fresh_until() const {
  if (!proven_at_ || *proven_at_ < covered_from_) return Instant{};
  if (is_connected_) return lease_.until();
  return std::min(lease_.until(), lost_at_ + options_.silence_max);
}

Duration SchedulerSource::age() const {
  return is_connected_ && has_snapshot_ ? Duration::zero() : loop_.clock().now() - lost_at_;
}

}  // namespace lotse::discovery
