#include "scheduler/server/dns_names.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

namespace lotse::scheduler {
namespace {

constexpr std::size_t kLabelBytesMax = 63, kNameBytesMax = 253;
constexpr std::string_view kIpv4Label = "ip-", kIpv6Label = "ip6-";

// As Mesos-DNS did (RFC 1123): other characters become "-" or nothing, none stands at an end, and 63 are kept.
std::string label_of(std::string_view text) {
  std::string label;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '.' || c == '_') c = '-';
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-') label += c;
  }
  label.erase(0, std::min(label.find_first_not_of('-'), label.size()));
  if (label.size() > kLabelBytesMax) label.resize(kLabelBytesMax);
  while (!label.empty() && label.back() == '-') label.pop_back();
  return label;
}

std::vector<std::string_view> steps_of(std::string_view id) {
  std::vector<std::string_view> steps;
  while (!id.empty()) {
    id.remove_prefix(1);  // "/"
    steps.push_back(id.substr(0, id.find('/')));
    id.remove_prefix(steps.back().size());
  }
  return steps;
}

using IpBytes = std::array<std::uint8_t, 16>;

bool is_ip(const std::string& text) {
  IpBytes bytes;
  return inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 || inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

// The name of an address below slave.<domain>, as the target of SRV records; it holds as long as an agent has the
// address, so longer than any task's record. Empty: `ip` is none.
std::string address_label(const std::string& ip) {
  IpBytes bytes;
  std::string label;
  if (inet_pton(AF_INET, ip.c_str(), bytes.data()) == 1) {
    label = std::string(kIpv4Label) + ip;
    std::replace(label.begin(), label.end(), '.', '-');
  } else if (inet_pton(AF_INET6, ip.c_str(), bytes.data()) == 1) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    label = kIpv6Label;
    for (std::uint8_t byte : bytes) label += {kDigits[byte >> 4], kDigits[byte & 0xf]};
  }
  return label;
}

bool is_below(std::string_view name, std::string_view parent) {
  return name.size() > parent.size() && name.ends_with(parent) && name[name.size() - parent.size() - 1] == '.';
}

std::string_view protocol_label(bool is_udp) { return is_udp ? "._udp." : "._tcp."; }

}  // namespace

DnsAppName dns_app_name(const model::AppId& app) {
  DnsAppName name;
  std::vector<std::string_view> steps = steps_of(app);
  std::string joined;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const std::string label = label_of(*step);
    if (label.empty()) return {};
    name.is_exact = name.is_exact && label == *step;
    name.labels += (name.labels.empty() ? "" : ".") + label;
    joined += (joined.empty() ? "" : "-") + std::string(*step);
  }
  name.single = label_of(joined);
  return name;
}

DnsNames::DnsNames(const State& state, DnsNamesOptions options) : state_(state), options_(std::move(options)) {
  add_fixed_names();
}

void DnsNames::add_fixed_names() {
  const std::string& domain = options_.domain;
  auto add = [&](const std::string& name, Kind kind, bool is_udp = false) {
    // Not exact: an app whose names are the same keeps them.
    change(name, Meaning{.kind = kind, .is_udp = is_udp, .is_exact = false}, true);
  };
  add("ns1." + domain, Kind::server);
  add("leader." + domain, Kind::scheduler);
  add("master." + domain, Kind::scheduler);
  add(options_.framework + "." + domain, Kind::scheduler);
  add("slave." + domain, Kind::agents);
  for (const char* service : {"_leader._tcp.", "_master._tcp."}) add(service + domain, Kind::scheduler_service);
  add("_framework._tcp." + options_.framework + "." + domain, Kind::scheduler_service);
  add("_slave._tcp." + domain, Kind::agents_service);
}

void DnsNames::reset(const std::vector<model::Endpoint>& endpoints) {
  nodes_.clear();
  apps_.clear();
  app_of_.clear();
  add_fixed_names();
  for (const model::Endpoint& endpoint : endpoints) set(endpoint);
  ++serial_;
}

void DnsNames::apply(const model::RouteUpdate& update) {
  for (const model::GoneTask& gone : update.gone) remove_task(gone.task);
  for (const model::Endpoint& endpoint : update.set) set(endpoint);
  ++serial_;
}

