#include "proxy/config_validate.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "http/url.h"
#include "proxy/config_tcp.h"
#include "proxy/tcp_url.h"

namespace lotse::proxy {
namespace {

std::string problem_of_path(std::string_view path) {
  if (!path.starts_with('/')) return "must start with \"/\"";
  if (path.find("//") != path.npos) return "doubled slashes never match: paths are normalised first";
  if (path.find_first_of("?#") != path.npos) return "a path has no \"?\" or \"#\"";
  if (path.find_first_of("*{}") != path.npos) return "matches by segment; patterns are not supported";
  for (unsigned char c : path) {
    if (c <= ' ' || c >= 0x7f || c == '\\') return "holds a character that must be percent-encoded";
  }
  for (std::string_view segment : {"/./", "/../"}) {
    if (std::string(path).append("/").find(segment) != std::string::npos) {
      return "dot segments never match: paths are normalised first";
    }
  }
  return {};
}

void validate_listeners(const Config& config, ConfigReport& report) {
  std::map<std::string, std::size_t> names;
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    const ListenerConfig& listener = config.listeners[i];
    std::string key = fmt::format("listeners[{}]", i);
    if (!listener.name.empty()) {
      auto [first, is_new] = names.emplace(listener.name, i);
      if (!is_new) {
        report.problem(key + ".name",
                       fmt::format("\"{}\" is the name of listeners[{}] too", listener.name, first->second));
      }
    }
    for (std::size_t j = 0; j < i; ++j) {
      const net::Address& other = config.listeners[j].parsed_address;
      if (listener.parsed_address.is_empty() || !(other == listener.parsed_address)) continue;
      if (other.port() == 0) continue;  // any free port: never the same one
      report.problem(key + ".address", fmt::format("listeners[{}] has the same address", j));
    }
  }
  if (config.listeners.empty()) report.warning("listeners", "there are none: nothing is served");
}

void validate_http_listener(const Config& config, std::string_view name, const std::string& key, ConfigReport& report) {
  std::vector<std::string_view> names;
  for (const ListenerConfig& listener : config.listeners) {
    if (listener.name == name && listener.is_tcp()) report.problem(key, "speaks TCP: no request arrives there");
    names.push_back(listener.name);
  }
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  std::string_view near = nearest(name, names);
  report.problem(key, fmt::format("there is no listener \"{}\"{}", name,
                                  near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
}

void validate_match(const Config& config, const RouteMatch& match, const std::string& key, ConfigReport& report) {
  if (!match.host.text.empty()) {
    std::string_view name = match.host.text;
    if (match.host.is_wildcard) name.remove_prefix(1);
    if (!is_host_name(name)) {
      report.problem(key + ".host", "must be a host name without port, or \"*.\" and a host name");
    }
  }
  if (std::string what = problem_of_path(match.path); !what.empty()) report.problem(key + ".path", what);
  for (std::size_t i = 0; i < match.listeners.size(); ++i) {
    validate_http_listener(config, match.listeners[i], fmt::format("{}.listeners[{}]", key, i), report);
  }
}

// On which listener would both match? A route for some listeners beats one for all, so those two may share a match.
bool is_same_match(const RouteMatch& a, const RouteMatch& b) {
  if (!(a.host == b.host) || a.path != b.path || a.listeners.empty() != b.listeners.empty()) return false;
  if (a.listeners.empty()) return true;
  return std::any_of(a.listeners.begin(), a.listeners.end(), [&](const std::string& name) {
    return std::find(b.listeners.begin(), b.listeners.end(), name) != b.listeners.end();
  });
}

void validate_routes(const Config& config, ConfigReport& report) {
  // By host and path, so that a file with thousands of routes is not compared pair by pair.
  std::map<std::pair<std::string, std::string>, std::vector<std::size_t>> same_place;
  for (std::size_t i = 0; i < config.routes.size(); ++i) {
    const RouteConfig& route = config.routes[i];
    std::string key = fmt::format("routes[{}]", i);
    validate_match(config, route.match, key + ".match", report);
    validate_targets(route.to, key + ".to", report);
    std::string host = (route.match.host.is_wildcard ? "*" : "") + route.match.host.text;
    std::vector<std::size_t>& others = same_place[{host, route.match.path}];
    auto same = std::find_if(others.begin(), others.end(),
                             [&](std::size_t j) { return is_same_match(config.routes[j].match, route.match); });
    if (same != others.end()) {
      report.problem(key + ".match", fmt::format("the same as {}", config.routes[*same].where));
    } else if (others.size() < 100) {
      others.push_back(i);
    }
  }
}

void validate_expose(const ExposeConfig& expose, ConfigReport& report) {
  if (expose.host.empty()) return;
  if (expose.host.find("{app}") == std::string::npos) {
    return report.problem("expose.host", "must hold {app}, as in \"{app}.apps.example.com\"");
  }
  if (!is_host_name(exposed_host(expose.host, "/a"))) {
    report.problem("expose.host", "is not a host name once {app} is replaced");
  }
}

void validate_static(const SourceConfig& source, const std::string& key, ConfigReport& report) {
  for (const auto& [app, endpoints] : source.fixed) {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      std::string place = fmt::format("{}.static.{}{}", key, app, endpoints.size() == 1 ? "" : fmt::format("[{}]", i));
      auto url = http::parse_url("http://" + endpoints[i]);
      bool has_port =
          endpoints[i].find(':', endpoints[i].starts_with('[') ? endpoints[i].find(']') : 0) != std::string::npos;
      if (!url || url->target != "/" || url->endpoint.port == 0 || !has_port || endpoints[i].ends_with('/')) {
        report.problem(place, "must be host:port");
      } else if (!seen.insert(endpoints[i]).second) {
        report.problem(place, "the same endpoint twice");
      }
    }
  }
}

void validate_discovery(const Config& config, ConfigReport& report) {
  int schedulers = 0;
  std::set<model::AppId> announced;
  for (std::size_t i = 0; i < config.discovery.sources.size(); ++i) {
    const SourceConfig& source = config.discovery.sources[i];
    std::string key = fmt::format("discovery.sources[{}]", i);
    if (!source.scheduler.empty()) {
      ++schedulers;
      auto url = http::parse_url(source.scheduler);
      if (!url)
        report.problem(key + ".scheduler", url.error().what);
      else if (url->target != "/")
        report.problem(key + ".scheduler", "must be a URL without a path");
      for (std::size_t j = 0; j < i; ++j) {
        if (config.discovery.sources[j].scheduler == source.scheduler) {
          report.problem(key + ".scheduler", fmt::format("the same as discovery.sources[{}]", j));
        }
      }
    }
    validate_static(source, key, report);
    for (const auto& [app, endpoints] : source.fixed) {
      if (!announced.insert(app).second) report.problem(key + ".static." + app, "another source has this app too");
    }
  }
  if (schedulers > 0) return;  // who knows what it will announce
  auto warn_of = [&](const std::vector<WeightedTarget>& to, const std::string& key, std::string_view what) {
    for (const WeightedTarget& target : to) {
      if (target.app.app.empty() || announced.contains(target.app.app)) continue;
      report.warning(key, fmt::format("no source announces {}: {}", target.app.app, what));
    }
  };
  for (std::size_t i = 0; i < config.routes.size(); ++i)
    warn_of(config.routes[i].to, fmt::format("routes[{}].to", i), "requests get 503");
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    config.listeners[i].for_each_target_list([&](const auto& to, const std::string& key) {
      warn_of(to, fmt::format("listeners[{}].{}", i, key), "connections are closed");
    });
  }
}

void validate_tests(const Config& config, ConfigReport& report) {
  for (std::size_t i = 0; i < config.tests.size(); ++i) {
    std::string key = fmt::format("tests[{}]", i);
    if (!config.tests[i].listener.empty()) {
      validate_http_listener(config, config.tests[i].listener, key + ".listener", report);
    }
    if (config.tests[i].get.empty()) continue;  // missing: said already
    if (is_tcp_url(config.tests[i].get)) {
      auto asked = parse_tcp_url(config, config.tests[i].get);
      if (!asked) report.problem(key + ".get", asked.error().what);
      continue;
    }
    if (auto url = http::parse_url(config.tests[i].get); !url || url->endpoint.host.empty()) {
      report.problem(key + ".get", "must be a URL like http://shop.example.com/api");
    }
  }
}

void validate_health(const HealthCheck& check, const std::string& key, ConfigReport& report) {
  using By = HealthCheck::By;
  const bool is_target = check.path.starts_with('/') && std::all_of(check.path.begin(), check.path.end(), [](char c) {
                           return c > ' ' && c < 0x7f && c != '#';
                         });
  if (!is_target) report.problem(key + ".path", "must start with \"/\" and hold nothing that must be percent-encoded");
  if (check.by != By::http && check.path != "/") report.problem(key + ".path", "is for checks by http");
  if (!check.host.empty() && !http::is_valid_authority(check.host)) report.problem(key + ".host", "is not a host");
  if (check.by != By::http && !check.host.empty()) report.problem(key + ".host", "is for checks by http");
  constexpr std::size_t kServiceBytesMax = 120;  // its length is one byte in the request
  if (check.service.size() > kServiceBytesMax) report.problem(key + ".service", "is longer than 120 bytes");
  if (check.by != By::grpc && !check.service.empty()) report.problem(key + ".service", "is for checks by grpc");
}

void validate_upstream_tls(const UpstreamTlsConfig& tls, const std::string& key, ConfigReport& report) {
  const bool is_name =
      is_host_name(tls.server_name) || net::Address::from_ip(tls.server_name, 0).has_value() || tls.server_name.empty();
  if (!is_name) report.problem(key + ".server_name", "must be a host name or an IP address, without port");
  if (!tls.verify && !tls.ca.empty()) report.problem(key + ".ca", "nothing is verified: `verify` is false");
  if (!tls.verify) report.warning(key + ".verify", "whoever answers at an endpoint's address is believed");
}

void validate_apps(const Config& config, ConfigReport& report) {
  for (const auto& [id, app] : config.apps) {
    const OutlierDetection& policy = app.outlier_detection;
    if (policy.ejection_time_max < policy.ejection_time_base) {
      report.problem("apps." + id + ".outlier_detection.ejection_time_max", "is less than ejection_time_base");
    }
    if (app.health) validate_health(*app.health, "apps." + id + ".health", report);
    if (app.tls) validate_upstream_tls(*app.tls, "apps." + id + ".tls", report);
    if (app.proxy_protocol && app.protocol == AppProtocol::h2)
      report.problem("apps." + id + ".proxy_protocol", "connections that speak h2 are shared by clients");
    if (app.tls && app.health && app.health->by != HealthCheck::By::tcp)
      report.problem("apps." + id + ".health.by", "checks do not speak TLS: `tcp` is what can be checked of this app");
    if (app.tls && app.proxy_protocol)
      report.problem("apps." + id + ".proxy_protocol", "is not spoken in front of TLS: leave one of the two out");
  }
}

void validate_limits(const LimitsConfig& limits, ConfigReport& report) {
  if (limits.http.request_line_bytes_max > limits.http.head_bytes_max) {
    report.problem("limits.request_line_bytes_max", "is more than head_bytes_max");
  }
  if (limits.http.head_bytes_max > 1024 * 1024) report.problem("limits.head_bytes_max", "is more than 1MiB");
}

}  // namespace

