#include "proxy/freshness.h"

#include <algorithm>

namespace lotse::proxy {

namespace {
constexpr Duration kAnswerKept = std::chrono::seconds(5);
}

bool Freshness::is_stale() {
  std::int64_t fresh_until = fresh_until_.load(std::memory_order_relaxed);
  if (fresh_until != known_fresh_until_) {
    known_fresh_until_ = fresh_until;
    for (EndpointRecord* record : out_) state_of(*record).is_out = state_of(*record).is_kept_unconfirmed = false;
    out_.clear();
  }
  return clock_.now().time_since_epoch().count() >= fresh_until;
}

Freshness::Answer Freshness::may_connect(EndpointRecord& record) {
  EndpointState& state = state_of(record);
  if (!is_stale()) return Answer::yes;
  if (state.is_out) return Answer::no;
  if (state.confirmed_until > clock_.now()) return Answer::yes;
  if (!std::exchange(state.is_confirming, true)) ask_(record);
  return Answer::ask;
}

void Freshness::on_answer(EndpointRecord& record, Confirmation confirmation) {
  EndpointState& state = state_of(record);
  if (!std::exchange(state.is_confirming, false)) return;
  switch (confirmation) {
    case Confirmation::confirmed:
      state.confirmed_until = clock_.now() + kAnswerKept;
      state.is_kept_unconfirmed = false;
      return;
    case Confirmation::denied:
      return put_out(record);
    case Confirmation::silent:
      return on_silent(record);
  }
}

void Freshness::on_silent(EndpointRecord& record) {
  EndpointState& state = state_of(record);
  state.is_confirming = false;
  state.is_kept_unconfirmed = true;
  state.confirmed_until = clock_.now() + kAnswerKept;
}

void Freshness::on_connect_failed(EndpointRecord& record) {
  if (state_of(record).is_kept_unconfirmed && is_stale()) put_out(record);
}

void Freshness::put_out(EndpointRecord& record) {
  if (state_of(record).is_removed) return;  // its record lives only as long as what is under way on it
  if (is_stale() && !std::exchange(state_of(record).is_out, true)) out_.push_back(&record);
}

void Freshness::forget(EndpointRecord& record) { std::erase(out_, &record); }

}  // namespace lotse::proxy
