// A proxy, simulated: two workers that apply revisions late and apart, its own checks of new tasks, requests under way,
// a lease by its own clock. It never asks agents: without a lease it just does not count as live.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/shell.h"

namespace lotse::simulation {

class FakeProxy {
 public:
  using Table = std::map<model::TaskId, std::vector<model::Endpoint>>;

  FakeProxy(Timeline& timeline, Dice& dice, const Faults& faults, Network& network, Shell& shell, int number);

  void start();
  void crash();
  bool is_up() const { return up_; }
  // By its own clock, counted from sending the renewal.
  bool holds_lease() const { return up_ && timeline_.now < lease_until_; }
  bool could_route(const model::TaskId& task) const;  // some worker may still pick it
  bool can_use(const model::TaskId& task) const;      // every worker knows it, and its own check has passed
  std::uint64_t in_flight(const model::TaskId& task) const;
  const std::vector<std::shared_ptr<const Table>>& workers() const { return workers_; }
  const Table& newest() const { return *workers_.front(); }
  const std::string& id() const { return id_; }

 private:
  void beat();
  void connect();
  void on_snapshot(model::Revision revision, const std::vector<model::Endpoint>& endpoints, Instant asked);
  void on_update(const model::RouteUpdate& update);
  void hand_to_workers(std::shared_ptr<const Table> table, std::uint64_t revision);
  void on_applied();
  void report();
  void make_request();
  template <typename What>
  void later(Duration delay, What what);

  Timeline& timeline_;
  Dice& dice_;
  const Faults& faults_;
  Network& network_;
  Shell& shell_;
  std::string id_, boot_;
  bool up_ = false;
  std::uint64_t life_ = 0, term_ = 0;
  Instant lease_until_{};
  std::shared_ptr<Stream> routes_;
  model::Revision received_, applied_;
  std::shared_ptr<const Table> received_table_;
  std::vector<std::shared_ptr<const Table>> workers_;
  std::vector<model::Revision> worker_revisions_;
  std::vector<Instant> worker_busy_;
  std::set<model::TaskId> pending_, checked_;
  std::map<model::TaskId, std::uint64_t> in_flight_;
};

}  // namespace lotse::simulation
