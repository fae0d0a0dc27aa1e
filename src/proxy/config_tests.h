// The `tests:` of a configuration: which app would get this URL? Evaluated against the routes alone, without endpoints
// or sockets, by the same tables that workers use. For `lotse proxy --check`.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "model/app.h"
#include "proxy/config.h"

namespace lotse::proxy {

struct RoutedTo {
  std::vector<model::AppId> apps;  // all that may get it, sorted; empty: nobody
  int status = 0;                  // of our own answer when nobody gets it
  std::string why;                 // "routes[0] (lb.yaml:12)", "expose.path", "no route matches"
};

struct ConfigTestResult {
  const ConfigTest* test = nullptr;
  bool has_passed = false;
  std::string text;  // "ok    tests[0] (lb.yaml:40): http://... -> /shop/api by routes[0] (lb.yaml:12)"
};

using TestRouter = std::function<RoutedTo(std::string_view url, std::string_view listener)>;
std::vector<ConfigTestResult> run_config_tests(const Config& config, const TestRouter& router);

// By RouteTable and `expose`, as if every app that the configuration names were announced.
TestRouter make_test_router(const Config& config);

}  // namespace lotse::proxy
