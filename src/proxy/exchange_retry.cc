// The part of Exchange that decides what a failed try means (docs/decisions/0003-retry-of-idempotent-requests.md).
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "proxy/exchange.h"
#include "proxy/worker.h"

namespace lotse::proxy {

namespace {

constexpr Duration kSuspicion = std::chrono::seconds(1);  // how long an endpoint that refused us comes last

bool is_lost_connection(Errc code) { return code == Errc::end_of_stream || code == Errc::connection_reset; }

// What a failed try says of the endpoint's health, if anything. A pooled connection that turns out dead is the race
// that keep-alive has by design; a status was counted when its head came; that we are out of descriptors, or that an
// agent denies the task, is no failure of the endpoint.
std::optional<FailureKind> kind_of(const UpstreamFailure& failure) {
  switch (failure.code) {
    case Errc::refused:
    case Errc::unreachable:
    case Errc::resolve_failed:
    case Errc::timed_out:
    case Errc::protocol:
      break;
    case Errc::end_of_stream:
    case Errc::connection_reset:
      if (failure.was_reused) return std::nullopt;
      break;
    default:
      return std::nullopt;
  }
  return failure.stage == UpstreamFailure::Stage::connecting ? FailureKind::connect : FailureKind::gateway;
}

}  // namespace

void Exchange::keep_for_replay(std::string_view bytes) {
  if (keeps_body_ && body_.size() + bytes.size() <= worker_.config().limits.buffer_bytes_max) {
    // The outbox may refer to the body, which moves when it has to grow. Growing by doubling keeps that rare: a body of
    // tiny chunks might cost a system call for each of them.
    if (body_.capacity() - body_.size() < bytes.size()) {
      worker_.outbox().release_views();
      body_.reserve(std::max(body_.size() + bytes.size(), 2 * body_.capacity()));
    }
    body_.append(bytes);
    return;
  }
  replay_is_lost_ = true;
  if (!std::exchange(keeps_body_, false)) return;
  worker_.outbox().release_views();
  body_.clear();
}

void Exchange::on_upstream_failed(const UpstreamFailure& failure) {
  upstream_ = nullptr;
  if (head_was_sent_)
    return abort(failure.code == Errc::protocol ? failure.reason : "the endpoint broke off its answer");
  note_failure(failure);
  if (!retry_after(failure)) answer_failure();
}

void Exchange::note_failure(const UpstreamFailure& failure) {
  EndpointState& state = endpoint_->states[worker_.index()];
  if (failure.stage == UpstreamFailure::Stage::connecting) {
    state.connect_failures.add();
    worker_.counters().connect_failures.add();
    my_stats().connect_failures.add();
    worker_.freshness().on_connect_failed(*endpoint_);
  } else {
    worker_.counters().upstream_failures.add();
  }
  if (auto kind = kind_of(failure)) worker_.failures().fail(*endpoint_, *kind);
  // One lost connection that had been idle says little; one that was made for this request says: not now.
  if (!failure.was_reused &&
      (failure.stage == UpstreamFailure::Stage::connecting || is_lost_connection(failure.code))) {
    state.suspect_until = worker_.loop().now() + kSuspicion;
  }
  if (failure_count_ == kTriesMax) return;
  failed_[failure_count_] = endpoint_;
  failures_[failure_count_] = {arena_.copy(endpoint_->address_text), failure};
  ++failure_count_;
}

bool Exchange::retry_after(const UpstreamFailure& failure) {
  switch (failure.stage) {
    case UpstreamFailure::Stage::connecting:
      return retry_on_another(failure);
    case UpstreamFailure::Stage::before_answer:
      break;
    case UpstreamFailure::Stage::in_answer:
      return false;  // it has been worked on
  }
  if (!may_replay()) return false;
  // A refused stream, or one that a GOAWAY left out, may be sent again whatever its method (RFC 9113 section 8.7).
  if (!http::is_idempotent(head_->method) && !failure.is_unprocessed) return false;
  if (failure.is_unprocessed && failure.code == Errc::unavailable) return retry_unprocessed();
  if (failure.was_reused && is_lost_connection(failure.code) && !std::exchange(has_replayed_, true))
    return replay_on_fresh();
  return retry_on_another(failure);
}

// The peer may have closed this reused connection while our request was under way (RFC 9112 section 9.3.1): one fresh
// connection, to the same endpoint if it still takes requests.
bool Exchange::replay_on_fresh() {
  worker_.counters().replays.add();
  wants_fresh_ = true;
  --failure_count_;  // not the endpoint's fault: it is not to be avoided
  const EndpointState& state = endpoint_->states[worker_.index()];
  if (state.is_removed || state.state == model::EndpointState::draining) {
    let_endpoint_go();
    choose();
  } else {
    ++attempts_;
    connect();
  }
  return true;
}

// Free of budget, for nobody has worked on it; another endpoint where there is one, else another connection. An
// endpoint that refuses everything is given up.
bool Exchange::retry_unprocessed() {
  constexpr int kTimesMax = 3;
  Slot* slot = worker_.routing().slot(slot_);
  if (slot == nullptr || ++unprocessed_ > kTimesMax) return false;
  may_repeat_ = true;
  worker_.counters().unprocessed_retries.add();
  let_endpoint_go();
  choose();
  return true;
}

bool Exchange::retry_on_another(const UpstreamFailure& failure) {
  const bool is_connecting = failure.stage == UpstreamFailure::Stage::connecting;
  Slot* slot = worker_.routing().slot(slot_);
  if (slot == nullptr) return false;
  bool is_free = false;
  if (is_connecting) {
    auto tries_max = std::min<std::size_t>(kConnectTriesMax, slot->set->usable_count());
    is_free = static_cast<std::size_t>(++connect_failures_) < tries_max;
  } else if (is_lost_connection(failure.code)) {
    // A published port may take the connection and drop it although the container is gone (docker-proxy): once, on
    // another endpoint, for requests that may be sent twice.
    is_free = !std::exchange(has_retried_empty_, true) && slot->set->usable_count() > 1;
  }
  if (!is_free &&
      !take_budget(is_connecting ? retry_.when_connect : retry_.when_refused || failure.code == Errc::timed_out)) {
    return false;
  }
  may_repeat_ = !is_free;
  wants_fresh_ = wants_fresh_ || !is_connecting;
  worker_.counters().retries.add();
  stats_->per_worker[worker_.index()].retries.add();
  let_endpoint_go();
  choose();
  return true;
}

bool Exchange::take_budget(bool is_configured) {
  if (!is_configured || attempts_ >= retry_.attempts) return false;
  if (worker_.take_retry_budget(retry_.budget_percent)) return true;
  worker_.counters().retry_refusals.add();
  return false;
}

// An answer that the route's `retry` names: thrown away, unless this was the last try.
bool Exchange::retry_status(int status) {
  if (!http::is_idempotent(head_->method) || !may_replay() || (head_->has_body() && !request_is_whole_)) return false;
  return retry_answered(status == 502   ? "answered 502"
                        : status == 504 ? "answered 504"
                                        : "answered with a status to retry");
}

bool Exchange::retry_answered(const char* reason) {
  Slot* slot = worker_.routing().slot(slot_);
  if (slot == nullptr || !slot->set->has_usable() || !take_budget(true)) return false;
  std::exchange(upstream_, nullptr)->abandon();
  note_failure(
      {.stage = UpstreamFailure::Stage::in_answer, .code = Errc::unavailable, .was_reused = true, .reason = reason});
  may_repeat_ = true;
  worker_.counters().retries.add();
  stats_->per_worker[worker_.index()].retries.add();
  let_endpoint_go();
  choose();
  return true;
}

// What the last try ended with decides the status; the sentence names them all.
void Exchange::answer_failure() {
  const UpstreamFailure& last = failures_[failure_count_ - 1].what;
  const bool only_connecting =
      std::all_of(failures_.begin(), failures_.begin() + static_cast<std::ptrdiff_t>(failure_count_),
                  [](const Failure& one) { return one.what.stage == UpstreamFailure::Stage::connecting; });
  int status = only_connecting                                                                    ? 503
               : last.code == Errc::timed_out && last.stage != UpstreamFailure::Stage::connecting ? 504
                                                                                                  : 502;
  const bool all_refused =
      std::all_of(failures_.begin(), failures_.begin() + static_cast<std::ptrdiff_t>(failure_count_),
                  [](const Failure& one) { return one.what.code == Errc::refused; });
  text_.clear();
  auto out = std::back_inserter(text_);
  if (failure_count_ == 1) {
    fmt::format_to(out, "app {}: 1 endpoint tried: ", stats_->app);
  } else {
    fmt::format_to(out, "app {}: all {} endpoints tried {}: ", stats_->app, failure_count_,
                   all_refused ? "refused" : "failed");
  }
  for (std::size_t i = 0; i < failure_count_; ++i) {
    const Failure& one = failures_[i];
    std::string_view what = one.what.reason[0] != '\0' ? std::string_view(one.what.reason) : to_string(one.what.code);
    std::string_view when = one.what.stage == UpstreamFailure::Stage::connecting      ? "connecting"
                            : one.what.stage == UpstreamFailure::Stage::before_answer ? "waiting for the answer"
                                                                                      : "reading the answer";
    fmt::format_to(out, "{}{} {} ({})", i == 0 ? "" : ", ", one.address, what, when);
  }
  answer(status, text_, status == 503);
}

}  // namespace lotse::proxy
