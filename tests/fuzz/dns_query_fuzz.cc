// DNS queries: whatever comes in is dropped or answered; what is answered can be read, has the query's id, and is no
// larger than the client takes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "dns/answer.h"

namespace dns = lotse::dns;

namespace {

class SomeNames final : public dns::NameSource {
 public:
  std::string zone_of(std::string_view name) const override {
    return name == "mesos" || name.ends_with(".mesos") ? "mesos" : "";
  }
  dns::NameFacts look_up(std::string_view name) const override {
    dns::NameFacts facts{.exists = name.size() % 2 == 1, .is_apex = name == "mesos"};
    for (std::size_t i = 0; i < 40; ++i) {
      facts.addresses.push_back(i % 3 == 0 ? "fd00::" + std::to_string(i) : "10.0.0." + std::to_string(i));
      facts.services.push_back({static_cast<std::uint16_t>(31000 + i), "ip-10-0-0-1.slave.mesos", "10.0.0.1"});
    }
    return facts;
  }
  std::string server_name() const override { return "ns1.mesos"; }
  std::vector<std::string> server_addresses() const override { return {"127.0.0.1", "::1"}; }
  std::uint32_t serial() const override { return 7; }
  std::uint32_t ttl_seconds() const override { return 5; }
};

void check(const dns::Query& query, const std::string& wire, std::size_t bytes_max) {
  if (wire.empty() || wire.size() > bytes_max) std::abort();
  const auto read = dns::decode_response(wire);
  if (!read || read->id != query.id) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const dns::Decoded decoded = dns::decode(input);
  if (decoded.is_dropped) return 0;
  lotse::Random random(1);
  const SomeNames names;
  dns::Response response{.rcode = decoded.rcode};
  if (decoded.rcode == dns::Rcode::no_error) response = dns::answer(decoded.query, names, random);
  check(decoded.query, dns::encode(decoded.query, response, decoded.query.udp_bytes_max), dns::kEdnsUdpBytesMax);
  check(decoded.query, dns::encode(decoded.query, response, dns::kTcpBytesMax), dns::kTcpBytesMax);
  check(decoded.query, dns::encode(decoded.query, response, dns::kPlainUdpBytes, true), dns::kPlainUdpBytes);
  return 0;
}
