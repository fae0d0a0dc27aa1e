// A zone in a test's hands.
#pragma once

#include <map>
#include <string>

#include "dns/answer.h"

namespace lotse::dns {

class FakeNames final : public NameSource {
 public:
  std::map<std::string, NameFacts, std::less<>> names;

  FakeNames() { names["mesos"] = {.exists = true, .is_apex = true}; }
  std::string zone_of(std::string_view name) const override {
    return name == "mesos" || name.ends_with(".mesos") ? "mesos" : "";
  }
  NameFacts look_up(std::string_view name) const override {
    auto found = names.find(name);
    return found == names.end() ? NameFacts{} : found->second;
  }
  std::string server_name() const override { return "ns1.mesos"; }
  std::vector<std::string> server_addresses() const override { return {"127.0.0.1"}; }
  std::uint32_t serial() const override { return 7; }
  std::uint32_t ttl_seconds() const override { return 5; }
};

}  // namespace lotse::dns
