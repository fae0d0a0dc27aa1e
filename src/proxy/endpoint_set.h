// The endpoints that one target (an app and one of its ports) has right now: immutable, shared by all workers, replaced
// as a whole when one of them changes. What lives longer hangs on the EndpointRecords. Built by the main thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/app_id.h"
#include "model/routes.h"
#include "proxy/app_stats.h"
#include "proxy/config.h"
#include "proxy/endpoint_record.h"

namespace lotse::proxy {

class EndpointSet {
 public:
  struct Member {
    std::shared_ptr<EndpointRecord> record;
    model::EndpointState state = model::EndpointState::up;
    std::uint32_t weight = 100;
    bool has_agent = false;   // somebody can confirm the task (P2)
    bool is_pending = false;  // new, and gets nothing before its first passed check
    bool is_ejected = false;  // by passive health: only when no other up one is left
  };

  // With less than `panic_threshold_percent` of the up ones left in, ejections are ignored: those that are left would
  // only fail under the load of all.
  EndpointSet(model::AppTarget target, Balance balance, AppStats& stats, std::vector<Member> members,
              int panic_threshold_percent = 0);

  const model::AppTarget target;
  const Balance balance;
  AppStats& stats;  // lives as long as the process

  // Up ones first, then ejected ones, then down ones, then draining and pending ones; each in the order of their
  // identity.
  const std::vector<Member>& members() const { return members_; }
  std::size_t up_count() const { return up_count_; }  // not ejected
  bool ignores_ejections() const { return is_panic_; }
  std::size_t usable_count() const { return usable_count_; }  // up, ejected or down: may be tried
  bool has_usable() const { return usable_count_ > 0; }

  // The up member that the share `point` (any 64 bits, evenly spread) falls on, by weight. up_count() > 0.
  std::size_t up_member_at(std::uint64_t point) const;
  bool is_evenly_weighted() const { return cumulative_weights_.empty(); }

 private:
  std::vector<Member> members_;
  std::size_t up_count_ = 0, usable_count_ = 0;
  bool is_panic_ = false;
  std::vector<std::uint64_t> cumulative_weights_;  // of the up members; empty: all weigh the same
};

}  // namespace lotse::proxy