bool is_host_name(std::string_view host) {
  if (host.starts_with('[')) return http::is_valid_authority(host) && host.ends_with(']');
  if (host.empty() || host.size() > 253) return false;
  std::size_t label = 0;
  for (std::size_t i = 0; i <= host.size(); ++i) {
    if (i == host.size() || host[i] == '.') {
      if (label == 0 || label > 63 || host[i - label] == '-' || host[i - 1] == '-') return false;
      label = 0;
    } else {
      bool is_letter = (host[i] >= 'a' && host[i] <= 'z') || (host[i] >= '0' && host[i] <= '9');
      if (!is_letter && host[i] != '-' && host[i] != '_') return false;
      ++label;
    }
  }
  return true;
}

void validate_targets(const std::vector<WeightedTarget>& to, const std::string& key, ConfigReport& report) {
  if (to.empty()) return report.problem(key, "names no app");
  std::set<std::pair<std::string, std::string>> seen;
  int weights = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const WeightedTarget& target = to[i];
    weights += target.weight;
    if (!target.app.app.empty() && !seen.emplace(target.app.app, target.app.port).second) {
      report.problem(fmt::format("{}[{}]", key, i), "the same app twice; give it one weight");
    }
  }
  if (weights == 0) report.problem(key, "all weights are 0");
}

void validate_config(const Config& config, ConfigReport& report) {
  validate_listeners(config, report);
  validate_tcp(config, report);
  validate_routes(config, report);
  validate_expose(config.expose, report);
  validate_discovery(config, report);
  validate_apps(config, report);
  validate_limits(config.limits, report);
  validate_tests(config, report);
}

}  // namespace lotse::proxy