void DnsNames::set(const model::Endpoint& endpoint) {
  if (endpoint.state == model::EndpointState::draining) return remove_task(endpoint.task);
  App& app = apps_[endpoint.app];
  std::vector<model::Endpoint>& known = app.tasks[endpoint.task];
  app_of_[endpoint.task] = endpoint.app;
  auto same =
      std::find_if(known.begin(), known.end(), [&](const model::Endpoint& one) { return one.same_identity(endpoint); });
  if (same != known.end()) {
    count(app, *same, false);
    *same = endpoint;
  } else {
    known.push_back(endpoint);
  }
  count(app, endpoint, true);
}

void DnsNames::remove_task(const model::TaskId& task) {
  auto found = app_of_.find(task);
  if (found == app_of_.end()) return;
  auto app = apps_.find(found->second);
  app_of_.erase(found);
  auto known = app->second.tasks.extract(task);
  for (const model::Endpoint& endpoint : known.mapped()) count(app->second, endpoint, false);
  if (app->second.tasks.empty()) apps_.erase(app);
}

void DnsNames::count(App& app, const model::Endpoint& endpoint, bool is_added) {
  const std::size_t before = app.up_hosts.size() + app.down_hosts.size();
  auto& hosts = endpoint.state == model::EndpointState::up ? app.up_hosts : app.down_hosts;
  if (is_added) {
    ++hosts[endpoint.host];
  } else if (auto host = hosts.find(endpoint.host); host != hosts.end() && --host->second == 0) {
    hosts.erase(host);
  }
  const std::size_t after = app.up_hosts.size() + app.down_hosts.size();
  if ((before == 0) != (after == 0)) change_address_names(endpoint.app, is_added);
  std::vector<std::string> port_names{""};
  if (std::string label = label_of(endpoint.port_name); !label.empty()) port_names.push_back(std::move(label));
  for (const std::string& port_name : port_names) {
    std::size_t& uses = app.ports[{endpoint.is_udp, port_name}];
    if (is_added ? uses++ == 0 : --uses == 0) change_names(endpoint, port_name, is_added);
  }
}

void DnsNames::change_address_names(const model::AppId& app, bool is_added) {
  const DnsAppName name = dns_app_name(app);
  if (name.labels.empty()) return;
  for (const std::string& tail :
       {options_.framework + "." + options_.domain, options_.framework + ".slave." + options_.domain}) {
    change(name.labels + "." + tail, {.kind = Kind::app_addresses, .app = app, .is_exact = name.is_exact}, is_added);
    if (name.single == name.labels) continue;
    change(name.single + "." + tail, {.kind = Kind::app_addresses, .app = app, .is_exact = false}, is_added);
  }
}

void DnsNames::change_names(const model::Endpoint& endpoint, const std::string& port_name, bool is_added) {
  const DnsAppName name = dns_app_name(endpoint.app);
  if (name.labels.empty()) return;
  const std::string prefix = port_name.empty() ? "_" : "_" + port_name + "._";
  Meaning meaning{.kind = Kind::app_services,
                  .app = endpoint.app,
                  .is_udp = endpoint.is_udp,
                  .port_name = port_name,
                  .is_exact = name.is_exact};
  for (const std::string& tail :
       {options_.framework + "." + options_.domain, options_.framework + ".slave." + options_.domain}) {
    const std::string end = std::string(protocol_label(endpoint.is_udp)) + tail;
    meaning.is_exact = name.is_exact;
    change(prefix + name.labels + end, meaning, is_added);
    if (name.single == name.labels) continue;
    meaning.is_exact = false;
    change(prefix + name.single + end, meaning, is_added);
  }
}

void DnsNames::change(const std::string& name, const Meaning& meaning, bool is_added) {
  if (name.size() > kNameBytesMax) return;
  Node& node = nodes_[name];
  if (is_added) {
    node.meanings.push_back(meaning);
  } else {
    auto found = std::find(node.meanings.begin(), node.meanings.end(), meaning);
    if (found != node.meanings.end()) node.meanings.erase(found);
  }
  // Every name above exists, too (RFC 8020), up to the domain.
  for (std::string_view above = name; is_below(above, options_.domain);) {
    above.remove_prefix(above.find('.') + 1);
    Node& parent = nodes_[std::string(above)];
    parent.below += is_added ? 1 : std::size_t(-1);
    if (parent.below == 0 && parent.meanings.empty()) nodes_.erase(std::string(above));
  }
  if (auto own = nodes_.find(name); own->second.below == 0 && own->second.meanings.empty()) nodes_.erase(own);
}

