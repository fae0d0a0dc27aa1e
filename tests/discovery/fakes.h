// What tests of this room share: endpoints, a subscriber that records.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "discovery/catalog.h"
#include "discovery/scheduler_source.h"
#include "model/routes.h"
#include "tests/fake_clock.h"

namespace lotse::discovery {

inline model::Endpoint endpoint(const std::string& task, int host_port = 31000, const std::string& host = "10.0.0.1") {
  model::Endpoint value;
  value.app = "/a";
  value.is_default = true;
  value.task = task;
  value.host = host;
  value.host_port = static_cast<std::uint16_t>(host_port);
  return value;
}
inline model::Endpoint draining(model::Endpoint value) {
  value.state = model::EndpointState::draining;
  return value;
}
inline std::vector<model::Endpoint> many(int count) {
  std::vector<model::Endpoint> all;
  for (int i = 0; i < count; ++i) all.push_back(endpoint("t" + std::to_string(i), 31000 + i));
  return all;
}

// The subscriber: what it was told, and the table that follows from it. Changes are applied by hand or at once.
struct RecordingSubscriber {
  Catalog::Subscriber subscriber() {
    return [this](CatalogChange change, std::function<void()> on_applied) {
      for (const model::Endpoint& removed : change.removed) {
        std::erase_if(table, [&](const model::Endpoint& each) { return each.same_identity(removed); });
      }
      for (const model::Endpoint& set : change.set) {
        std::erase_if(table, [&](const model::Endpoint& each) { return each.same_identity(set); });
        table.push_back(set);
      }
      changes.push_back(std::move(change));
      if (applies_at_once)
        on_applied();
      else
        waiting.push_back(std::move(on_applied));
    };
  }
  std::vector<std::string> tasks() const {
    std::vector<std::string> all;
    for (const model::Endpoint& each : table) all.push_back(each.task);
    std::sort(all.begin(), all.end());
    return all;
  }

  bool applies_at_once = true;
  std::vector<CatalogChange> changes;
  std::vector<model::Endpoint> table;
  std::vector<std::function<void()>> waiting;
};

struct FakeProxy final : ProxyState {
  std::uint64_t in_flight(const model::TaskId& task) const override {
    auto found = counts.find(task);
    return found == counts.end() ? 0 : found->second;
  }
  std::vector<model::TaskId> pending_tasks() const override { return pending; }
  double requests_per_second() const override { return 12.5; }
  std::string address() const override { return "127.0.0.1:80"; }

  std::map<model::TaskId, std::uint64_t> counts;
  std::vector<model::TaskId> pending;
};

}  // namespace lotse::discovery
