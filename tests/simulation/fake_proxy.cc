#include "tests/simulation/fake_proxy.h"

#include <algorithm>
#include <utility>

namespace lotse::simulation {

using namespace scheduler;

namespace {
constexpr std::size_t kWorkers = 2;
constexpr Duration kLease = 10s;

bool is_picked(const std::vector<model::Endpoint>& endpoints) {
  return std::any_of(endpoints.begin(), endpoints.end(),
                     [](const auto& e) { return e.state != model::EndpointState::draining; });
}
}  // namespace

FakeProxy::FakeProxy(Timeline& timeline, Dice& dice, const Faults& faults, Network& network, Shell& shell, int number)
    : timeline_(timeline), dice_(dice), faults_(faults), network_(network), shell_(shell) {
  id_ = "p" + std::to_string(number);
  workers_.assign(kWorkers, std::make_shared<const Table>());
}

template <typename What>
void FakeProxy::later(Duration delay, What what) {
  timeline_.after(delay, [this, life = life_, what = std::move(what)] {
    if (up_ && life == life_) what();
  });
}

void FakeProxy::start() {
  if (up_) return;
  up_ = true;
  boot_ = "boot-" + std::to_string(++life_);
  lease_until_ = {};
  received_ = applied_ = {};
  received_table_ = std::make_shared<const Table>();
  workers_.assign(kWorkers, received_table_);
  worker_revisions_.assign(kWorkers, {});
  worker_busy_.assign(kWorkers, timeline_.now);
  pending_.clear();
  checked_.clear();
  in_flight_.clear();
  term_ = 0;
  beat();
  make_request();
}

void FakeProxy::crash() {
  if (!up_) return;
  up_ = false;
  if (routes_) routes_->close();
  routes_.reset();
  timeline_.after(dice_.between(100ms, 20s), [this] { start(); });
}

bool FakeProxy::could_route(const model::TaskId& task) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& table) {
    auto found = table->find(task);
    return found != table->end() && is_picked(found->second);
  });
}

bool FakeProxy::can_use(const model::TaskId& task) const {
  return !pending_.contains(task) && std::all_of(workers_.begin(), workers_.end(), [&](const auto& table) {
    auto found = table->find(task);
    return found != table->end() && is_picked(found->second);
  });
}

std::uint64_t FakeProxy::in_flight(const model::TaskId& task) const {
  auto found = in_flight_.find(task);
  return found == in_flight_.end() ? 0 : found->second;
}

void FakeProxy::beat() {
  if (!routes_ || !routes_->is_open()) connect();
  report();
  later(3s, [this] { beat(); });
}

void FakeProxy::connect() {
  if (!shell_.is_up()) return;
  Shell::RouteReader reader;
  reader.on_snapshot = [this, life = life_, asked = timeline_.now](model::Revision revision,
                                                                   std::vector<model::Endpoint> endpoints) {
    if (up_ && life == life_) on_snapshot(revision, endpoints, asked);
  };
  reader.on_update = [this, life = life_](model::RouteUpdate update) {
    if (up_ && life == life_) on_update(update);
  };
  routes_ = shell_.open_routes(id_, boot_, std::move(reader), [this, life = life_] {
    if (!up_ || life != life_) return;
    if (routes_ && routes_->is_open()) return;  // another has been opened
    connect();
  });
}

void FakeProxy::on_snapshot(model::Revision revision, const std::vector<model::Endpoint>& endpoints, Instant asked) {
  if (revision.epoch < term_) return;
  term_ = revision.epoch;
  lease_until_ = std::max(lease_until_, asked + kLease);
  Table table;
  for (const model::Endpoint& endpoint : endpoints) table[endpoint.task].push_back(endpoint);
  received_ = revision;
  received_table_ = std::make_shared<const Table>(std::move(table));
  hand_to_workers(received_table_, revision.number);
}

void FakeProxy::on_update(const model::RouteUpdate& update) {
  if (update.term != received_.epoch || update.from != received_.number) {
    routes_->close();
    return;
  }
  Table table = *received_table_;
  for (const model::GoneTask& gone : update.gone) table.erase(gone.task);
  for (const model::Endpoint& endpoint : update.set) {
    auto& endpoints = table[endpoint.task];
    auto same =
        std::find_if(endpoints.begin(), endpoints.end(), [&](const auto& e) { return e.same_identity(endpoint); });
    same == endpoints.end() ? endpoints.push_back(endpoint) : static_cast<void>(*same = endpoint);
  }
  received_.number = update.to;
  received_table_ = std::make_shared<const Table>(std::move(table));
  hand_to_workers(received_table_, update.to);
}

void FakeProxy::hand_to_workers(std::shared_ptr<const Table> table, std::uint64_t revision) {
  for (const auto& [task, endpoints] : *table) {
    if (checked_.contains(task) || pending_.contains(task) || !dice_.once_in(3)) {
      checked_.insert(task);
      continue;
    }
    pending_.insert(task);  // its own check takes a while
    later(dice_.between(100ms, 5s), [this, task = task] {
      pending_.erase(task);
      checked_.insert(task);
      report();
    });
  }
  const model::Revision at{received_.epoch, revision};
  for (std::size_t i = 0; i < kWorkers; ++i) {
    Duration delay = dice_.between(10us, 5ms);
    if (dice_.once_in(20)) delay = dice_.between(1s, 8s);
    worker_busy_[i] = std::max(worker_busy_[i], timeline_.now + delay);
    later(worker_busy_[i] - timeline_.now, [this, i, table, at] {
      workers_[i] = table;
      worker_revisions_[i] = at;
      on_applied();
    });
  }
}

void FakeProxy::on_applied() {
  const model::Revision least = *std::min_element(worker_revisions_.begin(), worker_revisions_.end());
  if (least == applied_) return;
  applied_ = least;
  report();
}

void FakeProxy::report() {
  model::ProxyReport report{.boot = boot_, .term = term_, .applied = applied_};
  report.pending.assign(pending_.begin(), pending_.end());
  for (const auto& [task, count] : in_flight_) {
    const bool is_draining = std::any_of(workers_.begin(), workers_.end(), [&, &id = task](const auto& table) {
      auto found = table->find(id);
      return found != table->end() && !is_picked(found->second);
    });
    if (is_draining && count > 0) report.draining.push_back({task, count});
  }
  network_.send([this, report, life = life_, generation = shell_.generation(), sent = timeline_.now] {
    if (generation != shell_.generation()) return;
    shell_.deliver(ProxyReported{.proxy = id_, .report = report}, [this, life, sent](const Answer& answer) {
      network_.send([this, life, sent, answer] {
        const auto* accepted = std::get_if<model::ProxyReportAnswer>(&answer);
        if (!up_ || life != life_ || accepted == nullptr) return;
        lease_until_ = std::max(lease_until_, sent + kLease);
      });
    });
  });
}

// A request now and then, on a random worker, to any task that worker may pick; some take very long.
void FakeProxy::make_request() {
  later(dice_.between(100ms, 3s), [this] { make_request(); });
  const Table& table = *workers_[dice_.index(kWorkers)];
  if (table.empty()) return;
  auto chosen = std::next(table.begin(), static_cast<std::ptrdiff_t>(dice_.index(table.size())));
  if (!is_picked(chosen->second) || pending_.contains(chosen->first)) return;
  const model::TaskId task = chosen->first;
  ++in_flight_[task];
  later(dice_.once_in(30) ? dice_.between(20s, 150s) : dice_.between(10ms, 4s), [this, task] {
    if (--in_flight_[task] > 0) return;
    in_flight_.erase(task);
    report();
  });
}

}  // namespace lotse::simulation