std::string DnsNames::zone_of(std::string_view name) const {
  return name == options_.domain || is_below(name, options_.domain) ? options_.domain : "";
}

dns::NameFacts DnsNames::look_up(std::string_view name) const {
  dns::NameFacts facts;
  facts.is_apex = name == options_.domain;
  const std::string slaves = ".slave." + options_.domain;
  if (name.starts_with("ip") && name.ends_with(slaves)) {
    std::string ip(name.substr(0, name.size() - slaves.size()));
    if (ip.find('.') == ip.npos) {
      for (const auto& [id, agent] : state_.agents) {
        if (address_label(agent.registration.host) != ip) continue;
        facts.exists = true;
        facts.addresses = {agent.registration.host};
        return facts;
      }
    }
  }
  auto found = nodes_.find(std::string(name));
  if (found == nodes_.end()) {
    facts.exists = facts.is_apex;
    return facts;
  }
  facts.exists = true;
  // An exact name beats the others; of others that several apps have nobody gets it: no request may reach the wrong
  // app.
  const auto& meanings = found->second.meanings;
  auto exact = std::find_if(meanings.begin(), meanings.end(), [](const Meaning& one) { return one.is_exact; });
  if (exact != meanings.end()) {
    add_facts(facts, *exact);
  } else if (meanings.size() == 1) {
    add_facts(facts, meanings.front());
  }
  return facts;
}

void DnsNames::add_facts(dns::NameFacts& facts, const Meaning& meaning) const {
  switch (meaning.kind) {
    case Kind::app_addresses: {
      const App& app = apps_.find(meaning.app)->second;
      // As the proxy does: those whose health checks fail only when there is nobody else.
      for (const auto& [host, uses] : app.up_hosts.empty() ? app.down_hosts : app.up_hosts) {
        if (is_ip(host)) facts.addresses.push_back(host);
      }
      return;
    }
    case Kind::app_services:
      return add_services(facts, meaning);
    case Kind::scheduler:
      facts.addresses = options_.scheduler_addresses;
      return;
    case Kind::scheduler_service:
      for (const std::string& ip : options_.scheduler_addresses)
        facts.services.push_back({options_.scheduler_port, "leader." + options_.domain, ip});
      return;
    case Kind::server:
      facts.addresses = options_.server_addresses;
      return;
    case Kind::agents:
    case Kind::agents_service:
      return add_agents(facts, meaning.kind == Kind::agents_service);
  }
}

void DnsNames::add_services(dns::NameFacts& facts, const Meaning& meaning) const {
  const App& app = apps_.find(meaning.app)->second;
  std::vector<const model::Endpoint*> up, down;
  for (const auto& [task, endpoints] : app.tasks) {
    for (const model::Endpoint& endpoint : endpoints) {
      if (endpoint.is_udp != meaning.is_udp) continue;
      if (!meaning.port_name.empty() && label_of(endpoint.port_name) != meaning.port_name) continue;
      (endpoint.state == model::EndpointState::up ? up : down).push_back(&endpoint);
    }
  }
  for (const model::Endpoint* endpoint : up.empty() ? down : up)
    facts.services.push_back(service_at(endpoint->host, endpoint->host_port));
}

void DnsNames::add_agents(dns::NameFacts& facts, bool wants_services) const {
  std::set<std::string> hosts;
  for (const auto& [id, agent] : state_.agents) {
    if (agent.health == AgentHealth::lost) continue;
    const model::AgentRegistration& known = agent.registration;
    if (!wants_services) {
      if (is_ip(known.host)) hosts.insert(known.host);
      continue;
    }
    std::uint16_t port = 0;
    const std::string_view text = std::string_view(known.api).substr(known.api.rfind(':') + 1);
    std::from_chars(text.data(), text.data() + text.size(), port);
    if (port != 0) facts.services.push_back(service_at(known.host, port));
  }
  facts.addresses.assign(hosts.begin(), hosts.end());
}

dns::Service DnsNames::service_at(const std::string& host, std::uint16_t port) const {
  const std::string label = address_label(host);
  if (label.empty()) return {port, host, ""};  // a name of its own: whoever knows it answers for it
  return {port, label + ".slave." + options_.domain, host};
}

}  // namespace lotse::scheduler
