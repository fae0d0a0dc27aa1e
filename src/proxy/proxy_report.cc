// The proxy's table for people: explain (who would get this URL, and why) and the admin's /v1/routes.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "http/url.h"
#include "proxy/proxy_impl.h"
#include "proxy/tcp_url.h"

namespace lotse::proxy {

namespace {

using nlohmann::json;

json endpoint_json(const EndpointSet::Member& member, Instant now) {
  const EndpointRecord& record = *member.record;
  std::uint64_t requests = 0, failures = 0;
  for (const EndpointState& state : record.states) {
    requests += state.requests.get();
    failures += state.connect_failures.get();
  }
  json out{{"address", record.address_text},
           {"task", record.endpoint.task},
           {"version", record.endpoint.version},
           {"state", model::to_string(member.state)},
           {"weight", member.weight},
           {"inFlight", record.in_flight()},
           {"requests", requests},
           {"connectFailures", failures}};
  if (member.is_pending) out["state"] = "pending";
  if (!record.active.problem.empty()) out["check"] = record.active.problem;
  const PassiveHealth& health = record.passive;
  if (health.ejections > 0) out["ejections"] = health.ejections;
  if (health.is_ejected) {
    out["ejected"] = true;
    auto left = std::chrono::ceil<std::chrono::seconds>(health.ejected_until - now);
    out["ejectedForSeconds"] = std::max<std::int64_t>(left.count(), 0);
  }
  return out;
}

json set_json(const EndpointSet* set, Instant now) {
  json endpoints = json::array();
  if (set == nullptr) return endpoints;
  for (const EndpointSet::Member& member : set->members()) endpoints.push_back(endpoint_json(member, now));
  return endpoints;
}

json target_json(const Route::Target& target, const RoutingState& replica, Instant now) {
  const auto& set = replica.slot_at(target.slot).set;
  json out{{"app", target.app.app}, {"weight", target.weight}, {"endpoints", set_json(set.get(), now)}};
  if (!target.app.port.empty()) out["port"] = target.app.port;
  return out;
}

std::string host_text(const HostPattern& host) {
  return host.text.empty() ? "" : (host.is_wildcard ? "*" : "") + host.text;
}

// Invalid UTF-8 in a URL of the asker's must not throw.
std::string dump(const json& value) { return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n"; }

struct AskedUrl {
  std::string host, path;
};

// "http://host:port/path?query", or without scheme: "host/path".
Result<AskedUrl, Problem> parse(std::string_view url) {
  std::size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  std::size_t slash = std::min(url.find_first_of("/?"), url.size());
  std::string_view authority = url.substr(0, slash), rest = url.substr(slash);
  if (!http::is_valid_authority(authority)) return fail(Problem{"url", "the host is missing or not a host"});
  AskedUrl asked;
  std::string_view host = http::host_of(authority);
  if (host.ends_with('.')) host.remove_suffix(1);
  for (char c : host) asked.host += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::string_view path = rest.substr(0, rest.find('?'));
  std::string buffer;
  if (path.empty()) path = "/";
  if (!http::is_acceptable_path(path))
    return fail(Problem{"url", "the path is refused with 400: escaped slash, backslash or bad escape"});
  auto normalised = http::normalise_path(path, buffer);
  if (!normalised) return fail(Problem{"url", "the path is refused with 400: it climbs above its root"});
  asked.path = *normalised;
  return asked;
}

}  // namespace

std::string Proxy::Impl::explain(std::string_view url) const {
  const Instant now = main_loop.clock().now();
  if (is_tcp_url(url)) return explain_tcp(url);
  auto asked = parse(url);
  if (!asked) return dump({{"url", url}, {"decision", "refused"}, {"why", asked.error().text()}});
  json out{{"url", url}, {"host", asked->host}, {"path", asked->path}};
  // Routes bound to listeners are told for each listener that differs; most configurations have none.
  std::string_view listener = config ? config->first_http_listener() : "";
  RoutingState::Found found = replica.find(asked->host, asked->path, listener, 0);
  if (!found.is_found) {
    out["decision"] = "none";
    out["status"] = 404;
    out["why"] = replica.table() != nullptr && replica.table()->knows_host(asked->host)
                     ? "routes name this host, but none takes this path"
                     : "no route names this host, and no app is exposed under it or under this path";
    return dump(out);
  }
  std::size_t usable = 0;  // apps that can answer
  if (found.route != nullptr) {
    out["decision"] = "route";
    out["route"] = {{"where", found.route->where}, {"host", host_text(found.route->host)}, {"path", found.route->path}};
    out["why"] = fmt::format("{} is the most specific that matches",
                             found.route->where.empty() ? "the route" : found.route->where);
    for (const Route::Target& target : found.route->targets) {
      out["apps"].push_back(target_json(target, replica, now));
      const auto& set = replica.slot_at(target.slot).set;
      if (set && set->has_usable()) ++usable;
    }
  } else {
    const bool by_host = found.by == RoutingState::Found::By::exposed_host;
    out["decision"] = by_host ? "expose.host" : "expose.path";
    out["why"] =
        by_host ? "the host is the app's under expose.host" : "the path begins with the app's id; it is stripped";
    const auto& set = replica.slot_at(found.slot).set;
    out["apps"].push_back({{"app", found.app}, {"weight", 1}, {"endpoints", set_json(set.get(), now)}});
    if (set && set->has_usable()) ++usable;
  }
  if (usable == 0) out["status"] = 503;
  return dump(out);
}

std::string Proxy::Impl::explain_tcp(std::string_view url) const {
  const Instant now = main_loop.clock().now();
  const RouteTable* table = replica.table();
  json out{{"url", url}, {"decision", "none"}};
  if (!config || table == nullptr) {
    out["why"] = "there is no table yet";
    return dump(out);
  }
  auto asked = parse_tcp_url(*config, url);  // refers to our configuration
  if (!asked) {
    out["why"] = asked.error().what;
    return dump(out);
  }
  const ListenerConfig& listener = *asked->listener;
  out["listener"] = listener.name;
  const Route* route = table->tcp().find(listener.name, asked->server_name);
  if (route == nullptr) {
    out["why"] = fmt::format("{} passes nothing on for this name and has no default", listener.where);
    out["closes"] = true;
    return dump(out);
  }
  const bool is_by_name = !route->host.text.empty();
  out["decision"] = listener.tls_passthrough ? (is_by_name ? "name" : "default") : "tcp";
  out["why"] = is_by_name ? fmt::format("{} names {}", route->where, host_text(route->host))
                          : fmt::format("{} passes on what comes to {}", route->where, listener.address);
  bool is_usable = false;
  for (const Route::Target& target : route->targets) {
    out["apps"].push_back(target_json(target, replica, now));
    const auto& set = replica.slot_at(target.slot).set;
    is_usable = is_usable || (set && set->has_usable());
  }
  out["closes"] = !is_usable;
  return dump(out);
}

std::string Proxy::Impl::routes_json() const {
  const Instant now = main_loop.clock().now();
  json routes = json::array(), tcp = json::array();
  if (const RouteTable* table = replica.table()) {
    for (const Route& route : table->tcp().all()) {
      json targets = json::array();
      for (const Route::Target& target : route.targets) targets.push_back(target_json(target, replica, now));
      tcp.push_back({{"listener", route.listeners.front()}, {"where", route.where}, {"to", targets}});
      if (!route.host.text.empty()) tcp.back()["name"] = host_text(route.host);
    }
    for (const Route& route : table->routes()) {
      json targets = json::array();
      for (const Route::Target& target : route.targets) targets.push_back(target_json(target, replica, now));
      routes.push_back(
          {{"host", host_text(route.host)}, {"path", route.path}, {"where", route.where}, {"to", targets}});
    }
  }
  json apps = json::object();
  if (registry) {
    registry->for_each([&](const EndpointRegistry::Known& known) {
      json endpoint = endpoint_json(EndpointRegistry::member_of(known), now);
      endpoint["port"] = known.endpoint.port;
      if (!known.endpoint.port_name.empty()) endpoint["portName"] = known.endpoint.port_name;
      apps[known.endpoint.app].push_back(std::move(endpoint));
    });
  }
  json out{{"routes", routes}, {"tcp", tcp}, {"apps", apps}, {"workers", workers.size()}};
  if (config) out["expose"] = {{"host", config->expose.host}, {"path", config->expose.path}};
  for (const ListenerInfo& listener : listeners)
    out["listeners"].push_back({{"address", listener.address}, {"bound", listener.bound.to_string()}});
  return dump(out);
}

}  // namespace lotse::proxy
