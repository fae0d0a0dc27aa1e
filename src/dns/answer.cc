#include "dns/answer.h"

#include <algorithm>
#include <set>
#include <utility>

namespace lotse::dns {
namespace {

constexpr std::uint16_t kClassIn = 1, kClassAny = 255;
constexpr std::uint16_t kMetaFirst = 128, kMetaLast = 254;  // RFC 6895: no data, and none of them is ours
constexpr std::uint16_t kOptType = 41;

bool is_ipv6(const std::string& ip) { return ip.find(':') != std::string::npos; }

Record soa_of(const std::string& zone, const NameSource& names) {
  Soa soa{.primary = names.server_name(), .mailbox = "root." + names.server_name(), .serial = names.serial()};
  soa.minimum = names.ttl_seconds();  // what does not exist may exist as soon as what exists may change
  return {.owner = zone, .ttl = names.ttl_seconds(), .data = std::move(soa)};
}

// The first `most` in a random order: clients take the first, so this is their load balancing.
template <typename T>
void draw(std::vector<T>& values, std::size_t most, Random& random) {
  const std::size_t kept = std::min(values.size(), most);
  for (std::size_t i = 0; i < kept; ++i) std::swap(values[i], values[i + random.below(values.size() - i)]);
  values.resize(kept);
}

void add_addresses(Response& response, NameFacts& facts, bool wants_ipv6, std::uint32_t ttl, Random& random) {
  std::erase_if(facts.addresses, [&](const std::string& ip) { return is_ipv6(ip) != wants_ipv6; });
  draw(facts.addresses, kAnswersMax, random);
  for (std::string& ip : facts.addresses) response.answer.push_back({.ttl = ttl, .data = HostAddress{std::move(ip)}});
}

void add_services(Response& response, NameFacts& facts, std::uint32_t ttl, Random& random) {
  draw(facts.services, kAnswersMax, random);
  std::set<std::string> told;
  for (Service& service : facts.services) {
    if (!service.target_address.empty() && told.insert(service.target).second) {
      response.additional.push_back(
          {.owner = service.target, .ttl = ttl, .data = HostAddress{std::move(service.target_address)}});
    }
    response.answer.push_back({.ttl = ttl, .data = Srv{.port = service.port, .target = std::move(service.target)}});
  }
}

void add_name_servers(Response& response, const NameSource& names) {
  const std::uint32_t ttl = names.ttl_seconds();
  response.answer.push_back({.ttl = ttl, .data = NameServer{names.server_name()}});
  for (std::string& ip : names.server_addresses()) {
    response.additional.push_back({.owner = names.server_name(), .ttl = ttl, .data = HostAddress{std::move(ip)}});
  }
}

// ANY asks for anything there is; one kind is enough (RFC 8482), and all of them would help who reflects.
Type any_of(const NameFacts& facts) {
  if (!facts.services.empty()) return Type::srv;
  if (facts.addresses.empty()) return facts.is_apex ? Type::soa : Type::a;
  return is_ipv6(facts.addresses.front()) ? Type::aaaa : Type::a;
}

void add_records(Response& response, NameFacts& facts, Type type, const std::string& zone, const NameSource& names,
                 Random& random) {
  const std::uint32_t ttl = names.ttl_seconds();
  switch (type == Type::any ? any_of(facts) : type) {
    case Type::a:
      return add_addresses(response, facts, false, ttl, random);
    case Type::aaaa:
      return add_addresses(response, facts, true, ttl, random);
    case Type::srv:
      return add_services(response, facts, ttl, random);
    case Type::ns:
      if (facts.is_apex) add_name_servers(response, names);
      return;
    case Type::soa:
      if (facts.is_apex) response.answer.push_back(soa_of(zone, names));
      return;
    default:  // a type that none of our names has
      return;
  }
}

Response refusal(Rcode rcode) { return {.rcode = rcode}; }

}  // namespace

Response answer(const Query& query, const NameSource& names, Random& random) {
  if (query.has_edns && query.edns_version != 0) return refusal(Rcode::bad_version);
  if (query.class_code != kClassIn && query.class_code != kClassAny) return refusal(Rcode::refused);
  const auto type = static_cast<std::uint16_t>(query.type);
  if (type == kOptType) return refusal(Rcode::format_error);
  if (query.type == Type::axfr || query.type == Type::ixfr) return refusal(Rcode::refused);
  if (type >= kMetaFirst && type <= kMetaLast) return refusal(Rcode::not_implemented);
  const std::string zone = names.zone_of(query.name);
  if (zone.empty()) return refusal(Rcode::refused);
  NameFacts facts = names.look_up(query.name);
  Response response{.rcode = facts.exists ? Rcode::no_error : Rcode::no_such_name, .is_authoritative = true};
  if (facts.exists) add_records(response, facts, query.type, zone, names, random);
  if (response.answer.empty()) response.authority.push_back(soa_of(zone, names));  // RFC 2308: how long it stays so
  return response;
}

}  // namespace lotse::dns
