// The part of Exchange that finds an endpoint and a connection, and sends the request.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "proxy/exchange.h"
#include "proxy/worker.h"

namespace lotse::proxy {

namespace {
constexpr Duration kConfirmationWait = std::chrono::seconds(1);  // then the agent counts as silent
}

void Exchange::choose() {
  Slot* slot = worker_.routing().slot(slot_);
  if (slot == nullptr)
    return failure_count_ > 0 ? answer_failure() : answer(503, "the route of this request was removed", true);
  use(pick_from(*slot), *slot);
}

Pick Exchange::pick_from(Slot& slot) {
  PickOptions options{.avoid = std::span(failed_.data(), failure_count_),
                      .may_repeat = may_repeat_,
                      .is_stale = worker_.freshness().has_any_out() && worker_.freshness().is_stale(),
                      .now = worker_.loop().now()};
  return worker_.balancer().pick(*slot.set, slot.cursor, options);
}

void Exchange::use(const Pick& pick, Slot& slot) {
  switch (pick.outcome) {
    case Pick::Outcome::picked:
      return take(*pick.member);
    case Pick::Outcome::full:
      return enqueue(slot);
    case Pick::Outcome::none:
      return failure_count_ > 0 ? answer_failure() : answer_nobody(slot);
  }
}

void Exchange::answer_nobody(const Slot& slot) {
  const EndpointSet& set = *slot.set;
  std::string port = set.target.port.empty() ? "" : ":" + set.target.port;
  text_.clear();
  auto out = std::back_inserter(text_);
  if (set.members().empty()) {
    fmt::format_to(out, "app {}{} has no endpoints", set.target.app, port);
  } else if (!set.has_usable()) {
    fmt::format_to(out, "app {}{} has no endpoints that take requests: all {} are draining or not ready yet",
                   set.target.app, port, set.members().size());
  } else {
    fmt::format_to(out,
                   "app {}{} has no endpoint that can be confirmed: the table may be old and its agents deny the tasks",
                   set.target.app, port);
  }
  answer(503, text_, true);
}

// Every endpoint has all the connections it may have.
void Exchange::enqueue(Slot& slot) {
  const auto& config = worker_.config();
  if (slot.waiting >= worker_.share_of(config.limits.requests_waiting_per_app_max)) {
    worker_.counters().queue_refusals.add();
    my_stats().queue_refusals.add();
    return answer(503, "too many requests wait for this app", true);
  }
  phase_ = Phase::waiting;
  worker_.counters().queue_waits.add();
  ++slot.waiting;
  my_stats().waiting.add();
  worker_.waiting().push_back(*this);
  deadline_.set(config.timeouts.queue);
}

void Exchange::leave_queue() {
  ListNode<InWaiting>::unlink();
  if (phase_ != Phase::waiting) return;
  my_stats().waiting.subtract();
  if (Slot* slot = worker_.routing().slot(slot_); slot != nullptr && slot->waiting > 0) --slot->waiting;
}

bool Exchange::on_capacity() {
  if (phase_ != Phase::waiting) return false;
  Slot* slot = worker_.routing().slot(slot_);
  const std::uint64_t pass = worker_.serving_pass();
  if (slot != nullptr && slot->full_in_pass == pass && failure_count_ == 0) return false;
  Pick pick = slot != nullptr ? pick_from(*slot) : Pick{};
  if (pick.outcome == Pick::Outcome::full) {
    if (failure_count_ == 0) slot->full_in_pass = pass;
    return false;
  }
  // All upstream connections of the process are busy: who took an endpoint now would give it back, and wait anew.
  if (pick.outcome == Pick::Outcome::picked && !worker_.pools().has_room()) return false;
  leave_queue();
  phase_ = Phase::sending;
  if (slot == nullptr) {
    choose();
  } else {
    use(pick, *slot);
  }
  return true;
}

void Exchange::take(const EndpointSet::Member& member) {
  endpoint_ = member.record.get();
  endpoint_has_agent_ = member.has_agent;
  EndpointState& state = endpoint_->states[worker_.index()];
  state.in_flight.add();
  state.requests.add();
  ++attempts_;
  if (state.speaks_h2) {
    if (H2Upstream* shared = state.h2.with_room()) return share(*shared);
  } else if (!wants_fresh_) {
    while (UpstreamConnection* pooled = state.pool.take()) {
      if (pooled->is_about_to_close(worker_.loop().now())) {
        pooled->abandon();
        continue;
      }
      worker_.counters().pool_reuses.add();
      pooled->lend_to(*this);
      upstream_ = pooled;
      return send_request();
    }
  }
  connect();
}

// A stream of a connection that others use as well, or that is being made for another.
void Exchange::share(H2Upstream& connection) {
  const bool is_open = connection.is_open();
  upstream_ = &connection.lend_stream(*this);
  if (is_open) {
    worker_.counters().pool_reuses.add();
    return send_request();
  }
  phase_ = Phase::connecting;
  sent_at_ = worker_.loop().now();
  deadline_.set(worker_.config().timeouts.connect);
}

void Exchange::connect() {
  if (endpoint_has_agent_) {
    switch (worker_.freshness().may_connect(*endpoint_)) {
      case Freshness::Answer::yes:
        break;
      case Freshness::Answer::ask:
        phase_ = Phase::confirming;
        worker_.waiting().push_back(*this);
        return deadline_.set(kConfirmationWait);
      case Freshness::Answer::no:
        note_failure({.code = Errc::not_found, .reason = "its agent does not know the task"});
        let_endpoint_go();
        return choose();
    }
  }
  const EndpointState& state = endpoint_->states[worker_.index()];
  if ((state.speaks_h2 && !state.h2.may_open()) || !worker_.pools().make_room()) {
    let_endpoint_go();
    Slot* slot = worker_.routing().slot(slot_);
    return slot != nullptr ? enqueue(*slot) : answer(503, "all upstream connections are in use", true);
  }
  phase_ = Phase::connecting;
  sent_at_ = worker_.loop().now();
  deadline_.set(worker_.config().timeouts.connect);
  if (state.speaks_h2) {
    H2Upstream& opened = worker_.open_h2_upstream(*endpoint_);
    upstream_ = &opened.lend_stream(*this);
    return opened.connect();
  }
  UpstreamConnection& opened = worker_.open_upstream(*endpoint_);
  upstream_ = &opened;
  opened.connect(*this);
}

void Exchange::on_confirmation() {
  ListNode<InWaiting>::unlink();
  // A snapshot may be here before the agent's word. Then the table is fresh, and what it does not have any more would
  // be connected to without a question, though its port may be another app's.
  if (endpoint_->states[worker_.index()].is_removed) {
    let_endpoint_go();
    return choose();
  }
  connect();
}

void Exchange::let_endpoint_go() {
  EndpointRecord& record = *std::exchange(endpoint_, nullptr);
  if (worker_.access_log() != nullptr) {
    logged_task_ = arena_.copy(record.endpoint.task);
    logged_endpoint_ = arena_.copy(record.address_text);
  }
  record.states[worker_.index()].in_flight.subtract();
  worker_.on_endpoint_free(record);
}

void Exchange::on_upstream_connected() {
  my_stats().connect.record(worker_.loop().now() - sent_at_);
  send_request();
}

void Exchange::send_request() {
  phase_ = Phase::sending;
  sent_at_ = worker_.loop().now();
  RequestOut out{.method = head_->method,
                 .method_text = head_->method_text,
                 .target = target_,
                 .authority = head_->authority,
                 .fields = request_fields_,
                 .is_chunked = head_->is_chunked,
                 .content_length = head_->content_length,
                 .upgrade = tunnelled_protocol(*head_),
                 .accepts_trailers = head_->accepts_trailers()};
  upstream_->send_request(out, endpoint_->address_text);
  if (!body_.empty()) {
    upstream_->send_body(body_);
    worker_.counters().upstream_bytes_out.add(body_.size());
  }
  // Only what may be sent a second time is worth keeping: idempotent requests whose body fits, and calls of gRPC that
  // the route wants to be tried again.
  const bool may_repeat =
      http::is_idempotent(head_->method) || upstream_->may_refuse() || (is_call_ && retry_.when_grpc.any());
  if (!may_repeat || body_.size() > worker_.config().limits.buffer_bytes_max) {
    keeps_body_ = false;
    if (!body_.empty()) {
      replay_is_lost_ = true;
      worker_.outbox().release_views();  // they may be of the body
      body_.clear();
    }
  }
  if (request_is_whole_) {
    upstream_->send_end(request_trailers_);
    arm_for_answer();
  } else if (head_->has_body() && !waits_for_continue()) {
    deadline_.set(worker_.config().timeouts.stream_idle);
  } else {
    arm_for_answer();
  }
  // The client was paused while nothing could be sent; on_upstream_drained() comes only if something is queued now.
  if (request_is_paused_) {
    worker_.outbox().flush();
    if (upstream_->queued_bytes() < worker_.config().limits.buffer_bytes_max) on_upstream_drained();
  }
}

void Exchange::arm_for_answer() {
  Duration first_byte = worker_.config().timeouts.first_byte;
  deadline_.set(retry_.per_try > Duration::zero() ? std::min(retry_.per_try, first_byte) : first_byte);
}

// Too late --------------------------------------------------------------------------------------------------------

void Exchange::on_deadline() {
  if (deadline_.is_latest_over()) return on_call_deadline();
  const TimeoutsConfig& timeouts = worker_.config().timeouts;
  switch (phase_) {
    case Phase::waiting:
      worker_.counters().queue_timeouts.add();
      return answer(503, "no connection to an endpoint of this app came free in time", true);
    case Phase::confirming:
      worker_.freshness().on_silent(*endpoint_);
      return on_confirmation();
    case Phase::connecting:
    case Phase::sending:
      return on_tries_deadline();
    case Phase::responding:
      if (has_moved()) return deadline_.set(timeouts.stream_idle);
      worker_.counters().stream_timeouts.add();
      if (upstream_ != nullptr) std::exchange(upstream_, nullptr)->abandon();
      return abort(upstream_is_paused_ ? "the client stopped reading"
                                       : "the endpoint stopped in the middle of its answer");
    case Phase::tunnel:
      worker_.counters().tunnel_timeouts.add();
      if (upstream_ != nullptr) std::exchange(upstream_, nullptr)->abandon();
      return abort("the tunnel was idle too long");
    case Phase::idle:
    case Phase::over:
      return;
  }
}

// A slow reader, but it reads. What the kernel holds counts: it wakes us only when a third of it has gone, which for a
// few megabytes to a phone takes longer than any patience.
bool Exchange::has_moved() {
  const auto is_less = [](std::size_t now, std::size_t& before) { return now < std::exchange(before, now); };
  bool response = upstream_is_paused_ && is_less(downstream_->undelivered_bytes(), stalled_bytes_);
  bool request =
      request_is_paused_ && upstream_ != nullptr && is_less(upstream_->undelivered_bytes(), stalled_request_bytes_);
  return response || request;
}

void Exchange::on_tries_deadline() {
  if (phase_ == Phase::sending && retry_.per_try == Duration::zero() && has_moved())
    return deadline_.set(worker_.config().timeouts.stream_idle);
  std::exchange(upstream_, nullptr)->abandon();
  if (phase_ == Phase::connecting) {
    worker_.counters().connect_timeouts.add();
    return on_upstream_failed({.stage = UpstreamFailure::Stage::connecting, .code = Errc::timed_out});
  }
  if (!request_is_whole_ && head_->has_body() && !waits_for_continue()) {
    worker_.counters().stream_timeouts.add();
    if (!request_is_paused_) return answer(408, "the request body did not come in time");
  } else {
    worker_.counters().first_byte_timeouts.add();
  }
  UpstreamFailure late{.stage = UpstreamFailure::Stage::before_answer, .code = Errc::timed_out};
  on_upstream_failed(late);
}

}  // namespace lotse::proxy
