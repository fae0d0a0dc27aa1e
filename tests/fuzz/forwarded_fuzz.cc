// X-Forwarded-* and Forwarded from a stranger and from a trusted peer, as any request may carry them: what goes on has
// each of them once, ends in the peer's own address and holds nothing that ends a line; and who asks is the peer or an
// address of the list.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "http/h1_parser.h"
#include "proxy/forwarding.h"

namespace {

using lotse::http::Field;
using lotse::http::RequestHead;
namespace proxy = lotse::proxy;

void demand(bool holds) {
  if (!holds) std::abort();
}

void check(const RequestHead& head, const proxy::ClientInfo& client, const proxy::HttpConfig& config) {
  lotse::Arena arena;
  std::vector<Field> fields;
  proxy::append_request_fields(head, client, false, arena, fields);
  int forwarded_for = 0, proto = 0, host = 0, port = 0, forwarded = 0;
  for (const Field& field : fields) {
    demand(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    const auto is = [&](std::string_view name) { return lotse::http::equals_ignoring_case(field.name, name); };
    demand(!is("host") && !is("connection") && !is("content-length") && !is("transfer-encoding") && !is("upgrade"));
    demand(field.name.find('_') == std::string_view::npos);
    if (is("x-forwarded-for")) {
      ++forwarded_for;
      demand(client.is_trusted ? field.value.ends_with(client.ip) : field.value == client.ip);
    }
    if (is("forwarded")) {
      ++forwarded;
      demand(field.value.ends_with('"') && (client.is_trusted || field.value.starts_with(client.forwarded)));
    }
    proto += is("x-forwarded-proto");
    host += is("x-forwarded-host");
    port += is("x-forwarded-port");
  }
  demand(forwarded_for == 1 && proto == 1 && port == 1 && forwarded == 1 &&
         host == (head.authority.empty() ? host : 1));
  const std::string_view who = proxy::client_address(head, client, config);
  demand(who == client.ip || (client.is_trusted && lotse::net::Address::from_ip(who, 0).has_value()));
}

struct Head final : lotse::http::RequestListener {
  void on_request_head(const RequestHead& head) override {
    proxy::HttpConfig config;
    config.trusted_proxies.push_back({.network = *lotse::net::Address::from_ip("10.0.0.0", 0), .prefix_bits = 8});
    config.trusted_proxies.push_back({.network = *lotse::net::Address::from_ip("fd00::", 0), .prefix_bits = 8});
    const auto local = *lotse::net::Address::from_ip("127.0.0.1", 80);
    for (const char* peer : {"192.0.2.1", "10.1.2.3", "fd00::1", "2001:db8::1"}) {
      check(head, proxy::make_client_info(*lotse::net::Address::from_ip(peer, 1), local, config), config);
    }
  }
  void on_request_body(std::span<const char>) override {}
  void on_request_trailers(std::span<const Field>) override {}
  void on_request_complete() override {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Head listener;
  const lotse::http::Limits limits;
  lotse::http::RequestParser parser(listener, limits);
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
  (void)parser.feed(start);
  (void)parser.feed({reinterpret_cast<const char*>(data), size});
  return 0;
}
