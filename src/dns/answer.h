// What an authoritative server says to a query: the RFCs' cases, in one pure function. Knows no socket, and no names:
// those come from a NameSource, which its consumer's consumer (scheduler/server) implements.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "dns/message.h"

namespace lotse::dns {

inline constexpr std::size_t kAnswersMax = 1000;  // of more, so many are drawn at random: 64 KiB is all TCP can carry

struct Service {
  std::uint16_t port = 0;
  std::string target;          // a name
  std::string target_address;  // in our zones: goes with the answer; empty: the client looks it up elsewhere
};

struct NameFacts {
  bool exists = false;  // with records or only with names below it (RFC 8020)
  bool is_apex = false;
  std::vector<std::string> addresses;  // of both families
  std::vector<Service> services;
};

class NameSource {
 public:
  // The apex of the zone that holds `name`, "" when none of ours does.
  virtual std::string zone_of(std::string_view name) const = 0;
  virtual NameFacts look_up(std::string_view name) const = 0;
  virtual std::string server_name() const = 0;                    // of this server, for SOA and NS
  virtual std::vector<std::string> server_addresses() const = 0;  // its
  virtual std::uint32_t serial() const = 0;                       // raised by every change
  virtual std::uint32_t ttl_seconds() const = 0;

 protected:
  ~NameSource() = default;
};

Response answer(const Query& query, const NameSource& names, Random& random);

}  // namespace lotse::dns
