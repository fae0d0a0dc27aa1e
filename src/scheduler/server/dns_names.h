// The names that the cluster has in DNS (docs/dns.md), a function of what was published and of the State: apps as
// Mesos-DNS named them, the scheduler, the agents. Follows each route update, which costs what it changes. No
// sockets: dns/server.h asks. Owned by DnsService; loop thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "dns/answer.h"
#include "model/routes.h"
#include "scheduler/core/state.h"

namespace lotse::scheduler {

struct DnsNamesOptions {
  std::string domain = "mesos";        // lower case, without dots at its ends
  std::string framework = "marathon";  // as Mesos-DNS called Marathon's half of the domain
  std::uint32_t ttl_seconds = 5;
  std::vector<std::string> scheduler_addresses;  // IPs of the API: leader, master, marathon
  std::uint16_t scheduler_port = 8080;
  std::vector<std::string> server_addresses;  // IPs of the DNS server: ns1
};

// "/shop/web" -> {"web.shop", "web-shop"}: a label per step, and the one label that Mesos-DNS made of it. Empty: a name
// that DNS cannot hold. `is_exact`: no two apps have the same first one.
struct DnsAppName {
  std::string labels, single;
  bool is_exact = true;
};
DnsAppName dns_app_name(const model::AppId& app);

class DnsNames final : public dns::NameSource {
 public:
  DnsNames(const State& state, DnsNamesOptions options);

  void reset(const std::vector<model::Endpoint>& endpoints);
  void apply(const model::RouteUpdate& update);
  std::size_t names() const { return nodes_.size(); }

  std::string zone_of(std::string_view name) const override;
  dns::NameFacts look_up(std::string_view name) const override;
  std::string server_name() const override { return "ns1." + options_.domain; }
  std::vector<std::string> server_addresses() const override { return options_.server_addresses; }
  std::uint32_t serial() const override { return serial_; }
  std::uint32_t ttl_seconds() const override { return options_.ttl_seconds; }

 private:
  enum class Kind : std::uint8_t {
    app_addresses,
    app_services,
    scheduler,
    scheduler_service,
    server,
    agents,
    agents_service
  };
  struct Meaning {
    Kind kind = Kind::app_addresses;
    model::AppId app;
    bool is_udp = false;
    std::string port_name;  // empty: all ports
    bool is_exact = true;   // an exact name beats one that another app may have, too
    bool operator==(const Meaning&) const = default;
  };
  struct Node {
    std::vector<Meaning> meanings;
    std::size_t below = 0;  // names with meanings below it
  };
  struct PortKey {
    bool is_udp = false;
    std::string name;
    auto operator<=>(const PortKey&) const = default;
  };
  struct App {
    std::map<model::TaskId, std::vector<model::Endpoint>> tasks;
    std::map<PortKey, std::size_t> ports;                     // how many endpoints have names by it
    std::map<std::string, std::size_t> up_hosts, down_hosts;  // how many endpoints are there
  };

  void set(const model::Endpoint& endpoint);
  void remove_task(const model::TaskId& task);
  void count(App& app, const model::Endpoint& endpoint, bool is_added);
  void change_names(const model::Endpoint& endpoint, const std::string& port_name, bool is_added);
  void change_address_names(const model::AppId& app, bool is_added);
  void change(const std::string& name, const Meaning& meaning, bool is_added);
  void add_fixed_names();
  void add_facts(dns::NameFacts& facts, const Meaning& meaning) const;
  void add_services(dns::NameFacts& facts, const Meaning& meaning) const;
  void add_agents(dns::NameFacts& facts, bool wants_services) const;
  dns::Service service_at(const std::string& host, std::uint16_t port) const;

  const State& state_;
  DnsNamesOptions options_;
  std::uint32_t serial_ = 1;
  std::unordered_map<std::string, Node> nodes_;
  std::map<model::AppId, App> apps_;
  std::map<model::TaskId, model::AppId> app_of_;
};

}  // namespace lotse::scheduler
