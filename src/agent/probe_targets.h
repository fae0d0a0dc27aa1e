// Where a task's port is probed. A container is asked at its own address when we can reach that: docker-proxy accepts
// connections on the host port before the app listens, so the host port proves little. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/agent_protocol.h"

namespace lotse::agent {

struct ProbeAddress {
  std::string ip;
  std::uint16_t port = 0;
  bool operator==(const ProbeAddress&) const = default;
};

// The places to try for one port, best first. The one that answered is kept; the next is tried when this one cannot
// be reached, or, with `refusal_is_final` false, when nobody listens there.
class ProbeTarget {
 public:
  ProbeTarget() = default;
  ProbeTarget(std::vector<ProbeAddress> addresses, bool refusal_is_final)
      : addresses_(std::move(addresses)), refusal_is_final_(refusal_is_final) {}
  bool is_empty() const { return addresses_.empty(); }
  const ProbeAddress& current() const { return addresses_[current_]; }
  const std::vector<ProbeAddress>& all() const { return addresses_; }
  void on_connect_failed(Errc code) {
    bool is_elsewhere = code == Errc::unreachable || code == Errc::timed_out || code == Errc::permission_denied ||
                        (code == Errc::refused && !refusal_is_final_);
    if (is_elsewhere && !addresses_.empty()) current_ = (current_ + 1) % addresses_.size();
  }

 private:
  std::vector<ProbeAddress> addresses_;
  bool refusal_is_final_ = true;
  std::size_t current_ = 0;
};

// `index`: into ports_of(app). Empty when that port cannot be reached by anyone.
ProbeTarget target_of_port(const model::LaunchTask& launch, std::size_t index, const std::string& container_ip,
                           const std::string& host);
// What a health check means by `port` or `portIndex`.
ProbeTarget target_of_check(const model::LaunchTask& launch, const model::HealthCheck& check,
                            const std::string& container_ip, const std::string& host);
// The published TCP ports: a task without health checks is ready when each of them accepts.
std::vector<ProbeTarget> targets_of_published_ports(const model::LaunchTask& launch, const std::string& container_ip,
                                                    const std::string& host);

}  // namespace lotse::agent
