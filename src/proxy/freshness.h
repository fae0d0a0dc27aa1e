// A worker's answer to "is the task still where the table says?" (P2, design section 6). While the table is known to be
// current: yes. Else the endpoint's agent is asked, by way of the main thread, before a new connection is opened.
// Reads the real clock: the loop's cached time is from before a SIGSTOP. One per worker; one loop thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "proxy/endpoint_record.h"
#include "proxy/endpoint_source.h"

namespace lotse::proxy {

class Freshness {
 public:
  enum class Answer : std::uint8_t { yes, ask, no };  // ask: the answer comes through on_answer()

  // `fresh_until` is written by the main thread: nanoseconds of the boot clock.
  Freshness(const Clock& clock, const std::atomic<std::int64_t>& fresh_until, std::size_t worker,
            std::function<void(EndpointRecord&)> ask)
      : clock_(clock), fresh_until_(fresh_until), worker_(worker), ask_(std::move(ask)) {}

  bool is_stale();
  Answer may_connect(EndpointRecord& record);  // of an endpoint that has an agent
  void on_answer(EndpointRecord& record, Confirmation confirmation);
  void on_silent(EndpointRecord& record);  // kept, until a connection to it fails
  void on_connect_failed(EndpointRecord& record);
  void forget(EndpointRecord& record);
  bool has_any_out() const { return !out_.empty(); }

 private:
  EndpointState& state_of(EndpointRecord& record) const { return record.states[worker_]; }
  void put_out(EndpointRecord& record);

  const Clock& clock_;
  const std::atomic<std::int64_t>& fresh_until_;
  std::size_t worker_;
  std::function<void(EndpointRecord&)> ask_;
  std::int64_t known_fresh_until_ = 0;
  std::vector<EndpointRecord*> out_;  // until fresh_until_ moves: then the source has spoken again
};

}  // namespace lotse::proxy
