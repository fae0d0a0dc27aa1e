#include "scheduler/server/dns_service.h"

#include <algorithm>
#include <utility>

#include "net/own_addresses.h"

namespace lotse::scheduler {
namespace {

constexpr std::size_t kDomainBytesMax = 100;  // so that the names below have room

Result<std::string, Problem> read_domain(std::string domain) {
  if (domain.ends_with('.')) domain.pop_back();
  std::transform(domain.begin(), domain.end(), domain.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  auto is_allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; };
  const bool is_name = !domain.empty() && domain.size() <= kDomainBytesMax && domain.front() != '.' &&
                       domain.back() != '.' && domain.find("..") == domain.npos &&
                       std::all_of(domain.begin(), domain.end(), is_allowed);
  if (!is_name)
    return fail(Problem{"--dns-domain", "\"" + domain +
                                            "\" is no domain; write for example mesos or cluster.example.com: letters, "
                                            "digits, hyphens and dots, at most 100"});
  return domain;
}

// What others reach it by: all addresses of this machine where it listens on all.
std::vector<std::string> reachable(const net::Address& bound) {
  if (bound.is_unix()) return {};
  if (bound.ip() != "0.0.0.0" && bound.ip() != "::") return {bound.ip()};
  return net::own_addresses(bound.ip() == "::");
}

}  // namespace

Result<std::unique_ptr<DnsService>, Problem> DnsService::open(net::Loop& loop, Engine& engine,
                                                              const DnsOptions& options, const net::Address& api) {
  auto address = net::Address::parse(options.listen);
  if (!address || address->is_unix())
    return fail(Problem{"--dns", "\"" + options.listen + "\" is no address; write for example 127.0.0.1:8053"});
  auto domain = read_domain(options.domain);
  if (!domain) return fail(domain.error());
  DnsNamesOptions names;
  names.domain = *domain;
  names.ttl_seconds = static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(options.ttl).count());
  names.scheduler_addresses = reachable(api);
  names.scheduler_port = api.is_unix() ? std::uint16_t{0} : api.port();
  names.server_addresses = reachable(*address);
  std::unique_ptr<DnsService> service(new DnsService(engine, std::move(names)));
  auto server = dns::Server::open(loop, *address, service->names_, options.server);
  if (!server) return fail(Problem{"--dns", server.error().text()});
  service->server_ = std::move(*server);
  service->reset();
  return service;
}

void DnsService::reset() {
  names_.reset(all_endpoints(engine_.state()));
  engine_.submit(DnsFollowed{engine_.state().revision});
}

// What drains has left with this: its TTL counts from here, and not from when the core decided it.
void DnsService::publish(const model::RouteUpdate& update) {
  names_.apply(update);
  const bool is_draining = std::any_of(update.set.begin(), update.set.end(), [](const model::Endpoint& endpoint) {
    return endpoint.state == model::EndpointState::draining;
  });
  if (is_draining) engine_.submit(DnsFollowed{update.to});
}

}  // namespace lotse::scheduler
