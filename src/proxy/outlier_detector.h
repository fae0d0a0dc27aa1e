// Passive health: who is ejected for failing in a row, for how long, and who is let back (apps.*.outlier_detection).
// Fed with the workers' reports; its verdicts are RoutingUpdates like any other change. Reads and marks the records of
// the EndpointRegistry; never touches a worker, opens no connection, knows the time only as an argument. An ejected
// endpoint is not gone and not draining: what is in flight on it goes on. Main thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/endpoint_registry.h"
#include "proxy/passive_health.h"

namespace lotse::proxy {

struct Ejection {
  const EndpointRecord& record;
  FailureKind kind;
  std::uint32_t failures;  // in a row
  Duration time;
};

class OutlierDetector {
 public:
  // Called for each ejection as it is decided, and for each endpoint that is let back.
  struct Listener {
    std::function<void(const Ejection&)> on_ejected;
    std::function<void(const EndpointRecord&)> on_returned;
  };

  OutlierDetector(EndpointRegistry& registry, Listener listener)
      : registry_(registry), listener_(std::move(listener)) {}

  RoutingUpdate on_failures(const std::vector<FailureReport>& reports, Instant now);
  RoutingUpdate let_back(Instant now);                           // those whose time is over
  RoutingUpdate on_config(Instant now);                          // the registry has a new one: checks may be off now
  std::optional<Instant> next_return() const;                    // when to call let_back()
  std::vector<std::shared_ptr<EndpointRecord>> ejected() const;  // those still in the table

 private:
  struct Siblings {  // endpoints of one app and port that discovery calls up
    std::size_t up = 0, ejected = 0;
  };
  Siblings siblings_of(const EndpointRecord& record) const;
  void count(PassiveHealth& health, const FailureReport& report) const;
  std::optional<FailureKind> over_threshold(const PassiveHealth& health, const FailureRuns& runs,
                                            const OutlierDetection& policy) const;
  bool may_eject(const EndpointRecord& record, const OutlierDetection& policy) const;
  void eject(const std::shared_ptr<EndpointRecord>& record, FailureKind kind, std::uint32_t failures, Instant now);
  void take_back(EndpointRecord& record, Instant now);

  EndpointRegistry& registry_;
  Listener listener_;
  std::multimap<Instant, std::weak_ptr<EndpointRecord>> returns_;  // one entry per ejected endpoint
};

}  // namespace lotse::proxy
