#include "discovery/static_source.h"

#include "http/url.h"

namespace lotse::discovery {

std::vector<model::Endpoint> static_endpoints(const StaticApps& apps) {
  std::vector<model::Endpoint> endpoints;
  for (const auto& [app, addresses] : apps) {
    for (const std::string& address : addresses) {
      auto url = http::parse_url("http://" + address);
      if (!url) continue;
      model::Endpoint endpoint;
      endpoint.app = app;
      endpoint.is_default = true;
      endpoint.task = "static:" + app + ":" + address;
      endpoint.host = url->endpoint.host;
      endpoint.host_port = url->endpoint.port;
      endpoints.push_back(std::move(endpoint));
    }
  }
  return endpoints;
}

}  // namespace lotse::discovery
