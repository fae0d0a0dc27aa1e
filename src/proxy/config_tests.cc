#include "proxy/config_tests.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <set>

#include "http/url.h"
#include "proxy/route_table.h"
#include "proxy/routing_state.h"
#include "proxy/tcp_url.h"

namespace lotse::proxy {
namespace {

std::string describe_apps(const std::vector<model::AppId>& apps) { return fmt::format("{}", fmt::join(apps, ", ")); }

std::set<model::AppId> apps_named_in(const Config& config) {
  std::set<model::AppId> apps;
  for (const auto& [id, app] : config.apps) apps.insert(id);
  for (const RouteConfig& route : config.routes) {
    for (const WeightedTarget& target : route.to) apps.insert(target.app.app);
  }
  for (const ListenerConfig& listener : config.listeners) {
    listener.for_each_target_list([&](const auto& targets, const std::string&) {
      for (const WeightedTarget& target : targets) apps.insert(target.app.app);
    });
  }
  for (const SourceConfig& source : config.discovery.sources) {
    for (const auto& [id, endpoints] : source.fixed) apps.insert(id);
  }
  for (const ConfigTest& test : config.tests) apps.insert(test.expect_apps.begin(), test.expect_apps.end());
  return apps;
}

ConfigTestResult judge(const ConfigTest& test, const RoutedTo& routed) {
  std::vector<model::AppId> expected = test.expect_apps;
  std::sort(expected.begin(), expected.end());
  bool is_status_right = test.expect_status == 0 || test.expect_status == routed.status;
  bool are_apps_right = expected.empty() ? test.expect_status != 0 || routed.apps.empty() : expected == routed.apps;
  std::string nobody = is_tcp_url(test.get) ? "nobody" : fmt::format("{}", routed.status);
  std::string got = routed.apps.empty() ? nobody : describe_apps(routed.apps);
  ConfigTestResult result{&test, is_status_right && are_apps_right, ""};
  result.text = fmt::format("{} {}: {} -> {} by {}", result.has_passed ? "ok    " : "FAILED", test.where, test.get, got,
                            routed.why);
  if (!result.has_passed) {
    result.text += fmt::format("; expected {}",
                               expected.empty() ? fmt::format("{}", test.expect_status) : describe_apps(expected));
  }
  return result;
}

// Slots are numbered by target; sets stay empty, since only the route matters here.
class Replica {
 public:
  explicit Replica(const Config& config) {
    RoutingUpdate update;
    update.table =
        std::make_shared<const RouteTable>(config, [&](const model::AppTarget& target) { return slot_of(target); });
    for (const model::AppId& app : apps_named_in(config)) {
      std::string host = config.expose.host.empty() ? "" : exposed_host(config.expose.host, app);
      update.exposed.push_back({app, host, slot_of({app, ""}), false});
    }
    for (SlotIndex slot = 0; slot < targets_.size(); ++slot) update.slots.push_back({{slot, 1}, nullptr});
    update.expose_hosts_are_new = true;
    state_.apply(update);
  }

  RoutedTo find(std::string_view url, std::string_view listener) const {
    auto parsed = http::parse_url(url);
    if (!parsed) return {{}, 400, parsed.error().what};
    std::string host(http::host_of(parsed->endpoint.host));
    std::transform(host.begin(), host.end(), host.begin(), [](unsigned char c) { return std::tolower(c); });
    std::string path = parsed->target.substr(0, parsed->target.find('?'));
    RoutingState::Found found = state_.find(host, path, listener, 0);
    if (!found.is_found) return {{}, 404, "no route"};
    if (found.route == nullptr) {
      return {{targets_[found.slot].app},
              0,
              found.by == RoutingState::Found::By::exposed_host ? "expose.host" : "expose.path"};
    }
    return routed_by(*found.route);
  }

  RoutedTo find_tcp(const Config& config, std::string_view url) const {
    auto asked = parse_tcp_url(config, url);
    if (!asked) return {{}, 0, asked.error().what};
    const Route* route = state_.table()->tcp().find(asked->listener->name, asked->server_name);
    if (route == nullptr) return {{}, 0, asked->listener->where + ", where nobody has this name"};
    return routed_by(*route);
  }

 private:
  static RoutedTo routed_by(const Route& route) {
    RoutedTo routed{{}, 0, route.where};
    for (const Route::Target& target : route.targets) {
      if (target.weight > 0) routed.apps.push_back(target.app.app);
    }
    std::sort(routed.apps.begin(), routed.apps.end());
    routed.apps.erase(std::unique(routed.apps.begin(), routed.apps.end()), routed.apps.end());
    return routed;
  }

  SlotIndex slot_of(const model::AppTarget& target) {
    auto known = std::find(targets_.begin(), targets_.end(), target);
    if (known == targets_.end()) known = targets_.insert(known, target);
    return static_cast<SlotIndex>(known - targets_.begin());
  }

  std::vector<model::AppTarget> targets_;
  RoutingState state_;
};

}  // namespace

std::vector<ConfigTestResult> run_config_tests(const Config& config, const TestRouter& router) {
  std::vector<ConfigTestResult> results;
  const std::string first_listener(config.first_http_listener());
  for (const ConfigTest& test : config.tests) {
    results.push_back(judge(test, router(test.get, test.listener.empty() ? first_listener : test.listener)));
  }
  return results;
}

TestRouter make_test_router(const Config& config) {
  auto kept = std::make_shared<const Config>(config);
  return [kept, replica = std::make_shared<const Replica>(config)](std::string_view url, std::string_view listener) {
    return is_tcp_url(url) ? replica->find_tcp(*kept, url) : replica->find(url, listener);
  };
}

}  // namespace lotse::proxy
